"""Dumps of wikis as MediaWiki exports them (schema export-0.11), written here."""

from xml.sax.saxutils import escape, quoteattr

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.mediawiki.org/xml/export-0.11/ \
http://www.mediawiki.org/xml/export-0.11.xsd" version="0.11" xml:lang="de">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>dewiki</dbname>
    <base>https://de.wikipedia.org/wiki/Wikipedia:Hauptseite</base>
    <generator>MediaWiki 1.45.0</generator>
    <case>first-letter</case>
    <namespaces>
      <namespace key="-2" case="first-letter">Medium</namespace>
      <namespace key="0" case="first-letter" />
      <namespace key="1" case="first-letter">Diskussion</namespace>
      <namespace key="6" case="first-letter">Datei</namespace>
      <namespace key="14" case="first-letter">Kategorie</namespace>
    </namespaces>
  </siteinfo>
"""
TAIL = "</mediawiki>\n"


def revision(number: int, text: str, *, model: str = "wikitext", attributes: str = "") -> str:
    """A revision of a page."""
    return f"""    <revision>
      <id>{number}</id>
      <parentid>{number - 1}</parentid>
      <timestamp>2024-05-01T12:00:00Z</timestamp>
      <contributor>
        <username>Someone</username>
        <id>77</id>
      </contributor>
      <comment>a note that is no text</comment>
      <origin>{number}</origin>
      <model>{model}</model>
      <format>text/x-wiki</format>
      <text bytes="{len(text.encode())}" sha1="abc" xml:space="preserve"{attributes}>{escape(text)}</text>
      <sha1>abc</sha1>
    </revision>
"""


def page(number: int, title: str, *revisions: str, ns: int = 0, redirect: str | None = None) -> str:
    """A page."""
    to = "" if redirect is None else f"    <redirect title={quoteattr(redirect)} />\n"
    return (
        f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{ns}</ns>\n    <id>{number}</id>\n{to}"
        + "".join(revisions)
        + "  </page>\n"
    )


def dump(*pages: str) -> bytes:
    """A dump."""
    return (HEAD + "".join(pages) + TAIL).encode()


ARTICLE = """{{Infobox Fluss
|NAME = Aller
|LÄNGE = {{Höhe|211|link=true}} km
}}
[[Datei:Aller bei Celle.jpg|mini|Die ''Aller'' bei [[Celle]] {{Zeichen|x}}]]
Die '''Aller''' ist ein [[Fluss]] in [[Niedersachsen|niedersächsischen]] Gebieten ({{IPA|ˈalɐ}}) und mündet bei \
Verden.<ref name="karte">{{Literatur|Titel=Karten}} S. 3</ref><ref name="karte" /> Sie ist 211&nbsp;km lang.

== Geografie ==
<!-- noch zu ergänzen -->
* [[Oker]]
* [[Leine (Aller)|Leine]]s Mündung
:eingerückt

{| class="wikitable"
! Ort !! km
|-
| Celle || {{km|112
|}}
|}

=== Namen ===
Mehr steht [https://example.org/aller bei der Stadt]. Aus 5 < 7 folgt <math>a<b</math>, und <nowiki>[[so]]</nowiki> \
schreibt man Verweise.<br />Neue Zeile; ein [[:Kategorie:Fluss]] und [[en:Aller]].
__NOTOC__
[[Kategorie:Fluss in Europa]]
"""
ARTICLE_TEXT = """Die Aller ist ein Fluss in niedersächsischen Gebieten und mündet bei Verden. Sie ist 211\u00a0km lang.

Geografie

Oker
Leines Mündung
eingerückt

Namen
Mehr steht bei der Stadt. Aus 5 < 7 folgt a<b, und [[so]] schreibt man Verweise.
Neue Zeile; ein Kategorie:Fluss und ."""
