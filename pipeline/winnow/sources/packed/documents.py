"""What members of an archive become: documents, records with fields, or a count of what they are.

A ``.json`` member beside one text of the same stem (WebDataset: one sample) gives that text its fields.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from winnow.sources.encoding import DETECT
from winnow.sources.fields import BadRecordError
from winnow.sources.fields import kind_of as kind_of_value
from winnow.sources.packed.member import FILE, HTML, JSON, TEXT, Member, kind_of, stem_of
from winnow.sources.readers.charset import Charset, wide_encoding
from winnow.sources.readers.from_records import Noted, Passed
from winnow.sources.records import GUESSED, FileFaultError
from winnow.sources.source import SourceConfig
from winnow.sources.web.records import page_fields

BESIDE = "fields of a text beside it"
_LONG_NUMBER = re.compile(rb"\d{19}")
_MOST_HELD = 16
Document = Mapping[str, Any] | BadRecordError | Passed


class _Read(NamedTuple):
    """A member that was read."""

    kind: str
    found: Document
    size: int = 0


def documents_of(members: Iterator[Member], source: SourceConfig, charset: Charset) -> Iterator[Document]:
    """One item for each member, in their order."""
    held: list[_Read] = []
    stem, size = "", 0
    try:
        for member in members:
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
        held[records[0]] = _Read("", Passed(BESIDE))
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
    if kind not in (TEXT, HTML, JSON):
        return _Read("", Passed(f"member: {kind}"))
    try:
        data = member.read()
        return _Read(kind, _fields(member.name, kind, data, source, charset), len(data))
    except BadRecordError as bad:
        return _Read(kind, BadRecordError(str(bad), member.name, member.size, member.position))


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
        fields, notes = page_fields(data, source)
        return Noted({"member": name, **fields}, tuple(notes), decoded=True)
    if kind == JSON:
        value = _loads(data.removeprefix(b"\xef\xbb\xbf"))
        if type(value) is not dict:
            raise BadRecordError(f"not an object: the member is {kind_of_value(value)}")
        return Noted({"member": name, **value}, (), decoded=True)
    if source.encoding == DETECT and (wide := wide_encoding(data[:4096])):
        text, note = data.decode(wide, errors="replace"), GUESSED + wide
    else:
        text, note = charset.decode(data, "member")
    return Noted({"member": name, "text": text}, (note,) if note else (), decoded=True)
