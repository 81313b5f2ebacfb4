"""The definition of a word and its hash: literal cases, and equality with the slow statement."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.specification import fold, hash_word, words
from winnow.dedup.shingle_sets import shingle_sets
from winnow.text.characters import IGNORABLE, character_tables, spans
from winnow.text.words import NO_STOP_WORDS, hash_words, read_words


def column(*texts: str) -> pa.Array:
    return pa.array(texts, pa.large_string())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t", []),
        ("Hello, World!", ["Hello", "World"]),
        ("don't", ["don", "t"]),
        ("foo_bar 3.14", ["foo", "bar", "3", "14"]),
        ("naïve e\u0301te\u0301", ["naïve", "e\u0301te\u0301"]),
        ("日本go語", ["日", "本", "go", "語"]),
        ("ราคา 5", ["ร", "า", "ค", "า", "5"]),
        ("한국어 텍스트", ["한국어", "텍스트"]),
        ("٣٤٥ ½ x²", ["٣٤٥", "x"]),
        ("🎉a🎉", ["a"]),
        ("internationalisation", ["internationalisation"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected
    got = hash_words(column(text))
    assert got.hashes.tolist() == [hash_word(word) for word in expected]
    assert got.hashes.dtype == np.uint64
    assert got.offsets.tolist() == [0, len(expected)]


def test_hashes_are_fixed_for_ever() -> None:
    assert hash_words(column("the THE Straße STRASSE 日 internationalisation")).hashes.tolist() == [
        0xFDE342A9B629CFB7,
        0xFDE342A9B629CFB7,
        0x876140C3E86DD224,
        0x876140C3E86DD224,
        0xA74F8B3740845FDE,
        0x920366B8465F2263,
    ]


def test_case_folds_the_same_on_the_fast_and_the_general_path() -> None:
    hashes = hash_words(column("Kelvin \u212aelvin FUSS fu\u00df ſtop stop")).hashes.tolist()
    assert hashes[0] == hashes[1]
    assert hashes[2] == hashes[3]
    assert hashes[4] == hashes[5]


def test_slices_and_batches_do_not_matter() -> None:
    texts = column("one two", "", "três 四", "five")
    whole = hash_words(texts)
    assert whole.offsets.tolist() == [0, 2, 2, 4, 5]
    for i in range(4):
        alone = hash_words(texts.slice(i, 1))
        assert alone.hashes.tolist() == whole.hashes[whole.offsets[i] : whole.offsets[i + 1]].tolist()
    assert hash_words(column()).offsets.tolist() == [0]


def test_wrong_columns_are_refused() -> None:
    with pytest.raises(TypeError, match="large_string"):
        hash_words(pa.array(["a"]))
    with pytest.raises(ValueError, match="nulls"):
        hash_words(pa.array([None], pa.large_string()))


def test_every_code_point_alone() -> None:
    points = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    points = points[:0x3400] + points[0x3400:0x30000:37] + points[-0x20200:-0x10000:5]
    got = hash_words(pa.array(["a" + point + "b" for point in points], pa.large_string()))
    for i, point in enumerate(points):
        expected = [hash_word(word) for word in words("a" + point + "b")]
        assert got.hashes[got.offsets[i] : got.offsets[i + 1]].tolist() == expected, hex(ord(point))


def test_tables_hold_every_fold() -> None:
    tables = character_tables()
    for code in range(0x110000):
        entry = int(tables.folds[(int(tables.fold_pages[code >> 8]) << 8) | (code & 255)])
        character = chr(code)
        if fold(character) != character and words(character):
            assert (entry & (1 << 56) - 1).to_bytes(7, "little")[: entry >> 56].decode() == fold(character)
        else:
            assert entry == 0


ALPHABET = st.one_of(
    st.sampled_from("abcXYZ019 .,'-_#カなไทย한국ёЖñéßİſKΣς字々〇\u0301\u3099\u200b\u00a0🎉𝔘𠀀\U000e0100"),
    st.characters(exclude_categories=["Cs"]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(ALPHABET, max_size=40), max_size=4))
def test_equals_specification(texts: list[str]) -> None:
    got = hash_words(pa.array(texts, pa.large_string()))
    for i, text in enumerate(texts):
        expected = [hash_word(word) for word in words(text)]
        assert got.hashes[got.offsets[i] : got.offsets[i + 1]].tolist() == expected


@pytest.mark.parametrize("thing", ["é", "’", "字", "\u200b", "한", "🎉", "É", "٣", "-", "Ab9" * 30])
def test_words_across_the_blocks_of_64_bytes(thing: str) -> None:
    """Wherever in a block it stands, alone, before, behind and within words; and where the masks reach the end."""
    pieces = [f"{thing}", f"Ab{thing}", f"{thing}cd", f"x9{thing}YZ", f" {thing} ", f"internationalised{thing}a b"]
    texts = [f"{'x' * size} a {piece} the end" for size in range(40, 66) for piece in pieces]
    texts += [f"日本語。{piece}のテ\u3000スト、{piece}" for piece in pieces]
    texts += [f"{'It is 12 o.clock ' * 5}{'y' * size}{piece}" for size in range(66) for piece in pieces]
    got = hash_words(column(*texts, "z" * 80))
    read = read_words(column(*texts, "z" * 80), NO_STOP_WORDS)
    assert read.words.hashes.tolist() == got.hashes.tolist()
    for i, text in enumerate(texts):
        here = slice(got.offsets[i], got.offsets[i + 1])
        expected = words(text)
        assert got.hashes[here].tolist() == [hash_word(word) for word in expected]
        ends = [text.encode()[first:last].decode() for first, last in read.places[here].tolist()]
        assert [end.replace("\u200b", "") for end in ends] == expected
        assert read.lengths[here].tolist() == [len(word) for word in expected]
        assert read.counts[1, i] == sum(any(c.isalpha() for c in word) for word in expected)


def test_many_words_at_a_time_stop_where_the_room_does() -> None:
    text = " ".join(f"w{n}é" if n % 7 == 0 else f"w{n}" for n in range(2_000))
    assert hash_words(column(text)).hashes.tolist() == [hash_word(word) for word in words(text)]


IN_WORDS = ["\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\ufe0f", "\u034f", "\u200b\u00ad\u200b"]


@pytest.mark.parametrize("nothing", IN_WORDS)
def test_what_is_drawn_as_nothing_is_in_no_word_and_ends_none(nothing: str) -> None:
    plain = "Der Zusammenhang über naïve Straßen, e\u0301te\u0301: 日本語 и ещё 12 слов"
    marked = nothing + "".join(c + nothing if c != " " else nothing + c + nothing for c in plain)
    assert words(marked) == words(plain)
    got = hash_words(column(plain, marked, nothing))
    half = got.offsets[1]
    assert got.hashes[:half].tolist() == got.hashes[half:].tolist()
    assert got.offsets.tolist() == [0, half, 2 * half, 2 * half]


def test_a_copy_with_soft_hyphens_is_a_near_duplicate() -> None:
    text = " ".join(f"word{n} internationalisation" for n in range(60))
    copy = text.replace("internationalisation", "inter\u00adnational\u200bisa\u2060tion")
    sets, offsets = shingle_sets(*hash_words(column(text, copy)), 5)
    assert sets[: offsets[1]].tolist() == sets[offsets[1] :].tolist()


def test_format_characters_are_ignorable() -> None:
    """Of the Unicode property, those that the interpreter can tell: format characters are drawn as nothing ..."""
    listed = {c for first, last in spans(IGNORABLE) for c in range(first, last + 1)}
    formats = {c for c in range(0x110000) if unicodedata.category(chr(c)) == "Cf"}
    # ... but signs that stand over numbers or verses, the marks of interlinear text and of hieroglyphs
    seen = {c for c in formats if unicodedata.name(chr(c), "").startswith(("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN"))}
    assert formats - listed - seen - {0xFFF9, 0xFFFA, 0xFFFB} - {0x1D173 + n for n in range(8)} <= {0x061C}
