"""Books as EPUB. A book is a document, or (``chapters: true``) each item of its reading order is one.

Fields: ``text``, ``title``, ``creator``, ``language``, ``identifier``, ``publisher``, ``published``, ``rights``, and of
chapters ``member`` and ``chapter`` (their place, from 1).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from winnow.sources.fields import BadRecordError
from winnow.sources.packed.epub import Book, Chapter, read_book
from winnow.sources.packed.zip_members import ZipMembers
from winnow.sources.readers.from_records import Noted, Passed, batches_of
from winnow.sources.readers.reader import Reader
from winnow.sources.records import RecordBatch
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.sources.stored_file import StoredFile
from winnow.sources.web.guard import MOST_PAGE_BYTES
from winnow.sources.web.page import PACKAGES
from winnow.sources.web.records import page_fields

LOST = "a book of which some chapters could not be read"
NO_PAGES = "a book with items that are no pages"
CONTENTS = "table of contents"
_ENCRYPTED = "encrypted book: its text is locked (DRM)"
NO_PAGE = "item of a book that is no page"


def read_epub(file_slice: FileSlice, source: SourceConfig, file: StoredFile, batch_bytes: int) -> Iterator[RecordBatch]:
    """Read a book: row 0, or with ``chapters`` a row for each item of its reading order.

    Raises:
        FileFaultError: the file is no zip, or cannot be read.
    """
    yield from batches_of(_documents(source, file), file_slice, source, file, batch_bytes)


def _documents(source: SourceConfig, file: StoredFile) -> Iterator[Mapping[str, Any] | BadRecordError | Passed]:
    members = ZipMembers(file)
    file.position = file.size
    if source.extract == "main":  # a heuristic for pages with navigation around them
        source = source.model_copy(update={"extract": "all"})
    try:
        book = read_book(members)
        if source.chapters:
            yield from _chapters(book, members, source)
        else:
            yield _whole(book, members, source)
    except BadRecordError as bad:
        yield BadRecordError(str(bad), bad.identity, file.size, 0)


def _chapters(
    book: Book, members: ZipMembers, source: SourceConfig
) -> Iterator[Mapping[str, Any] | BadRecordError | Passed]:
    for number, chapter in enumerate(book.chapters, 1):
        if chapter.is_contents:
            yield Passed(CONTENTS)
        elif not chapter.is_page:
            yield Passed(NO_PAGE)
        else:
            try:
                text, notes = _text(chapter, members, source)
                yield Noted(
                    {**book.fields, "member": chapter.name, "chapter": number, "text": text}, notes, decoded=True
                )
            except BadRecordError as bad:
                yield BadRecordError(str(bad), chapter.name or None, bad.size, 0)


def _whole(book: Book, members: ZipMembers, source: SourceConfig) -> Noted:
    texts: list[str] = []
    notes: dict[str, None] = {}
    size = 0
    if any(chapter.is_encrypted for chapter in book.chapters):  # what is not locked is covers and notices
        raise BadRecordError(_ENCRYPTED, book.fields["identifier"])
    pages = [chapter for chapter in book.chapters if chapter.is_page and not chapter.is_contents]
    fault: BadRecordError | None = None
    for chapter in pages:
        try:
            text, more = _text(chapter, members, source)
        except BadRecordError as bad:
            fault = fault or bad
            continue
        notes |= dict.fromkeys(more)
        size += len(text.encode(errors="replace"))
        if size > source.max_document_bytes:
            raise BadRecordError("too large: a book of more text than max_document_mb", book.fields["identifier"])
        if text.strip():
            texts.append(text.strip("\n"))
    if fault is not None and not texts:
        raise fault
    if not pages:
        raise BadRecordError("malformed EPUB: no item of its spine is a page", book.fields["identifier"])
    if fault is not None:
        notes[LOST] = None
    if any(not chapter.is_page for chapter in book.chapters):
        notes[NO_PAGES] = None
    return Noted({**book.fields, "text": "\n\n".join(texts)}, tuple(notes), decoded=True)


def _text(chapter: Chapter, members: ZipMembers, source: SourceConfig) -> tuple[str, tuple[str, ...]]:
    if chapter.is_encrypted:
        raise BadRecordError(_ENCRYPTED)
    if chapter.number is None:
        raise BadRecordError("malformed EPUB: the zip lacks a chapter that the book names")
    member = members.member(chapter.number)
    if member.fault or member.size > MOST_PAGE_BYTES:
        raise BadRecordError(member.fault or f"too large: a page of {member.size:,} bytes", None, member.size)
    data = member.read()
    fields, notes = page_fields(data, source, xhtml=True)
    return fields["text"], tuple(notes)


READER = Reader(
    name="epub",
    suffixes=(".epub",),
    read=read_epub,
    may_be_compressed=False,
    text_a_byte=2.0,
    packages=("charset-normalizer", *PACKAGES),
)
