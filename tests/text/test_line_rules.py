"""Line rules beside their plain statement, on made-up pages and real ones; nothing else of a text is touched."""

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support import line_rules_reference as reference
from winnow.text.line_rules.clean import LineCleaner
from winnow.text.line_rules.config import COLUMNS, RULES, LineRulesConfig

SLOW = pytest.mark.slow
C4 = {
    "all": {},
    "without terminal punctuation": {"terminal_punctuation": False},
    "with citations": {"citations": False},
    "other bounds": {"min_words": 5, "max_word_characters": 12},
    "without phrases": {"policy": False, "javascript": False},
}
NAMES = {"terminal_punctuation": "terminal", "max_word_characters": "max_word"}
PIECES = [
    "A line of words that ends as it should.", "Short one.", "no end here", "Enable JavaScript, please do it.",
    "We use cookies on this site.", "Read the Privacy Policy of ours now.", "It uses cookies {here}, you know.",
    "Lorem Ipsum dolor and javascript sit.", "Cited [12] text [edit] goes on [citation needed] here.",
    "[1] At the begin of a line.", "It ends with a citation.[3]", "And so on and on...", '"He said so once."',
    "x" * 1001 + " is too long.", "Home", "About us", "- Contact", "• Our Team", "Prijzen & Tarieven", "Über uns",
    "Página de inicio", "首頁", "联系我们", "2026 prices", "home", "Blog:", "What is new?", "A B C D E",
    "Sign in / Register", "Привет мир", "日本語の行です。",
    "これは文です。そうです。", "", "", "   ", "\t", "\u3000", "a\x0bb c d.", "x\u2028y z w.",
    "Done [ ] [x] [] here now.",
    "İstanbul javascrİpt line is here.", "[1] [2] [3]", "\u200b\u200b\u200b", "don't stop it now'", "a b c\u06d4",
]  # fmt: skip


MENU = ["Home", "About us", "- Contact", "• Our Team", "Über uns", "首頁", "Sign in / Register", "", " "]


def pages(number: int, seed: int) -> list[str]:
    """Made-up pages, some with menus, and some texts of nothing much."""
    rng = random.Random(seed)
    made = []
    for _ in range(number):
        lines = [
            f"{rng.choice(['', '  '])}{rng.choice(PIECES)}{rng.choice(['', ' '])}" for _ in range(rng.randint(0, 25))
        ]
        if rng.random() < 0.4:
            at = rng.randint(0, len(lines))
            lines[at:at] = rng.choices(MENU, k=rng.randint(2, 12))
        ends = ["\n", "\n", "\n", "\r\n", "\n\n"]
        made.append("".join(line + rng.choice(ends) for line in lines)[: rng.choice([None, -1])])
    odd = ["", "\n", "\n\n\n", " ", "Home\n" * 8, "Home\n\n" * 6 + "\n\nEnd of it.\n\n\n", "A.\n\n\n\n\nB."]
    return [*made, *odd, "Home\n" * 5 + "x y."]


def cleaned(texts: list[str], **settings):
    found = LineCleaner(LineRulesConfig.model_validate(settings))(pa.array(texts, pa.large_string()))
    found.texts.validate(full=True)
    assert [len(t.encode()) for t in texts] == [
        len(t.encode()) + gone
        for t, gone in zip(found.texts.to_pylist(), found.bytes.sum(axis=1).tolist(), strict=True)
    ]
    assert (found.bytes >= 0).all() and (found.lines >= 0).all()
    return found


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW if name == "all" else ()) for name in C4])
def test_c4_is_its_plain_statement(name):
    texts = pages(250, 1)
    plain = {NAMES.get(key, key): value for key, value in C4[name].items()}
    found = cleaned(texts, c4=C4[name]).texts.to_pylist()
    for text, left in zip(texts, found, strict=True):
        assert left == reference.c4(text, **plain), text


def test_c4_is_that_of_datatrove():
    """What datatrove 0.10.1's C4QualityFilter made of made-up pages (sentences apart, which are the filter's)."""
    recorded = json.loads(Path(__file__).with_name("c4_lines.json").read_text())
    for name, pairs in recorded.items():
        found = cleaned([text for text, _ in pairs], c4=C4[name]).texts.to_pylist()
        assert found == [left for _, left in pairs], name
        assert len(pairs) > 40


@pytest.mark.parametrize(("min_lines", "most_blank"), [(6, None), (3, None), (None, 1), (None, 0), (4, 2), (2, 0)])
def test_menus_and_blank_lines_are_their_plain_statement(min_lines, most_blank):
    texts = pages(900, 3)
    navigation = {"navigation": {"min_lines": min_lines}} if min_lines else {}
    blank = {} if most_blank is None else {"max_blank_lines": most_blank}
    found = cleaned(texts, **navigation, **blank)
    for text, left in zip(texts, found.texts.to_pylist(), strict=True):
        assert left == reference.structure(text, min_lines, most_blank), text
    if min_lines:
        assert found.lines[:, RULES.index("navigation")].sum() > 20


