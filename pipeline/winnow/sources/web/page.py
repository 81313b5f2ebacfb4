"""Text out of a page: which encoding its bytes are in, and what of it is text.

The encoding is found in this order: a byte order mark; UTF-8, where all bytes are that and one is not ASCII; what HTTP
says, where all bytes are that; what the page says, likewise; of both the better, but for a bad byte in 100 characters
beyond ASCII; a guess; Windows-1252 with U+FFFD for the bytes that it
lacks. Labels mean what browsers take them for (WHATWG Encoding Standard): latin-1 is Windows-1252, gb2312 is GB18030.
"""

import codecs
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from winnow.errors import ConfigError
from winnow.operators.config import OperatorConfig
from winnow.sources.fields import BadRecordError
from winnow.sources.readers.charset import guess_encoding, wide_encoding
from winnow.sources.source import SourceConfig
from winnow.sources.web.by_trafilatura import main_text
from winnow.sources.web.guard import refusal
from winnow.sources.web.own_extract import own_text

PACKAGES = ("resiliparse",)
"""Distributions whose version may change the text of a page."""
FALLBACK = "all text, for little main text"
"""Note of a page whose main text was so short that all of its text was taken."""
_LEAST_MAIN, _MUCH_MORE = 250, 200
_HEAD_BYTES = 4096  # in which a page says its encoding
_META = re.compile(rb"<meta[^>]{0,300}charset\s{0,9}=\s{0,9}[\"']?\s{0,9}([a-zA-Z0-9_:.-]{1,40})", re.IGNORECASE)
_XML = re.compile(rb"<\?xml[^>]{0,200}encoding\s{0,9}=\s{0,9}[\"']([a-zA-Z0-9_:.-]{1,40})", re.IGNORECASE)
_BROWSERS = {
    "iso8859_1": "cp1252",
    "ascii": "cp1252",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
_OTHER_NAMES = {
    label: name
    for name, labels in {
        "utf_8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8",
        **{f"iso8859_{part}": f"iso8859{part}" for part in (2, 3, 4, 5, 10, 13, 14)},
        "iso8859_6": "csiso88596e csiso88596i iso-8859-6-e iso-8859-6-i iso88596",
        "iso8859_7": "iso88597 sun_eu_greek",
        "iso8859_8": "csiso88598e csiso88598i iso-8859-8-e iso-8859-8-i iso88598 logical visual",
        "iso8859_15": "csisolatin9 iso885915",
        **{f"cp{page}": f"x-cp{page}" for page in (1250, 1251, 1253, 1255, 1256, 1257, 1258)},
        "cp874": "dos-874 iso885911 windows-874",
        "cp1252": "iso88591 x-cp1252",
        "cp1254": "iso88599 x-cp1254",
        "koi8_r": "koi koi8",
        "koi8_u": "koi8-ru",
        "mac_roman": "csmacintosh mac x-mac-roman",
        "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
        "gb18030": "csgb2312 gb_2312 gb_2312-80 x-gbk",
        "big5hkscs": "cn-big5 x-x-big5",
        "euc_jp": "cseucpkdfmtjapanese x-euc-jp",
        "cp932": "windows-31j x-sjis",
        "cp949": "cseuckr csksc56011987 iso-ir-149 ks_c_5601-1987 ks_c_5601-1989 ksc_5601 windows-949",
    }.items()
    for label in labels.split()
}
"""Labels of the standard that Python does not know, or means something else by."""
_OF_BROWSERS = {
    *(f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
    *(f"cp{page}" for page in (866, 874, 932, 949, *range(1250, 1259))),
    *("utf_8", "utf_16_le", "utf_16_be", "koi8_r", "koi8_u", "mac_roman", "mac_cyrillic"),
    *("gb18030", "big5hkscs", "euc_jp", "iso2022_jp"),
}
"""The encodings of the standard: others (EBCDIC, Python's own escapes) take any bytes and make rubbish of pages."""
_MARKS = ((codecs.BOM_UTF8, "utf_8"), (codecs.BOM_UTF16_LE, "utf_16_le"), (codecs.BOM_UTF16_BE, "utf_16_be"))


_EMPTY = re.compile(
    r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)\b)([a-zA-Z][\w:]*)"
    r"((?:\s[^<>]*)?)/>",
    re.IGNORECASE | re.ASCII,
)
"""``<title/>`` is an element without content in XHTML, and one that does not end in HTML."""


class DecodedPage(NamedTuple):
    """The characters of a page."""

    text: str
    encoding: str
    """As Python calls it."""
    how: str
    """``bom``, ``utf-8``, ``http``, ``meta``, ``guessed``, ``windows-1252``, or ``ascii`` where it does not matter."""
    replaced: int
    """Bytes that U+FFFD stands for."""


