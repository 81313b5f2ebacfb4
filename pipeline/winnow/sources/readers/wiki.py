"""Dumps of Wikipedia and other wikis (``pages-articles.xml.bz2``): every article is a document.

Fields: ``id`` (of the page; the document's id where the source names none), ``title``, ``revision``, ``timestamp``,
``url`` and ``text``. Redirects and pages of other namespaces are counted.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from winnow.sources.fields import BadRecordError
from winnow.sources.readers.from_records import Noted, Passed, batches_of
from winnow.sources.readers.reader import Reader
from winnow.sources.readers.streams import read_chunks
from winnow.sources.records import REPLACED, RecordBatch
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile, compression_of
from winnow.sources.wiki.dump import Dump, Raw, Site, parse_page
from winnow.sources.wiki.wikitext import NAMESPACES, Reduced, reduce_wikitext

_REDIRECT = re.compile(r"\s{0,99}#redirect\s{0,99}:?\s{0,99}\[\[", re.IGNORECASE)
_FILES_AND_CATEGORIES = (-2, 6, 14)


def read_wiki(file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int) -> Iterator[RecordBatch]:
    """Read a dump from front to back; a row is a page of whatever kind.

    Raises:
        FileFaultError: after everything before it has been yielded.
    """
    if source.id is None:
        source = source.model_copy(update={"id": "id"})
    yield from batches_of(_documents(file_slice, source, file), file_slice, source, file, batch_bytes)


def _documents(
    file_slice: FileSlice, source: SourceConfig, file: StoredFile
) -> Iterator[Mapping[str, Any] | BadRecordError | Passed]:
    compression = compression_of(file_slice.path)
    dump = Dump(read_chunks(file, compression, wide=True), source.max_document_bytes)
    own = {name.lower() for key, name in dump.site.namespaces.items() if key in _FILES_AND_CATEGORIES}
    namespaces = NAMESPACES | own
    for raw in dump.pages():
        try:
            yield _document(raw, source, dump.site, namespaces)
        except BadRecordError as bad:
            yield BadRecordError(str(bad), bad.identity, raw.size, None if compression else raw.offset)


def _document(raw: Raw, source: SourceConfig, site: Site, namespaces: frozenset[str]) -> Noted | Passed:
    if raw.fault:
        raise BadRecordError(raw.fault)
    data, notes = raw.data, []
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if source.invalid_utf8 == "reject":
            raise BadRecordError(f"invalid UTF-8: byte {error.start:,} of the page") from None
        data, notes = data.decode(errors="replace").encode(), [REPLACED]
    page = parse_page(data)
    title = page.get("title", "")
    space, colon, _ = title.partition(":")
    outside = page["ns"] != "0" if "ns" in page else bool(colon) and space in site.namespaces.values()
    if outside:  # old exports have no element for the namespace
        return Passed("page outside namespace 0")
    if "redirect" in page or _REDIRECT.match(page.get("wikitext", "")):  # and older ones none for redirects
        return Passed("redirect")
    if page.get("model", "wikitext") != "wikitext":
        return Passed("page that is no wikitext")
    if "deleted" in page:
        return Passed("page whose text was deleted")
    if "wikitext" not in page:
        raise BadRecordError("missing text: the page has no revision with text", page.get("id"))
    wikitext = page["wikitext"]
    if not wikitext and page["bytes"] not in ("", "0"):
        told = f"missing text: its {page['bytes'][:20]} bytes are not in the dump; take pages-articles, not stubs"
        raise BadRecordError(told, page.get("id"))
    reduced = Reduced(wikitext, ()) if source.extract == "raw" else reduce_wikitext(wikitext, namespaces)
    folder = site.base.rpartition("/")[0]
    fields = {
        "text": reduced.text,
        "id": page.get("id"),
        "title": title,
        "revision": page.get("revision"),
        "timestamp": page.get("timestamp"),
        "url": f"{folder}/{quote(title.replace(' ', '_'), safe='/:,()!')}" if folder else None,
    }
    return Noted(fields, (*notes, *reduced.notes), decoded=True)


# Wikimedia calls parts of a large dump enwiki-20260101-pages-articles1.xml-p1p41242.bz2, by the pages they hold
READER = Reader(name="wiki", suffixes=(".xml",), numbered=r"-p\d+p\d+", read=read_wiki)
