"""The normaliser against ftfy itself."""

import io
import json
import pickle
import random
import unicodedata
from pathlib import Path

import ftfy
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.support.specification import IGNORED
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.normalise import Normaliser

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
CORPUS_FILES = sorted((SHARED / "corpus").glob("[01]*.jsonl.zst"))
DEFAULT = Normaliser(NormaliseConfig())
DEFAULT_FTFY = ftfy.TextFixerConfig()

# Pieces that, side by side, reach every branch of the scanner and every kind of doubt.
HARD = [
    *(
        "a",
        "Z",
        "é",
        " ",
        ".",
        "9",
        "<",
        "&",
        "&amp;",
        "&lt;",
        "&#x27;",
        "&EACUTE;",
        "&nosuch;",
        "&am",
        "p;",
        "#",
        ";",
    ),
    *(
        "\r",
        "\n",
        "\r\n",
        "\x85",
        "\u2028",
        "\u2029",
        "\t",
        "\x0b",
        "\x0c",
        "\x00",
        "\x1a",
        "\x7f",
        "\x1b",
        "\x1b[31m",
    ),
    *("[0m", "\ufeff", "\u2060", "\ufffc", "\ufffd", "\u206a"),
    *(
        "â€™",
        "Ã©",
        "Â",
        "Ã ",
        "â€œ",
        "Ð´Ð°",
        "вЂ™",
        "√©",
        "ā€",
        "œ",
        "Œ ",
        "Ø§Ù„",
        "×²",
        "à¹",
        "ã\x83\x84",
        "\xa0",
        "\x92",
    ),
    *(
        "‘",
        "’",
        "“",
        "”",
        "ʼ",
        "«",
        "»",
        "…",
        "—",
        "€",
        "£",
        "°",
        "¦",
        "™",
        "½",
        "ß",
        "ž",
        "Š",
        "Д",
        "и",
        "Ω",
        "β€",
        "│",
    ),
    *(
        "Ａ",
        "＆",
        "；",
        "＃",
        "ａｍｐ",
        "＜",
        "　",
        "ｶ",
        "ﾞ",
        "ﾊﾟ",
        "ￂ",
        "￣",
        "￠",
        "￥",
        "ﬁ",
        "ﬃ",
        "ŉ",
        "Ǆ",
        "ﬅ",
        "Ĳ",
    ),
    *(
        "e\u0301",
        "\u0301",
        "\u0323\u0301",
        "\u0301\u0323",
        "\u0307\u0323",
        "q\u0307",
        "か",
        "\u3099",
        "ᄒ",
        "ᅡ",
        "ᆫ",
        "하",
    ),
    *(
        "ক",
        "\u09be",
        "\u09c7",
        "ก",
        "\u0e38",
        "\u0e48",
        "क",
        "\u093c",
        "\u0958",
        "א",
        "\u05b7",
        "ب",
        "\u064e",
        "\u0651",
    ),
    *(
        "中",
        "文",
        "。",
        "日本",
        "한국",
        "😀",
        "\U0001f1e6",
        "\u200d",
        "\ufe0f",
        "\U0002f800",
        "\u212b",
        "\u037e",
        "\u2126",
        "ſ",
    ),
    *("word ", "hello ", "x" * 70, "y" * 63 + "\r\n"),
]
hard_text = st.lists(st.sampled_from(HARD) | st.characters(codec="utf-8"), max_size=24).map("".join)

OPTIONS = [
    {"unescape_html": True},
    {"unescape_html": False},
    {"remove_terminal_escapes": False},
    {"remove_terminal_escapes": False, "remove_control_chars": False},
    {"remove_control_chars": False},
    {"fix_encoding": False},
    {"fix_encoding": False, "fix_c1_controls": False},
    {"restore_byte_a0": False, "replace_lossy_sequences": False, "decode_inconsistent_utf8": False},
    {"fix_c1_controls": False},
    {"fix_latin_ligatures": False},
    {"fix_character_width": False},
    {"uncurl_quotes": False},
    {"fix_line_breaks": False},
    {"fix_line_breaks": False, "fix_encoding": False, "remove_control_chars": False},
    {"normalization": None},
    {"normalization": None, "fix_latin_ligatures": False, "fix_character_width": False},
    {"normalization": "NFD"},
    {"normalization": "NFKC"},
    {"normalization": "NFKC", "fix_latin_ligatures": False, "fix_character_width": False},
    {"normalization": "NFKD", "uncurl_quotes": False},
    {"max_decode_length": 3},
    {"max_decode_length": 1},
    {"max_decode_length": 7, "unescape_html": True},
]


