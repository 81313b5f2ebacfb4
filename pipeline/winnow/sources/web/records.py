"""What a page says of itself, as fields of a record, and the text of records that hold HTML."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from winnow.sources.fields import BadRecordError
from winnow.sources.records import GUESSED, OPT_OUT, REPLACED, RecordBatch, Unreadable
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile
from winnow.sources.web.declared import LEFT_OUT, Declared, links_as_json, opt_out_of
from winnow.sources.web.opt_outs import kinds_of
from winnow.sources.web.page import as_html, decode_page, extract, extraction_of


def page_fields(
    body: bytes,
    source: SourceConfig,
    *,
    charset: str = "",
    headers: dict[str, str] | None = None,
    address: str | None = None,
    html: bool = True,
    xhtml: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """The fields that a page has whatever it came in, and notes of how it was read.

    Args:
        body: of the page, without codings.
        source: says what is kept, and what of HTML is text.
        charset: what HTTP says.
        headers: of the response, by lower-case name.
        address: of the page, for relative links.
        html: whether it is HTML, or plain text.
        xhtml: whether that HTML is XHTML.

    Returns:
        ``text``, ``title``, ``charset``, ``charset_from``, ``replaced``, ``extraction``, ``opt_out``, and where
        ``keep`` names them ``licence``, ``language``, ``links`` and ``link_count``.

    Raises:
        BadRecordError: the page cannot be parsed.
    """
    page = decode_page(body, charset)
    if xhtml:
        page = page._replace(text=as_html(page.text))
    text, note = extract(page.text, source, address) if html else (page.text, "")
    fields: dict[str, Any] = {
        "text": text,
        "charset": page.encoding,
        "charset_from": page.how,
        "replaced": str(page.replaced),
        EXTRACTION: note or (extraction_of(source) if html else "plain text"),
    }
    said, left_out = _said(page.text if html else "", headers or {}, address, source.keep)
    read_as = REPLACED if page.replaced else GUESSED + page.encoding if page.how in ("guessed", "windows-1252") else ""
    notes = [note, read_as, *_opt_out_notes(said["opt_out"]), *[LEFT_OUT] * left_out]
    return fields | said, [found for found in notes if found]


OF_THE_PAGE = ("title", "language", "licence", "opt_out", "links", "link_count")
"""Fields of a page that its elements tell."""
EXTRACTION = "extraction"
"""The field that says what of a page was taken for its text."""


def _said(
    html: str, headers: dict[str, str], address: str | None, keep: Collection[str]
) -> tuple[dict[str, str | None], bool]:
    """What a page says of itself, by field: title and opt-outs, and others that are kept; and whether links are
    missing."""
    if not html:
        nothing = {name: None for name in OF_THE_PAGE if name in ("title", *keep)}
        return {**nothing, "opt_out": opt_out_of(headers)}, False
    page = Declared(html, links=any(name in keep for name in ("licence", "links", "link_count")))
    said: dict[str, str | None] = {"title": page.title(), "opt_out": page.opt_out(headers)}
    if "licence" in keep:
        said["licence"] = page.licence()
    if "language" in keep:
        said["language"] = page.language(headers)
    if "link_count" in keep:
        said["link_count"] = str(page.link_count())
    left_out = 0
    if "links" in keep:
        links, left_out = page.links(address)
        said["links"] = links_as_json(links)
    return said, left_out > 0


def _opt_out_notes(said: str | None) -> list[str]:
    """A note for each kind of opt-out, so that they are counted by source whether or not anybody keeps them."""
    return [f"{OPT_OUT}{kind}" for kind in kinds_of(said)] if said else []


def text_of_html(batches: Iterator[RecordBatch], source: SourceConfig, file: StoredFile) -> Iterator[RecordBatch]:
    """Batches whose texts are HTML with the text of it; a page that cannot be parsed is an unreadable record.

    Where ``keep`` names one of ``OF_THE_PAGE`` or ``EXTRACTION`` and a record has no such field, it is what the page
    says, or how it was read; relative links are resolved against the record's ``url``, where that is kept, too.
    """
    for batch in batches:
        texts: list[str] = []
        ways: list[str] = []
        kept = dict(batch.keep)
        mine = [name for name in OF_THE_PAGE if name in kept]
        found: dict[str, list[str | None]] = {name: [] for name in mine}
        addresses = kept["url"].to_pylist() if "url" in kept else [None] * len(batch.rows)
        refused: dict[int, Unreadable] = {}
        noted = dict(batch.noted)
        for place, html in enumerate(batch.texts.to_pylist()):
            row = int(batch.rows[place])
            said, left_out = _said(html, {}, addresses[place], mine)
            for name in mine:
                found[name].append(said[name])
            try:
                text, note = extract(html, source, addresses[place])
            except BadRecordError as bad:
                refused[place] = Unreadable(row, file.position, str(bad), bad.size, batch.ids[place].as_py())
                continue
            texts.append(text)
            ways.append(note or extraction_of(source))
            left_out = left_out and kept["links"][place].as_py() is None
            for told in (*[note] * bool(note), *_opt_out_notes(said["opt_out"]), *[LEFT_OUT] * left_out):
                number, first = noted.get(told, (0, row))
                noted[told] = number + 1, first
        for name in mine:
            kept[name] = pc.coalesce(kept[name], pa.array(found[name], pa.string()))
        left = replace(batch, keep=kept).without(refused)
        if EXTRACTION in kept:
            said_itself = left.keep[EXTRACTION]
            left.keep[EXTRACTION] = pc.coalesce(said_itself, pa.array(ways, pa.string()))
        yield replace(left, texts=pa.array(texts, pa.large_string()), noted=noted)
