"""What members of an archive become: documents, records with fields, or a count of what they are.

A ``.json`` member beside one text of the same stem (WebDataset: one sample) gives that text its fields.
"""

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from winnow.sources.encoding import DETECT
from winnow.sources.fields import BadRecordError
from winnow.sources.fields import kind_of as kind_of_value
from winnow.sources.packed.member import FILE, HTML, JSON, RECORDS, TEXT, Member, kind_of, stem_of
from winnow.sources.readers.charset import Charset, wide_encoding
from winnow.sources.readers.from_records import Noted, Passed
from winnow.sources.readers.split import split_chunks
from winnow.sources.readers.streams import Chunk
from winnow.sources.records import GUESSED, REPLACED_NAME, FileFaultError
from winnow.sources.source import SourceConfig
from winnow.sources.web.records import page_fields

BESIDE = "fields of a text beside it"
BESIDE_BAD = "fields of a text beside it that could not be read"
_LONG_NUMBER = re.compile(rb"\d{19}")
_MOST_HELD = 16
Document = Mapping[str, Any] | BadRecordError | Passed


class _Read(NamedTuple):
    """A member that was read."""

    kind: str
    found: Document
    size: int = 0


def documents_of(members: Iterator[Member], source: SourceConfig, charset: Charset) -> Iterator[Document]:
    """One item for each member, and for each line of those that hold records, in their order."""
    held: list[_Read] = []
    stem, size = "", 0
    try:
        for member in members:
            if kind_of(member.name) == RECORDS and member.kind == FILE:
                yield from _joined(held)
                held, size, stem = [], 0, ""
                yield from _lines(member, source.max_document_bytes)
                continue
            now = stem_of(member.name)
            if held and (now != stem or size > source.max_document_bytes or len(held) >= _MOST_HELD):
                yield from _joined(held)
                held, size = [], 0
            stem = now
            held.append(_read(member, source, charset))
            size += held[-1].size
    except FileFaultError:
        yield from _joined(held)
        raise
    yield from _joined(held)


def _joined(held: list[_Read]) -> Iterator[Document]:
    texts = [at for at, one in enumerate(held) if one.kind in (TEXT, HTML)]
    records = [at for at, one in enumerate(held) if one.kind == JSON]
    fields: Document = {}
    if len(texts) == len(records) == 1 and not isinstance(held[records[0]].found, BadRecordError):
        fields = held[records[0]].found
        bad = isinstance(held[texts[0]].found, BadRecordError)
        held[records[0]] = _Read("", Passed(BESIDE_BAD if bad else BESIDE))
    for one in held:
        if isinstance(fields, Noted) and isinstance(one.found, Noted):
            own = {name: one.found[name] for name in ("member", "text")}
            yield Noted({**one.found, **fields, **own}, one.found.notes, decoded=True)
        else:
            yield one.found


def _read(member: Member, source: SourceConfig, charset: Charset) -> _Read:
    kind = kind_of(member.name)
    if member.kind != FILE:
        return _Read("", Passed(member.kind))
    if member.fault and (not member.name or kind in (TEXT, HTML, JSON)):
        return _Read(kind, BadRecordError(member.fault, member.name or None, member.size, member.position))
    if kind in (TEXT, HTML, JSON) and member.size > source.max_document_bytes:
        reason = f"too large: a member of {member.size:,} bytes; max_document_mb is less"
        return _Read(kind, BadRecordError(reason, member.name, member.size, member.position))
    if kind not in (TEXT, HTML, JSON):
        return _Read("", Passed(f"member: {kind}"))
    try:
        data = member.read()
        return _Read(kind, _noted(member, _fields(member.name, kind, data, source, charset)), len(data))
    except BadRecordError as bad:
        return _Read(kind, BadRecordError(str(bad), member.name, member.size, member.position))


def _noted(member: Member, found: Noted) -> Noted:
    """The record, told of if its name is not as the archive has it."""
    return Noted(found, (*found.notes, REPLACED_NAME), decoded=True) if member.has_lossy_name else found


def _lines(member: Member, most: int) -> Iterator[Document]:
    """The records of a member that has one on each line; blank lines are none."""
    if member.fault:
        yield BadRecordError(member.fault, member.name, member.size, member.position)
        return
    chunks = (Chunk(piece, 0) for piece in _without_mark(member.pieces()))
    try:
        for group in split_chunks(chunks, b"\n", most, b"\n \t\r"):
            for at, line in enumerate(group.records):
                size = (group.dropped_bytes if at == 0 else 0) or len(line)
                try:
                    if size > most:
                        raise BadRecordError(f"too large: a line of {size:,} bytes; max_document_mb is less")
                    if line.strip() and group.fault is None:
                        yield _noted(member, _record(member.name, bytes(line), "line"))
                except BadRecordError as bad:
                    yield BadRecordError(str(bad), member.name, size, member.position)
            if group.fault is not None:
                raise group.fault
    except BadRecordError as bad:
        yield BadRecordError(str(bad), member.name, bad.size, member.position)


def _without_mark(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """A text without its byte order mark."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= len(codecs.BOM_UTF8):
            break
    yield head.removeprefix(codecs.BOM_UTF8)
    yield from pieces


def _record(name: str, data: bytes, what: str) -> Noted:
    value = _loads(data)
    if type(value) is not dict:
        raise BadRecordError(f"not an object: the {what} is {kind_of_value(value)}")
    return Noted({"member": name, **value}, (), decoded=True)


def _loads(data: bytes) -> Any:
    """JSON; of integers every digit, and numbers that JSON has no form for, as Python reads them."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        told = f"malformed JSON: {error.msg} at character {error.pos:,}"
    else:
        if not _LONG_NUMBER.search(data):
            return value
        told = "malformed JSON: a number of too many digits"
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError):
        raise BadRecordError(told) from None


def _fields(name: str, kind: str, data: bytes, source: SourceConfig, charset: Charset) -> Noted:
    if kind == HTML:
        fields, notes = page_fields(data, source, xhtml=name.lower().endswith(".xhtml"))
        return Noted({"member": name, **fields}, tuple(notes), decoded=True)
    if kind == JSON:
        return _record(name, data.removeprefix(codecs.BOM_UTF8), "member")
    if source.encoding == DETECT and (wide := wide_encoding(data[:4096])):
        text, note = data.decode(wide, errors="replace"), GUESSED + wide
    else:
        text, note = charset.decode(data, "member")
    return Noted({"member": name, "text": text}, (note,) if note else (), decoded=True)
