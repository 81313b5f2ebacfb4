"""HTTP/1 responses as archives hold them: status, headers, and the body without its codings (RFC 9110, 9112).

Archives hold what servers sent, which breaks the rules now and then: a body that says ``chunked`` and is not is taken
as it stands, and so is one that says gzip and is not. What comes out of a body is bounded.
"""

import re
import zlib
from typing import NamedTuple

import zstandard

MOST_HEADERS = 500
_HEAD_END = re.compile(rb"\r*\n\r*\n")


class BadBodyError(ValueError):
    """A body cannot be decoded; the message is ``kind: detail``."""


class Response(NamedTuple):
    """A response without its codings."""

    status: int
    """0 where there is no status line."""
    headers: dict[str, str]
    """By lower-case name; of a name that comes several times the values, joined by commas."""
    body: bytes


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


def decoded_body(response: Response, most_bytes: int) -> bytes:
    """The body without transfer and content codings.

    Args:
        response: as :func:`split_response` gives it.
        most_bytes: that may come out.

    Raises:
        BadBodyError: a coding is not known or the data are not of it, or too much comes out.
    """
    body = response.body
    if "chunked" in response.headers.get("transfer-encoding", "").lower():
        body = _unchunked(body)
    codings = [name.strip().lower() for name in response.headers.get("content-encoding", "").split(",")]
    for name in reversed([name for name in codings if name not in ("", "identity", "none", "utf-8")]):
        body = _decoded(body, name, most_bytes)
    if len(body) > most_bytes:
        raise BadBodyError(f"too large: a page of {len(body):,} bytes")
    return body


def _unchunked(body: bytes) -> bytes:
    """The chunks of a body, as far as they go; a body that does not begin like one is taken as it stands."""
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
            return b"".join([*chunks, body[at:]]) if chunks else body
        if size == 0:
            break
        chunks.append(body[end + 1 : end + 1 + size])
        at = end + 1 + size
        if body[at : at + 2] == b"\r\n":
            at += 2
        elif body[at : at + 1] == b"\n":
            at += 1
    return b"".join(chunks)


def _decoded(body: bytes, name: str, most_bytes: int) -> bytes:
    if name in ("gzip", "x-gzip", "deflate", "x-deflate"):
        if name.endswith("gzip") and not body.startswith(b"\x1f\x8b"):
            return body
        kinds = (31,) if name.endswith("gzip") else (15, -15)
        for place, wbits in enumerate(kinds):
            try:
                return _inflated(body, wbits, most_bytes)
            except zlib.error as error:
                if place == len(kinds) - 1:
                    raise BadBodyError(f"bad content encoding: {name}: {error}") from error
    if name == "br":
        import brotli  # type: ignore[import-untyped]  # noqa: PLC0415 - of the extra `web`

        try:
            plain: bytes = brotli.Decompressor().process(body, output_buffer_limit=most_bytes + 1)
        except brotli.error as error:
            raise BadBodyError("bad content encoding: br") from error
        return _bounded(plain, most_bytes, len(body), name)
    if name == "zstd":
        decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        try:
            plain = decompressor.stream_reader(body, read_across_frames=True).read(most_bytes + 1)
        except zstandard.ZstdError as error:
            raise BadBodyError("bad content encoding: zstd") from error
        return _bounded(plain, most_bytes, len(body), name)
    raise BadBodyError(f"bad content encoding: {name[:20]!r} is not known")


def _inflated(body: bytes, wbits: int, most_bytes: int) -> bytes:
    """All gzip members, or a deflated body; one that is cut short gives what there is."""
    found, left = b"", body
    while left:
        decoder = zlib.decompressobj(wbits)
        try:
            found += decoder.decompress(left, most_bytes + 1 - len(found))
        except zlib.error:
            if found:
                break  # something else behind the first member
            raise
        _bounded(found, most_bytes, len(body), "gzip")
        left = decoder.unused_data if decoder.eof else b""
    return found


def _bounded(plain: bytes, most_bytes: int, coded: int, name: str) -> bytes:
    if len(plain) > most_bytes:
        raise BadBodyError(f"too large: over {most_bytes:,} bytes out of {coded:,} of {name}")
    return plain
