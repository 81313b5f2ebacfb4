"""Wikitext reduced to text, against mwparserfromhell where that reads it as MediaWiki does, and what is malformed."""

import random
import time

import pytest

from tests.support.wikis import ARTICLE, ARTICLE_TEXT
from winnow.sources.wiki.wikitext import NAMESPACES, TABLES, TEMPLATES, reduce_wikitext

GERMAN = NAMESPACES | {"datei", "kategorie"}


def test_a_whole_article():
    assert reduce_wikitext(ARTICLE, GERMAN) == (ARTICLE_TEXT, (TEMPLATES, TABLES))
    assert reduce_wikitext("Plain text.\n\nTwo paragraphs.") == ("Plain text.\n\nTwo paragraphs.", ())


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("'''bold''' ''italic'' '''''both''''' it's", "bold italic both it's"),
        ("[[a|b]]s [[c]]s [[:Category:X]] [[Category:X]]x", "bs cs Category:X x"),
        ("[[File:a.jpg|thumb|A [[b|c]] {{d}}]] e", "e"),
        ("[[File:a.jpg|thumb|unclosed [[b|c]] e", "[[File:a.jpg|thumb|unclosed c e"),
        ("a {{b|{{c}}|{{{d|}}}}} e", "a e"),
        ("a {{{{b}}}} c {{{d}}} e {{ open", "a c e {{ open"),
        ("a }} b", "a }} b"),
        ("{|\n| a {{b|\n|}}\n{|\n| nested\n|}\n|}\nc", "c"),
        ("{|\n| never closed\nc", "{|\n| never closed\nc"),
        ('a<ref>b</ref> c<ref name=x/> d<ref name="y">e {{f}}</ref>', "a c d"),
        ("a<ref>never closed", "anever closed"),
        ("a<!-- b --> c<!-- to the end", "a c"),
        ("<nowiki>''[[a]]''</nowiki> <pre>\n  {{b}}\n</pre>", "''[[a]]'' \n  {{b}}"),
        ("<math>\\frac{{a}}{b}</math>", "\\frac{{a}}{b}"),
        ("== A ==\n=== ''B'' ===\n=C\nD = E =", "A\nB\n=C\nD = E ="),
        ("* a\n** b\n# c\n:; d\n----\ne", "a\nb\nc\nd\n\ne"),
        ("[http://x.org a b] [https://y.org] http://z.org [//w.org c]", "a b http://z.org c"),
        ("a &lt;b&gt; &amp;amp; &nbsp;c", "a <b> &amp; \u00a0c"),
        ("-{zh-hans:\u8f6f\u4ef6; zh-hant:\u8edf\u9ad4}- -{a}- -{H|zh:b}-c", "\u8f6f\u4ef6 a c"),
        ("a __NOTOC__ b", "a b"),
        ("call print() or f({{x}}) in Paris ({{IPA}}, {{y}})", "call print() or f() in Paris"),
        ("a<br>b<br/>c <span style='x'>d</span> 1 < 2 > 0", "a\nb\nc d 1 < 2 > 0"),
        ("x\ufdd05\ufdd1 <nowiki>a</nowiki>", "x5 a"),
        ("[[fr:Paris]] [[wikt:word|word]] [[A\nb]]", "word [[A\nb]]"),
        ("{{a|[[b]} }} c", "c"),
    ],
)
def test_marks_one_by_one(wikitext, text):
    assert reduce_wikitext(wikitext).text == text


PIECES = (
    *("Plain words of a sentence. ", "'''bold''' ", "''it'' ", "[[Link]] ", "[[Target|label]]s ", "{{tmpl|a=[[x]]}} "),
    *(
        "{{a|{{b}}}} ",
        "&amp; ",
        "<b>bold</b> ",
        "<!-- note -->",
        "\n\n== Heading ==\n",
        "\n* an item\n",
        "[http://x.org site] ",
    ),
    *("word", " and ", "<nowiki>[[x]]</nowiki> ", "{{{arg}}} "),
)


def test_mwparserfromhell_gives_the_same_words():
    parser = pytest.importorskip("mwparserfromhell", reason="mwparserfromhell is not installed (extra `dev`)")
    rng = random.Random(8)
    for _ in range(300):
        wikitext = "".join(rng.choices(PIECES, k=rng.randrange(1, 30)))
        ours = reduce_wikitext(wikitext).text
        assert ours.split() == parser.parse(wikitext).strip_code(collapse=False).split(), wikitext


HOSTILE = {
    "links": "[[" * 50_000, "nested links": "[[a|xxxxx" * 30_000 + "]]" * 30_000, "braces": "{{" * 50_000,
    "nested templates": "{{a|" * 30_000 + "}}" * 30_000, "tables": "{|\n|\n" * 20_000, "quotes": "'''''a" * 30_000,
    "tags": "<b>" * 50_000, "refs": "<ref>" * 50_000, "half a ref": "<ref " * 30_000, "comments": "<!--" * 30_000,
    "pre": "<pre>" * 40_000 + "</pre>", "equals": "= " * 100_000, "external": "[http://" * 30_000,
    "closings": "}}" * 50_000 + "\n|}" * 50_000, "mixed": "{{\n{|\n" * 30_000 + "}}\n|}\n" * 30_000,
    "variants": "-{" * 50_000, "parentheses": " (" * 100_000, "blanks": " " * 200_000 + "x", "colons": ":" * 100_000,
    "entities": "&" * 100_000, "many refs": "<ref>a</ref>" * 30_000, "pairs": "<pre></ref>" * 20_000 + "<ref></pre>",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_time_is_in_proportion_to_the_size(name):
    begin = time.process_time()
    reduce_wikitext(HOSTILE[name])
    assert time.process_time() - begin < 8
