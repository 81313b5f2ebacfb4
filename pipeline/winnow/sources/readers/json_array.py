"""Cuts a file that is one JSON array into its elements, in bounded memory, as :mod:`split` cuts one into lines.

Nothing is parsed: brackets and quotes are followed (RFC 8259), and an element is what stands between two commas of the
array. Whether it is JSON is for whoever reads it.
"""

import re
from collections.abc import Iterator

import orjson

from winnow.sources.readers.split import Group
from winnow.sources.readers.streams import Chunk
from winnow.sources.records import FileFaultError

_BLANK = b" \t\r\n"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_IN_ELEMENT = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+", re.DOTALL)
_IN_ARRAY = re.compile(rb'(?:[^"\[\]{},]++|' + _STRING + rb")*+", re.DOTALL)
_QUOTE, _COMMA = b'",'


def begins_array(head: bytes, *, by_suffix: bool) -> bool:
    """Whether a file is one JSON array, by its first bytes.

    Args:
        head: of the text, without a byte order mark; whole lines, or cut anywhere.
        by_suffix: its name does not say that there is a record on each line (``.json``). Otherwise it must begin with
            an object in the array, and the first line must not be a whole array with more behind it.
    """
    head = head.lstrip(_BLANK)
    if not head.startswith(b"["):
        return False
    if by_suffix:
        return True
    if not head[1:].lstrip(_BLANK).startswith((b"{", b"]")):
        return False
    line, _, more = head.partition(b"\n")
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return True
    return not more.strip(_BLANK)


def split_array(chunks: Iterator[Chunk], max_record_bytes: int) -> Iterator[Group]:
    """Elements of the array, with their offsets; white space around them is cut off, and blank ones are none.

    An element longer than ``max_record_bytes`` may be dropped while it is read, as by ``split_chunks``. A fault of the
    stream, or of the array (it does not end, something stands behind it), does not raise: it comes with the last group.
    """
    data = bytearray()  # from the begin of the element that has not ended
    at = begin = depth = 0  # all before ``at`` was followed
    first = dropped = 0  # offset of data[0]; bytes of the element before it
    in_string = False
    position = 0
    fault: FileFaultError | None = None
    try:
        for chunk in chunks:
            if not data:
                position = chunk.position
            data += chunk.data
            records: list[bytes | bytearray] = []
            offsets: list[int] = []
            dropped_first = 0
            while at < len(data):
                if in_string:
                    at = _IN_STRING.match(data, at).end()  # type: ignore[union-attr]  # it matches nothing, too
                    if at == len(data) or data[at] != _QUOTE:
                        break  # the string, or an escape in it, goes on
                    in_string = False
                    at += 1
                at = (_IN_ARRAY if depth < 2 else _IN_ELEMENT).match(data, at).end()  # type: ignore[union-attr]
                if at == len(data):
                    break
                mark = data[at]
                at += 1
                if mark == _QUOTE:
                    in_string = True
                    continue
                opens = mark in b"[{"
                if depth == 0 and (mark != ord("[") or data[begin : at - 1].strip(_BLANK)):
                    if records:
                        yield Group(records, offsets[0], position, dropped_first, offsets=offsets)
                    raise FileFaultError("corrupt file: something stands behind the JSON array", chunk.position)
                depth += opens - (mark in b"]}")
                if opens and depth == 1:
                    begin = at
                elif (mark == _COMMA and depth == 1) or depth == 0:
                    element, offset = _stripped(data, begin, at - 1)
                    if dropped:
                        dropped_first = dropped + len(element)
                        records.append(b"")
                        offsets.append(first - dropped)
                    elif element:
                        records.append(element)
                        offsets.append(first + offset)
                    begin, dropped = at, 0
            if begin:
                del data[:begin]
                first, at, begin = first + begin, at - begin, 0
                position = chunk.position
            if records:
                yield Group(records, offsets[0], position, dropped_first, offsets=offsets)
            if depth and len(data) > max_record_bytes:
                if not dropped:
                    blank = min(at, _stripped(data, 0, len(data))[1])
                    del data[:blank]
                    at, first = at - blank, first + blank
                dropped, first = dropped + at, first + at
                del data[:at]
                at = 0
        if depth:
            fault = FileFaultError("truncated file: the JSON array does not end", position)
        elif data.strip(_BLANK):
            fault = FileFaultError("corrupt file: something stands behind the JSON array", position)
    except FileFaultError as error:
        fault = error
    element, offset = _stripped(data, begin, len(data)) if depth else (b"", 0)
    whole = dropped + len(element) if dropped else 0
    rest: list[bytes | bytearray] = [b"" if dropped else element] if element or dropped else []
    yield Group(rest, first, position, whole, unended=True, fault=fault, offsets=[first - dropped + offset])


def _stripped(data: bytearray, begin: int, end: int) -> tuple[bytes, int]:
    """Bytes without white space around them, and where they begin."""
    element = bytes(data[begin:end])
    left = element.lstrip(_BLANK)
    return left.rstrip(_BLANK), begin + len(element) - len(left)