def column(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def is_cjk(text: str) -> bool:
    """One letter in twenty is Han, kana, Bopomofo or Hangul; said by their names."""
    letters = [unicodedata.name(c, "") for c in text if unicodedata.category(c)[0] == "L" and c not in IGNORED]
    starts = ("CJK ", "HIRAGANA", "KATAKANA", "HALFWIDTH", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "HENTAIGANA")
    theirs = sum(name.startswith(starts) for name in letters)
    return theirs > 0 and 20 * theirs >= len(letters)


def assert_equal_to_ftfy(normaliser: Normaliser, texts: list[str]) -> None:
    plain, cjk = (normaliser.config.ftfy_config(cjk=theirs) for theirs in (False, True))
    result = normaliser(column(texts))
    result.texts.validate(full=True)
    expected = [ftfy.fix_text(text, plain) for text in texts]
    for n, text in enumerate(texts):
        if normaliser.config.tells_cjk and (is_cjk(text) or is_cjk(expected[n])):
            expected[n] = ftfy.fix_text(text, cjk)
    wrong = [
        (text, got, want)
        for text, got, want in zip(texts, result.texts.to_pylist(), expected, strict=True)
        if got != want
    ]
    assert not wrong, f"{len(wrong)} differ, first: {wrong[0]!a}"
    assert result.documents_changed == sum(a != b for a, b in zip(texts, expected, strict=True))
    num_bytes = sum(len(text.encode()) for text in texts)
    assert result.identical_bytes + result.substituted_bytes + result.ftfy_bytes == num_bytes
    assert result.identical_bytes >= 0


@pytest.mark.parametrize("path", CORPUS_FILES or [None], ids=lambda path: path.name if path else "absent")
def test_sample_of_every_corpus_file(path: Path | None) -> None:
    if path is None:
        pytest.skip(f"the shared corpus is not at {SHARED / 'corpus'}")
    with path.open("rb") as file:
        lines = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
        rows = [line for number, line in enumerate(lines) if number % 61 == 7]
    texts = [json.loads(line)["text"].encode("utf-8", "replace").decode()[:100_000] for line in rows]
    sample: list[str] = []
    for text in texts:
        sample.append(text)
        if sum(map(len, sample)) > 250_000:
            break
    assert sample
    assert_equal_to_ftfy(DEFAULT, sample)


@settings(max_examples=150, deadline=None)
@given(st.lists(hard_text, max_size=8))
def test_hard_texts(texts: list[str]) -> None:
    assert_equal_to_ftfy(DEFAULT, texts)


@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@given(texts=st.lists(hard_text, min_size=4, max_size=8))
def test_options(options: dict[str, object], texts: list[str]) -> None:
    assert_equal_to_ftfy(_normaliser(options), texts)


def _normaliser(options: dict[str, object], _built: dict[str, Normaliser] = {}) -> Normaliser:  # noqa: B006
    return _built.setdefault(str(options), Normaliser(NormaliseConfig(**options)))


def _every_code_point() -> list[str]:
    return [chr(code_point) for code_point in range(0x110000) if not 0xD800 <= code_point < 0xE000]


@pytest.mark.parametrize("context", ["{}", "a{}b", "é{} ", " {}\u0301"])
def test_every_code_point(context: str) -> None:
    # ftfy takes about 10 us a call: beyond the planes where anything happens, every 64th will do.
    texts = [
        context.format(character)
        for number, character in enumerate(_every_code_point())
        if (number < 0x3400 or 0xF900 <= number < 0x10000 or number % 64 == 0)
    ]
    assert_equal_to_ftfy(DEFAULT, texts)


def test_normal_form_of_marks() -> None:
    # Every composition's parts and wholes, and marks of every combining class, in random company.
    decompositions = {chr(c): unicodedata.normalize("NFD", chr(c)) for c in range(0x80, 0x11A00)}
    parts = {part for whole, parts in decompositions.items() if whole != parts for part in parts}
    marks = {unicodedata.combining(chr(c)): chr(c) for c in range(0x80, 0x20000)}
    wholes = sorted(whole for whole, parts in decompositions.items() if whole != parts and not "가" <= whole <= "힣")
    alphabet = [*sorted(parts), *sorted(marks.values()), "가", "각", "힣", "a", "e", " ", "中"]
    choose = random.Random(5)
    texts = [
        "".join(choose.choices(choose.choice([alphabet, wholes, alphabet]), k=choose.randint(0, 1)))
        + "".join(choose.choices(alphabet, k=choose.randint(1, 5)))
        for _ in range(30_000)
    ]
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        options = dict.fromkeys(("fix_encoding", "fix_latin_ligatures", "fix_character_width", "uncurl_quotes"), False)
        result = Normaliser(NormaliseConfig(**options, normalization=form))(column(texts))
        assert result.texts.to_pylist() == [unicodedata.normalize(form, text) for text in texts]
        assert result.identical_bytes > 0
    assert not any(unicodedata.combining(chr(code_point)) for code_point in range(0x20000, 0x110000))
    # The normal form of NFC text is proven without ftfy, marks or not.
    proven = ["বাংলা ভাষা কথা", "ภาษาไทย กำลัง ที่", "हिन्दी भाषा में", "العَرَبِيَّة", "Tiếng Việt", "한국어 각하", "עִבְרִית"]
    assert DEFAULT(column(proven)).ftfy_bytes == 0


@pytest.mark.parametrize(
    "text",
    [
        "&\uff41mp; &am\uff50; &amp\uff1b &\uff03x27; \uff06amp;",  # entities once the width is repaired
        "&a\ufb01;",
        "&am\x00p; &\x01lt;",
        "&l\ufefft; a",
        f"&#{65:024}; &#{65:025}; &#{65:023};",  # at most 24 letters or digits
        "&" + "a" * 24 + "; &" + "a" * 25 + ";",
        "&ClockwiseContourIntegral; &CounterClockwiseContourIntegral;",
        "&#; &; &amp &#x; &#xZZ; &#65",
        "&amp;amp;lt;",
        "&lt;&amp;\n&amp;",
        "&lt;\n<\n&lt;\n",
        "\x1b\x1b[0m[0m",
        "\x1b[\x0031m",
        "\r\x00\n",
        "\ufeff\ufeff&amp;",
        "a\ufeff\u0301 e\ufeff\u0301",
        "\ufeff\u0301 Ã\ufeff© \ufeffÃ©",
        "ｶﾞ ﾊﾟ か\uff9e",
        "g\u0303 n\u0303 e\u0323\u0301",
        "\u201cOne\u201d and \u201ctwo\u201d, \u2018three\u2019, then what needs ftfy: " + "plain " * 12 + "&eacute;",
    ],
)
def test_traps(text: str) -> None:
    assert_equal_to_ftfy(DEFAULT, [text, text + "\n", f"x{text}x", text + text, f"é{text}", f"{text} <"])


def test_nothing_copied_where_nothing_changes() -> None:
    texts = column(["plain text\n", "", "naïve café, Übermut\n中文。", "Tom & Jerry, &c \t\x0c"])
    result = DEFAULT(texts)
    assert result.texts is texts
    assert result[1:] == (0, 1, sum(len(text.encode()) for text in texts.to_pylist()), 0, 0)
    assert DEFAULT(column(["a", "fix\r\n", "b"]))[1:] == (1, 0, 2, 5, 0)
    assert DEFAULT(column(["a", "â€™\n", "b"]))[1:] == (1, 0, 2, 0, 9)


def test_slices_and_empty_columns() -> None:
    texts = column(["one\r", "two“", "", "â€™", "three\r\n"])
    for start in range(6):
        for stop in range(start, 6):
            assert DEFAULT(texts[start:stop]).texts.to_pylist() == ["one\n", 'two"', "", "'", "three\n"][start:stop]


def test_a_document_does_not_depend_on_its_batch() -> None:
    texts = ["&amp; <", "&amp;\n", "’\r", "&amp;\n<b>&amp;\n", "&amp;"] * 40
    together = DEFAULT(column(texts)).texts.to_pylist()
    assert together == [DEFAULT(column([text])).texts[0].as_py() for text in texts]


def test_pickled_normaliser_works_alike() -> None:
    normaliser = pickle.loads(pickle.dumps(Normaliser(NormaliseConfig(uncurl_quotes=False))))
    assert normaliser(column(["“a”\r\n"])).texts.to_pylist() == ["“a”\n"]


def test_surrogates_from_repair_are_replaced() -> None:
    # With fix_surrogates off, CESU-8 mojibake can decode to a lone surrogate, which Arrow cannot hold.
    result = Normaliser(NormaliseConfig(fix_surrogates=False))(column(["í\xa0€ í\xa0½", "&#xD800;"]))
    result.texts.validate(full=True)


def test_wrong_columns_are_refused() -> None:
    with pytest.raises(TypeError, match="large_string"):
        DEFAULT(pa.array(["a"]))
    with pytest.raises(ValueError, match="null"):
        DEFAULT(column(["a", None]))  # type: ignore[list-item]


def test_config_is_strict() -> None:
    for wrong in ({"unescape_html": "yes"}, {"normalization": "nfc"}, {"max_decode_length": 0}, {"typo": 1}):
        with pytest.raises(ValidationError):
            NormaliseConfig(**wrong)
    # Our defaults are ftfy's, but in Chinese, Japanese and Korean.
    assert NormaliseConfig().ftfy_config() == ftfy.TextFixerConfig()


def test_ftfy_off() -> None:
    texts = column(["â€™\r\n“ ＡB"])
    result = Normaliser(NormaliseConfig(ftfy=False))(texts)
    assert result.texts is texts
    assert result.documents_changed == 0
