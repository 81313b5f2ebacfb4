"""Every signal equals the slow statement: on literal cases, real documents and anything hypothesis finds."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.parts_of_signals import count_repetition
from tests.support.specification import hash_word, signals, words
from winnow.numeric.bits import pointer_to
from winnow.numeric.jit import kernel
from winnow.text.characters import TERMINAL_PUNCTUATION
from winnow.text.signals import repetition
from winnow.text.signals.signals import MEANINGS, SIGNALS, measure
from winnow.text.words import WordHashes

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
CORPUS = sorted((SHARED / "corpus").glob("[01]*.jsonl.zst"))
NEEDS_SHARED = pytest.mark.skipif(not CORPUS, reason=f"needs the shared corpus in {SHARED}")


def terminal_punctuation() -> set[str]:
    spans = [span.partition("-") for span in TERMINAL_PUNCTUATION.split()]
    return {chr(c) for first, _, last in spans for c in range(int(first, 16), int(last or first, 16) + 1)}


TERMINAL = terminal_punctuation()


def check(texts: list[str]) -> None:
    measured = measure(pa.array(texts, pa.large_string()))
    rows = measured.signals.to_pylist()
    hashes, offsets = measured.words
    assert len(rows) == len(texts)
    for i, text in enumerate(texts):
        expected = signals(text, TERMINAL)
        differing = {name: (rows[i][name], expected[name]) for name in expected if rows[i][name] != expected[name]}
        assert not differing, (text[:200], "signal: (kernel, specification)", differing)
        assert hashes[offsets[i] : offsets[i + 1]].tolist() == [hash_word(word) for word in words(text)]


def test_columns_are_the_declared_ones() -> None:
    measured = measure(pa.array(["a"], pa.large_string()))
    assert measured.signals.schema == pa.schema(list(SIGNALS.items()))
    assert list(MEANINGS) != [] and set(MEANINGS) == set(SIGNALS) == set(signals("a", TERMINAL))
    assert measure(pa.array([], pa.large_string())).signals.num_rows == 0


@NEEDS_SHARED
def test_terminal_punctuation_is_the_published_list() -> None:
    sets = json.loads((SHARED / "oracles" / "oracle_charsets.json").read_text())
    assert {ord(c) for c in TERMINAL} == set(sets["TERMINAL_PUNCTUATION_codepoints"])


@NEEDS_SHARED
def test_oracle_texts() -> None:
    lines = (SHARED / "oracles" / "oracle_filters.jsonl").read_text().strip().split("\n")
    check([text for text in (json.loads(line)["text"] for line in lines) if text is not None])


@NEEDS_SHARED
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name[:12])
def test_real_documents(path: Path) -> None:
    texts = []
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream:
        for number, line in enumerate(io.TextIOWrapper(stream, encoding="utf-8")):
            if number % 16 == 0:
                texts.append(json.loads(line)["text"][:12_000].encode("utf-8", "replace").decode())
            if len(texts) == 10:
                break
    check(texts)


ATOMS = [
    *"abcXYZ019 .,!?'\"-#{[]•…。！？「」’的人カなไทยກខမ한국ёЖñéßİſK½²€🎉",
    *"\u0301\u200b\u00ad\u200d\ufe0f\u00a0\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\x1f\r\n\t\0",
    *("\r\n", "\n\n", "...", "..", "lorem ipsum", "Javascript", "PRIVACY policy", "terms of use", "uses cookies"),
    *("use of cookies", "use cookies", "cookie policy", "cookies", "[12]", "[]", "[edit]", "[citation needed]"),
    *("--", "-", "/", ":", "=", "~", "\u2013", "@", "|", "<", ",", "b-c", "b,c", "1:b", ".5", "a.b", "(a)", "a..b"),
    *("the ", "The ", "and ", "de la ", "не ", "a b c. ", "J. Smith ", "isn't ", "Yes! ", "x" * 1001, "字" * 40),
]


@settings(max_examples=250, deadline=None)
@given(st.lists(st.lists(st.sampled_from(ATOMS), max_size=60).map("".join), min_size=1, max_size=3))
@example(["a,\u200ba"])
def test_mixed_text(texts: list[str]) -> None:
    check(texts)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["a ", "b ", "the ", " c", "\n", "\n\n", ". ", "x1 ", "éa "]), max_size=300))
def test_repetitive_text(parts: list[str]) -> None:
    check(["".join(parts)])


def test_paragraphs_that_come_again_with_space_around_the_text() -> None:
    spaces = ("", " ", "\u00a0", "\u3000 ")
    paragraphs = ("ñ", "ñandú", "été à midi, où", "日本語の文章", "one two")
    check([f"{before}{p}\n\n{p}{after}" for before in spaces for p in paragraphs for after in spaces])


@pytest.mark.parametrize("before", ["x", "字", "é", " "])
def test_what_lies_across_the_blocks_of_64_bytes(before: str) -> None:
    things = [
        "isn't",
        "isn’t",
        "é'é",
        "...",
        "a.b",
        "J. S",
        "A! B",
        "—",
        "— —",
        "x — y",
        "…",
        "a\r\nb",
        "a\u2028b",
        "。b",
    ]
    things += [
        "javascript",
        "use cookies",
        "privacy policy",
        "terms of use",
        "lorem ipsum",
        "{",
        "#",
        "\n\n",
        " \n",
        "٣.é",
    ]
    for thing in things:
        check([before * (size // len(before.encode())) + " a b " + thing + " c d" for size in range(45, 64)])


@pytest.mark.parametrize("space", [" ", "\t", "\x1c", "\x1f", "\u3000", "\u00a0", " \u3000 "])
def test_words_of_a_line_and_what_it_is_indented_by(space: str) -> None:
    """Fewer than three words drop a line, wherever the 64 bytes end that are looked at first."""
    lines = [
        "a",
        "a b",
        "a b c",
        "a 字",
        "字 b",
        "字字字",
        "a é b",
        "a b\u3000",
        "'a' b",
        "x" * 70 + " b",
        "x" * 61 + " b c",
    ]
    lines += [f"a{space}b", f"a{space}b{space}c", f"a{space}{space}b", "x" * 62 + f"{space}b{space}c"]
    check(["\n".join(space * number + line + "." for line in lines) for number in (0, 1, 3, 62, 63, 64, 65, 130)])
    check([space * number for number in (1, 63, 64, 65, 200)] + ["a", f"a{space}", "a b c."])


def test_scratch_grows_and_is_clean_for_the_next_document() -> None:
    rng = np.random.default_rng(5)
    big = " ".join(f"w{n}" for n in rng.integers(0, 900, 70_000)) + "\n" * 5
    lines = "\n".join(f"line {n}" for n in rng.integers(0, 4_000, 9_000))
    paragraphs = "\n\n".join(f"part {n}" for n in rng.integers(0, 3_000, 6_000))
    check(["a b a b a b", big, "a b a b a b", lines, paragraphs, "a\na\n\na", "a b c d e f a b c d e f"])


@pytest.mark.parametrize("distinct", [40_000, *(pytest.param(few, marks=pytest.mark.slow) for few in (2**62, 30))])
def test_long_documents_against_sorting(distinct: int) -> None:
    rng = np.random.default_rng(9)
    number = 2_300_000  # more than one table of exact counts holds
    hashes = rng.integers(1, distinct, number).astype(np.uint64)
    lengths = np.full(number, 3, np.uint32)
    found = count_repetition(WordHashes(hashes, np.array([0, number])), lengths)
    for n in (2, 3):
        code = np.unique(hashes, return_inverse=True)[1].astype(np.uint64)
        grams = code[: number - n + 1].copy()
        for k in range(1, n):
            grams = np.unique(grams * np.uint64(number) + code[k : number - n + 1 + k], return_inverse=True)[1]
            grams = grams.astype(np.uint64)
        assert found[n - 2, 0] == np.bincount(grams.astype(np.int64)).max() * (3 * n + n - 1)
    assert (found[3:] > 0).any() == (distinct < 1000)


def test_ngrams_that_go_on_differently_are_not_the_same() -> None:
    hashes = np.frombuffer(b"abcdefxbcdefyabcdegzbcdeg", np.uint8).astype(np.uint64)
    found = count_repetition(WordHashes(hashes, np.array([0, len(hashes)])), np.ones(len(hashes), np.uint32))
    # five in a row: bcdef and abcde come again, bcdeg only where the walk has stepped over it; six: none
    assert found[3:, 0].tolist() == [10, 0, 0, 0, 0, 0]


def test_batches_do_not_matter() -> None:
    texts = pa.array(["one two. Three\nfour", "", "五 六。七\n\n八", "one two. Three\nfour"], pa.large_string())
    whole = measure(texts).signals
    for i in range(len(texts)):
        assert measure(texts.slice(i, 1)).signals.to_pylist() == whole.slice(i, 1).to_pylist()


@kernel
def find_firsts(grams, places, chosen, firsts, keys, where):  # type: ignore[no-untyped-def]
    repetition._find_firsts(
        pointer_to(grams), pointer_to(places), pointer_to(chosen), len(chosen), pointer_to(firsts), pointer_to(keys),
        pointer_to(where),
    )  # fmt: skip


def test_a_text_built_against_the_hash_reads_nothing_that_is_not_its_own():
    """More n-grams of one part than its table has slots: those that find none stand first where they are."""
    slots, beyond = 1 << 22, 3
    spread = np.arange(slots + beyond, dtype=np.uint64) << np.uint64(20)  # all of them in the first part of four
    grams = spread * np.uint64(pow(int(repetition._SPREAD), -1, 1 << 64))
    chosen = np.concatenate([np.arange(len(grams)), np.zeros(7_000_000 - len(grams))]).astype(np.uint32)
    places = np.arange(len(grams), dtype=np.uint32)
    firsts = np.full(len(grams), 0xFFFFFFFF, np.uint32)
    keys, where = np.empty(slots, np.uint64), np.empty(slots, np.uint32)
    find_firsts(grams, places, chosen, firsts, keys, where)
    assert (firsts == places).all()