def decode_page(page: bytes, http_charset: str = "") -> DecodedPage:
    """Find a page's encoding and decode it; ``http_charset`` is what the header Content-Type says, or empty."""
    for mark, name in _MARKS:
        if page.startswith(mark):
            return _replacing(page[len(mark) :], name, "bom")
    if page.isascii():
        wide = wide_encoding(page[:_HEAD_BYTES])
        return _replacing(page, wide, "guessed") if wide else DecodedPage(page.decode("ascii"), "utf_8", "ascii", 0)
    claims = [("utf_8", "utf-8"), (_codec(http_charset), "http"), (_codec(_claimed(page)), "meta")]
    wide = wide_encoding(page[:_HEAD_BYTES])
    claims += [(wide, "guessed")] if wide else []
    for name, how in claims:
        if name and (text := _strict(page, name)) is not None:
            return DecodedPage(text, name, how, 0)
    named = [_replacing(page, name, how) for name, how in claims[1:3] if name]
    if named and _hardly_damaged(best := min(named, key=lambda found: found.replaced)):
        return best
    guessed = guess_encoding(page)
    if guessed and (text := _strict(page, guessed)) is not None:
        return DecodedPage(text, guessed, "guessed", 0)
    return _replacing(page, "cp1252" if not _mostly_utf_8(page) else "utf_8", "windows-1252")


def _hardly_damaged(page: DecodedPage) -> bool:
    """Whether a page was cut or has a bad byte in 100 characters beyond ASCII (one in 20 at least), and no more."""
    beyond = len(page.text) - len(page.text.encode("ascii", "ignore"))
    return page.replaced <= max(1, beyond // 100) and page.replaced * 20 <= beyond


def _mostly_utf_8(page: bytes) -> bool:
    """Whether most of what is not ASCII is UTF-8: such a page was cut or damaged."""
    text = page.decode("utf-8", "replace")
    lost = text.count("\ufffd")
    return len(text) - len(text.encode("ascii", "ignore")) - lost > lost


def _claimed(page: bytes) -> str:
    """The encoding that the page itself says."""
    head = page[:_HEAD_BYTES]
    found = _META.search(head) or _XML.match(head.lstrip())
    name = found[1].decode("ascii").lower() if found else ""
    return "utf-8" if name.startswith("utf-16") else name  # it was read as ASCII, so it is not UTF-16


def _codec(label: str) -> str:
    """Python's name of the encoding that browsers take a label for; empty for none."""
    label = label.strip().strip("\"'").lower()
    if label in _OTHER_NAMES:
        return _OTHER_NAMES[label]
    try:
        name = codecs.lookup(label).name.replace("-", "_") if label else ""
    except (LookupError, ValueError):
        return ""
    name = _BROWSERS.get(name, name)
    return name if name in _OF_BROWSERS else ""


def _strict(page: bytes, name: str) -> str | None:
    try:
        return page.decode(name)
    except (UnicodeDecodeError, ValueError):
        return None


def _replacing(page: bytes, name: str, how: str) -> DecodedPage:
    text = page.decode(name, "replace")
    return DecodedPage(text, name, how, text.count("\ufffd") - page.count("\ufffd".encode(name, "ignore") or b"\0none"))


def as_html(xhtml: str) -> str:
    """XHTML with an end to each element without content, so that a parser of HTML takes nothing for a part of it."""
    return _EMPTY.sub(r"<\1\2></\1>", xhtml)


class Extracted(NamedTuple):
    """The text of a page."""

    text: str
    note: str = ""
    """``FALLBACK``, or empty."""


def extract(html: str, source: SourceConfig, address: str | None = None) -> Extracted:
    """The text of a page as ``source.extract`` says; its address is for operators of the user's.

    Raises:
        BadRecordError: a parser would take too long over it, or cannot parse it.
        OperatorError: an operator breaks its contract.
    """
    if source.extract == "raw":
        return Extracted(html)
    size = html.encode(errors="replace")
    if why := refusal(size):
        raise BadRecordError(why, None, len(size))
    if isinstance(source.extract, OperatorConfig):
        return Extracted(own_text(html, source.extract, source.name, address))
    if source.extract == "trafilatura":
        return Extracted(main_text(html))
    parse, plain = _resiliparse()
    try:
        tree = parse(html)  # once: main text and all text are read from one tree
        if source.extract == "all":
            return Extracted(plain(tree, preserve_formatting=True, alt_texts=False))
        main = plain(
            tree, preserve_formatting=True, main_content=True, alt_texts=False, comments=False, post_meta=False
        )
        if len(main) < _LEAST_MAIN:
            whole = plain(tree, preserve_formatting=True, alt_texts=False)
            if len(whole) >= 2 * len(main) + _MUCH_MORE:
                return Extracted(whole, FALLBACK)
    except (ValueError, RuntimeError) as error:
        raise BadRecordError(f"malformed HTML: {error}", None, len(size)) from error
    return Extracted(main)


def extraction_of(source: SourceConfig) -> str:
    """What of the HTML of a source is text, in a word: where a page is read in another way, its note says so."""
    given = source.extract
    return given.name or given.use if isinstance(given, OperatorConfig) else given


@cache
def _resiliparse() -> tuple[Callable[[str], Any], Callable[..., str]]:
    """The parser and the extractor; of the extra `web`.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from resiliparse.extract.html2text import extract_plain_text  # noqa: PLC0415
        from resiliparse.parse.html import HTMLTree  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            "text out of HTML needs resiliparse: pip install 'winnow-corpus[web]', or set `extract: raw`"
        ) from error
    return HTMLTree.parse, extract_plain_text
