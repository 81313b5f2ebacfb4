"""What a page says of itself, as fields of a record, and the text of records that hold HTML."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from winnow.sources.fields import BadRecordError
from winnow.sources.records import GUESSED, OPT_OUT, REPLACED, RecordBatch, Unreadable
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile
from winnow.sources.web.opt_outs import kinds_of
from winnow.sources.web.page import as_html, decode_page, extract, language_of, licence_of, links_of, opt_out_of

_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,1000})", re.IGNORECASE)
_HEAD_CHARACTERS = 200_000  # in which a page says its title


def page_fields(
    body: bytes,
    source: SourceConfig,
    *,
    charset: str = "",
    headers: dict[str, str] | None = None,
    html: bool = True,
    xhtml: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """The fields that a page has whatever it came in, and notes of how it was read.

    Args:
        body: of the page, without codings.
        source: says what is kept, and what of HTML is text.
        charset: what HTTP says.
        headers: of the response, by lower-case name.
        html: whether it is HTML, or plain text.
        xhtml: whether that HTML is XHTML.

    Returns:
        ``text``, ``title``, ``charset``, ``charset_from``, ``opt_out``, and where ``keep`` names them ``licence``,
        ``language`` and ``links``.

    Raises:
        BadRecordError: the page cannot be parsed.
    """
    page = decode_page(body, charset)
    if xhtml:
        page = page._replace(text=as_html(page.text))
    text, note = extract(page.text, source) if html else (page.text, "")
    title = _TITLE.search(page.text[:_HEAD_CHARACTERS]) if html else None
    fields: dict[str, Any] = {
        "text": text,
        "title": " ".join(unescape(title[1]).split()) if title else None,
        "charset": page.encoding,
        "charset_from": page.how,
    }
    if "licence" in source.keep:
        fields["licence"] = licence_of(page.text) if html else None
    fields["opt_out"] = opt_out_of(page.text if html else "", headers or {})
    if "language" in source.keep:
        fields["language"] = language_of(page.text if html else "", headers or {})
    if "links" in source.keep:
        fields["links"] = str(links_of(page.text)) if html else None
    read_as = REPLACED if page.replaced else GUESSED + page.encoding if page.how in ("guessed", "windows-1252") else ""
    return fields, [found for found in (note, read_as, *_opt_out_notes(fields["opt_out"])) if found]


def _opt_out_notes(said: str | None) -> list[str]:
    """A note for each kind of opt-out, so that they are counted by source whether or not anybody keeps them."""
    return [f"{OPT_OUT}{kind}" for kind in kinds_of(said)] if said else []


def text_of_html(batches: Iterator[RecordBatch], source: SourceConfig, file: StoredFile) -> Iterator[RecordBatch]:
    """Batches whose texts are HTML with the text of it; a page that cannot be parsed is an unreadable record.

    Where ``keep`` names ``licence`` or ``opt_out`` and a record has no such field, it is what the page says.
    """
    for batch in batches:
        texts: list[str] = []
        said: dict[str, list[str | None]] = {"licence": [], "opt_out": []}
        refused: dict[int, Unreadable] = {}
        noted = dict(batch.noted)
        for place, html in enumerate(batch.texts.to_pylist()):
            row = int(batch.rows[place])
            said["opt_out"].append(opt_out_of(html, {}))
            said["licence"].append(licence_of(html) if "licence" in batch.keep else None)
            try:
                text, note = extract(html, source)
            except BadRecordError as bad:
                refused[place] = Unreadable(row, file.position, str(bad), bad.size, batch.ids[place].as_py())
                continue
            texts.append(text)
            for told in (*[note] * bool(note), *_opt_out_notes(said["opt_out"][-1])):
                number, first = noted.get(told, (0, row))
                noted[told] = number + 1, first
        kept = dict(batch.keep)
        for name in said.keys() & kept.keys():
            kept[name] = pc.coalesce(kept[name], pa.array(said[name], pa.string()))
        filled = replace(batch, keep=kept)
        yield replace(filled.without(refused), texts=pa.array(texts, pa.large_string()), noted=noted)
