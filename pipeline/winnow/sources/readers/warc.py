"""Web archives: WARC, WET and ARC. Every page that can hold text is a document; what the others are is counted.

Documents are responses with status 200 and resources, both of HTML or plain text, and conversions (WET). Fields of a
document, for ``id`` and ``keep``: ``record_id`` (also the id, where the source names none), ``url``, ``date``, ``ip``,
``status``, ``content_type``, ``charset`` (and ``charset_from``: bom, utf-8, http, meta, guessed, windows-1252, ascii;
``replaced``: how many U+FFFD it took), ``extraction`` (what of the page is its text), ``licence`` (the Creative
Commons licence linked to), ``opt_out`` (signals against training), ``language`` (declared), ``links`` (where to, as
JSON), ``link_count``, ``title``, ``text``.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from winnow.sources.fields import BadRecordError
from winnow.sources.readers.from_records import Noted, Passed, batches_of
from winnow.sources.readers.reader import Piece, Reader
from winnow.sources.records import RecordBatch
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of
from winnow.sources.web.framing import ArchiveRecord, Broken
from winnow.sources.web.guard import MOST_PAGE_BYTES
from winnow.sources.web.http import BadBodyError, Response, decoded_body, split_response
from winnow.sources.web.page import PACKAGES
from winnow.sources.web.parts import cuts, records_of
from winnow.sources.web.records import page_fields

_XHTML = "application/xhtml+xml"
_HTML = ("text/html", _XHTML)
_KINDS = ("warcinfo", "request", "metadata", "revisit", "continuation")
_GROUPS = ("image", "audio", "video", "font")
_MEDIA = ("application/json", "application/pdf", "text/css", "text/xml", "application/xml")
_CHARSET = re.compile(r"charset\s{0,9}=\s{0,9}[\"']?([a-zA-Z0-9_:.-]{1,40})", re.IGNORECASE)
_NOTES = re.compile(r"metadata:|urn:(x-wpull|log|text|pageinfo|thumbnail|view):", re.IGNORECASE)
"""Addresses of what wget, wpull and browsertrix note of a crawl: logs, arguments, the text of pages once more."""
MENDED = "a record a little longer than it says"
CUT = "a page that was cut short"


def read_archive(
    file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int
) -> Iterator[RecordBatch]:
    """Read an archive, or a part of one, from front to back; a row is a record of whatever kind, or what lies between
    two; of a list of records, an entry.

    Raises:
        FileFaultError: the file is not what its name says, or cannot be read.
    """
    file.seek(file_slice.start)
    found = records_of(file_slice, file)
    if source.id is None:
        source = source.model_copy(update={"id": "record_id"})
    yield from batches_of((_document(record, source) for record in found), file_slice, source, file, batch_bytes)


def _document(record: ArchiveRecord | Broken, source: SourceConfig) -> Mapping[str, Any] | BadRecordError | Passed:
    if isinstance(record, Broken):
        return BadRecordError(record.reason, record.identity, record.bytes, record.position)
    identity = record.headers.get("warc-record-id")
    try:
        return _read(record, source)
    except BadBodyError as error:
        return BadRecordError(str(error), identity, len(record.body), record.position)
    except BadRecordError as error:
        return BadRecordError(str(error), identity, error.size, record.position)


def _read(record: ArchiveRecord, source: SourceConfig) -> Mapping[str, Any] | Passed:
    if record.kind not in ("response", "resource", "conversion"):
        return Passed(record.kind if record.kind in _KINDS else "other record")
    if record.kind == "resource" and _NOTES.match(record.headers.get("warc-target-uri", "")):
        return Passed("note of the crawler")
    kind = record.headers.get("content-type", "")
    response = Response(200, {}, record.body)
    if kind.lower().startswith("application/http") or (record.kind == "response" and record.body.startswith(b"HTTP/")):
        response = split_response(record.body)
        kind = response.headers.get("content-type", "")
        if response.status != 200:
            return Passed(
                f"response with status {response.status // 100}xx" if response.status else "response without status"
            )
    media = re.split("[;,]", kind)[0].strip().lower()  # a header that comes twice is joined by a comma
    if not media and re.match(rb"\s{0,99}<(?:!doctype\s+html|html|head|body)\b", response.body[:1000], re.IGNORECASE):
        media = "text/html"
    if media not in (*_HTML, "text/plain"):
        return Passed(f"page of {_group(media)}")
    body, cut = decoded_body(response, min(MOST_PAGE_BYTES, source.max_document_bytes))
    cut |= bool({"warc-truncated", "warc-segment-number"} & record.headers.keys())
    charset = _CHARSET.search(kind)
    said = charset[1] if charset else "utf-8" if record.kind == "conversion" else ""
    fields, notes = page_fields(
        body,
        source,
        charset=said,
        headers=response.headers,
        address=record.headers.get("warc-target-uri"),
        html=media in _HTML,
        xhtml=media == _XHTML,
    )
    of_archive = {
        "record_id": record.headers.get("warc-record-id"),
        "url": record.headers.get("warc-target-uri"),
        "date": record.headers.get("warc-date"),
        "ip": record.headers.get("warc-ip-address"),
        "status": str(response.status),
        "content_type": media,
    }
    return Noted(of_archive | fields, (*notes, *[MENDED] * record.mended, *[CUT] * cut), decoded=True)


def _group(media: str) -> str:
    """What a content type that holds no page is called: one of few, whatever servers say."""
    first = media.partition("/")[0]
    if first in _GROUPS or media in _MEDIA:
        return first if first in _GROUPS else media
    return "javascript" if "javascript" in media else "another content type" if media else "no content type"


def _pieces(part: FileSlice, file: StoredFile) -> list[Piece]:
    return [Piece(*cut) for cut in cuts(file, compression_of(part.path))]


READER = Reader(
    name="warc",
    suffixes=(".warc", ".wet", ".arc"),
    read=read_archive,
    pieces=_pieces,
    split_compressions=(".gz", ".zst", ".lz4"),
    counted_whole=True,
    cut_from_afar=True,
    takes_ranges=True,
    packages=("brotli", "charset-normalizer", *PACKAGES),
)
