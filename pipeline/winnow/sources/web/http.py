"""HTTP/1 responses as archives hold them: status, headers, and the body without its codings (RFC 9110, 9112).

Archives hold what servers sent, which breaks the rules now and then: a body that says ``chunked`` and is not is taken
as it stands, and so is one that says gzip, br or whatever and is HTML. What comes out of a body is bounded.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import zstandard

from winnow.sources.readers.decoders import InflateError, inflater

MOST_HEADERS = 500
MOST_MEMBERS = 1000
"""Of a body; those that servers send have one."""
_STEP_BYTES = 512  # of which zstd makes 16 MB at most: every 4 bytes a block of 128 KiB
_HEAD_END = re.compile(rb"\n\r*\n")
_HTML = re.compile(rb"\s{0,99}<[\t\n\r -~]{30}")  # no coding begins like this
_NO_CODINGS = ("", "identity", "none", "utf-8")


B = TypeVar("B", bytes, bytearray)


class BadBodyError(ValueError):
    """A body cannot be decoded; the message is ``kind: detail``."""


class _WrongDataError(BadBodyError):
    """Nothing comes out of a body: it is not of the coding that it says."""


class Response(NamedTuple):
    """A response without its codings."""

    status: int
    """0 where there is no status line."""
    headers: dict[str, str]
    """By lower-case name; of a name that comes several times the values, joined by commas."""
    body: bytes


class Body(NamedTuple):
    """A body without its codings."""

    data: bytes
    is_cut: bool
    """Whether it ends before its time: it has fewer bytes than Content-Length says, or its coding goes on."""


def split_response(message: bytes) -> Response:
    """Status, headers and the body as it stands."""
    if not message.startswith(b"HTTP/"):
        return Response(0, {}, message)
    end = _HEAD_END.search(message)
    head, body = (message[: end.start()], message[end.end() :]) if end else (message, b"")
    first, *lines = head.replace(b"\r", b"").split(b"\n")[:MOST_HEADERS]
    words = first.split(None, 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() and len(words[1]) == 3 else 0
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            key = name.strip().lower()
            headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return Response(status, headers, body)


def decoded_body(response: Response, most_bytes: int) -> Body:
    """The body without transfer and content codings.

    Args:
        response: as :func:`split_response` gives it.
        most_bytes: that may come out.

    Raises:
        BadBodyError: a coding is not known or the data are not of it, or too much comes out.
    """
    body, headers = response.body, response.headers
    length = headers.get("content-length", "")
    cut = len(length) < 16 and length.isdecimal() and int(length) > len(body)
    codings = f"{headers.get('content-encoding', '')},{headers.get('transfer-encoding', '')}".lower().split(",")
    for name in reversed([name.strip() for name in codings]):
        if name == "chunked":
            body, ends = _unchunked(body)
        elif name in _NO_CODINGS or _HTML.match(body):
            continue
        else:
            body, ends = _decoded(body, name, most_bytes)
        cut |= not ends
    if len(body) > most_bytes:
        raise BadBodyError(f"too large: a page of {len(body):,} bytes")
    return Body(body, cut)


def _unchunked(body: bytes) -> tuple[bytes, bool]:
    """The chunks of a body as far as they go, and whether they end; what does not begin like one is taken as it is."""
    chunks: list[bytes] = []
    at = 0
    while at < len(body):
        end = body.find(b"\n", at, at + 4096)
        number = body[at : end if end >= 0 else at].split(b";")[0].strip()
        try:
            size = int(number, 16) if number and len(number) <= 16 and not number.startswith((b"-", b"+")) else -1
        except ValueError:
            size = -1
        if size < 0:
            return b"".join([*chunks, body[at:]]), True
        if size == 0:
            return b"".join(chunks), True
        chunks.append(body[end + 1 : end + 1 + size])
        at = end + 1 + size
        if body[at : at + 2] == b"\r\n":
            at += 2
        elif body[at : at + 1] == b"\n":
            at += 1
    return b"".join(chunks), not body


def _decoded(body: bytes, name: str, most_bytes: int) -> tuple[bytes, bool]:
    """What comes out of one coding, and whether that ends."""
    if name in ("gzip", "x-gzip"):
        if not body.startswith(b"\x1f\x8b"):
            return body, True
        return _members(body, "gzip", partial(inflater, 31), most_bytes)
    if name in ("deflate", "x-deflate"):
        try:
            return _members(body, name, partial(inflater, 15), most_bytes)
        except _WrongDataError:
            return _members(body, name, partial(inflater, -15), most_bytes)
    if name == "zstd":
        frames = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        return _members(body, name, frames.decompressobj, most_bytes)
    if name == "br":
        import brotli  # type: ignore[import-untyped]  # noqa: PLC0415 - of the extra `web`

        decoder = brotli.Decompressor()
        try:
            plain: bytes = decoder.process(body, output_buffer_limit=most_bytes + 1)
        except brotli.error as error:
            raise BadBodyError("bad content encoding: br") from error
        return _bounded(plain, most_bytes, len(body), name), decoder.is_finished()
    raise BadBodyError(f"bad content encoding: {name[:20]!r} is not known")


def _members(body: bytes, name: str, new: Callable[[], Any], most_bytes: int) -> tuple[bytes, bool]:
    """All members of a body one after the other, in small steps: what comes out of one step is bounded.

    One that is cut short gives what there is, and False.
    """
    found, view, at, decoder = bytearray(), memoryview(body), 0, None
    for _ in range(MOST_MEMBERS):
        decoder = new()
        while at < len(body) and not decoder.eof:
            step = view[at : at + _STEP_BYTES]
            try:
                found += decoder.decompress(step)
            except (InflateError, zstandard.ZstdError) as error:
                if found:
                    return bytes(found), False  # damaged, or something else behind the first member
                raise _WrongDataError(f"bad content encoding: {name}: {error}") from error
            at += len(step) - len(decoder.unused_data)
            _bounded(found, most_bytes, len(body), name)
        if at >= len(body):
            return bytes(found), decoder.eof
    raise BadBodyError(f"bad content encoding: {name}: over {MOST_MEMBERS:,} members")


def _bounded(plain: B, most_bytes: int, coded: int, name: str) -> B:
    if len(plain) > most_bytes:
        raise BadBodyError(f"too large: over {most_bytes:,} bytes out of {coded:,} of {name}")
    return plain