def test_what_looks_like_a_link():
    lines = [piece for piece in PIECES if piece.strip()]
    for line in lines:
        gone = cleaned([f"{line}\n" * 6], navigation={"min_lines": 6}).texts.to_pylist() == [""]
        assert gone == (reference.is_link_like(line) and "\x0b" not in line and "\u2028" not in line), line
    menu = [line for line in lines if reference.is_link_like(line)]
    assert {"Home", "- Contact", "• Our Team", "Über uns", "首頁", "Привет мир"} <= set(menu)
    assert not {"home", "Blog:", "2026 prices", "What is new?", "A B C D E", "Short one."} & set(menu)


def test_lines_are_counted_by_the_rule_that_took_them():
    menu = "Home\nNews\nAbout\nTeam\nJobs\nLog in\n\n"
    body = "no end here at all\nOne.\nUse JavaScript for this page.\nWe use cookies on it.\nSo it is [1] said.\n"
    found = cleaned([menu + body], c4={}, navigation={})
    assert found.texts.to_pylist() == ["So it is  said."]
    assert dict(zip(RULES, found.lines[0].tolist(), strict=True)) == {
        "navigation": 6, "long_word": 0, "terminal_punctuation": 1, "few_words": 1, "javascript": 1, "policy": 1,
        "citation": 1, "blank": 1,
    }  # fmt: skip
    sizes = dict(zip(RULES, found.bytes[0].tolist(), strict=True))
    assert (sizes["navigation"], sizes["citation"], sizes["few_words"]) == (33, 3, 5)


def test_what_c4_drops_a_document_for_stays_for_the_filter():
    text = "Lorem ipsum needs javascript here.\nThe cookie policy { of this } site.\nWe have a cookie policy here.\n"
    left = cleaned([text], c4={}).texts.to_pylist()[0]
    assert left.split("\n") == text.split("\n")[:2]


def test_nothing_is_copied_where_nothing_goes():
    texts = pa.array(["A line.\n\nAnother one.\n"], pa.large_string())
    assert LineCleaner(LineRulesConfig.model_validate({"max_blank_lines": 1, "navigation": "on"}))(texts).texts is texts


def test_slices_and_neighbours_change_nothing():
    texts = pages(60, 5)
    cleaner = LineCleaner(LineRulesConfig.model_validate({"c4": {"terminal_punctuation": False}, "navigation": "on"}))
    column = pa.array(texts, pa.large_string())
    whole = cleaner(column)
    for start in range(0, len(texts), 7):
        part = cleaner(column.slice(start, 7))
        assert part.texts.to_pylist() == whole.texts.to_pylist()[start : start + 7]
        assert (part.bytes == whole.bytes[start : start + 7]).all()


def test_hostile_texts_take_linear_time_and_no_memory():
    texts = [
        "\n" * 3_000_000,
        "Home\n" * 600_000,
        "[" * 3_000_000,
        "x" * 3_000_000,
        "{ javascript " * 200_000,
        "[1]" * 10**6,
    ]
    found = cleaned(texts, c4={}, navigation={}, max_blank_lines=1)
    assert [len(text) for text in found.texts.to_pylist()] == [0, 0, 0, 0, 0, 0]
    assert found.lines[1, 0] == 600_000


def test_real_pages():
    corpus = Path(__file__).resolve().parents[2].parent / "shared" / "corpus" / "11-ruanyf-weekly.jsonl.zst"
    if not corpus.exists():
        pytest.skip(f"needs {corpus}")
    from benchmarks.measuring import read_texts

    texts = [text[:20_000] for text in read_texts(corpus).to_pylist()[:12]]
    found = cleaned(texts, c4={"terminal_punctuation": False}).texts.to_pylist()
    assert found == [reference.c4(text, terminal=False) for text in texts]


def test_columns_belong_to_rules():
    assert len(COLUMNS) == 2 * len(RULES)
    alone = LineRulesConfig.model_validate({"max_blank_lines": 1})
    assert alone.columns == ("removed_blank_lines", "removed_blank_bytes")
    both = LineRulesConfig.model_validate({"c4": "on", "navigation": "on"})
    assert both.columns == COLUMNS
    with pytest.raises(ValueError, match="none of them is on"):
        LineRulesConfig.model_validate({"c4": "off"})
    assert np.array(COLUMNS).size == 16
