"""What is neither code nor markup, against regular expressions; linear in whatever the text holds."""

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.linear import grows_linearly
from winnow.text.prose import CODE_ELEMENTS, prose_of

TAG = r"<[A-Za-z/!?][^<>]*>"
FENCE = r"(?m:^ {0,3}(?P<fence>```|~~~)[^\n]*(?:\n(?! {0,3}(?P=fence))[^\n]*)*\n {0,3}(?P=fence)[^\n]*(?:\n|\Z))"
ELEMENTS = "|".join(
    rf"<{name}(?![a-z])(?:(?!</{name})[\s\S])*</{name}(?:(?<=</{name})[^<>]*>)?" for name in CODE_ELEMENTS
)
RULES = re.compile(
    rf"{FENCE}|<!\[CDATA\[[\s\S]*?\]\]>|<!--[\s\S]*?-->|{ELEMENTS}|{TAG}|`[^`\n]*`|&\#?[A-Za-z0-9]{{1,30}};", re.I
)


def prose(*texts: str) -> list[str]:
    return prose_of(pa.array(texts, pa.large_string())).to_pylist()


PIECES = ("<p>", "</p>", "<pre>", "</pre>", "<code>", "</code>", "<", ">", "`", "```", "~~~", "\n", " ", "a", "б", "&",
          "amp;", "&lt;", "<!--", "-->", "<![CDATA[", "]]>", "<img src='x'>", "word", "漢")  # fmt: skip


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_it_is_what_regular_expressions_leave(text):
    assert prose(text) == [RULES.sub(" ", text)]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<p>Hello <b>world</b></p>", " Hello  world  "),
        ("a\n```py\ncode\n```\nb", "a\n b"),
        ("a\n```\nnever closed", "a\n `\nnever closed"),
        ("1 < 2 and a<b", "1 < 2 and a<b"),
        ("<PRE class=x>code <b>more</b></PRE>text", " text"),
        ("<prefix>word</prefix>", " word "),
        ("tea & cake; R&D", "tea & cake; R&D"),
        ("caf\u00e9 `x`", "caf\u00e9  "),
    ],
)
def test_what_is_left(text, left):
    assert prose(text) == [left]


def test_documents_do_not_reach_into_each_other():
    assert prose("<pre>open", "text</pre>", "", "`a", "b`") == [" open", "text ", "", "`a", "b`"]


@pytest.mark.parametrize("unit", ["<", "`", "```\n", "<pre>", "<!--", "<![CDATA[", "&", "<a ", "</pre", "~~~ \n`"])
def test_time_is_linear(unit):
    assert grows_linearly(
        lambda size: prose_of(pa.array([unit * (size // len(unit))], pa.large_string())), 125_000, 1_000_000
    )
