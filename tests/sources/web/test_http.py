"""Bodies of responses: what every coding gives, what lies, and what expands without end."""

import gzip
import zlib

import brotli
import pytest
import zstandard

from winnow.sources.web.http import BadBodyError, decoded_body, split_response

BODY = b"<p>Some text that is long enough to be compressed, and some more of it.</p>" * 20


def response(body: bytes, **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + body


def decoded(body: bytes, most: int = 1 << 20, **headers: str) -> bytes:
    return decoded_body(split_response(response(body, **headers)), most).data


def chunked(body: bytes, size: int = 100) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CODINGS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "deflate": zlib.compress,
    "identity": bytes,
}


@pytest.mark.parametrize("name", CODINGS)
def test_every_coding_chunked_and_not(name):
    packed = CODINGS[name](BODY)
    assert decoded(packed, Content_Encoding=name) == BODY
    assert decoded(chunked(packed), Content_Encoding=name, Transfer_Encoding="chunked") == BODY


def test_codings_one_over_the_other_and_deflate_without_its_header():
    assert decoded(gzip.compress(brotli.compress(BODY)), Content_Encoding="br, gzip") == BODY
    raw = zlib.compressobj(wbits=-15)
    assert decoded(raw.compress(BODY) + raw.flush(), Content_Encoding="deflate") == BODY
    assert decoded(gzip.compress(BODY[:500]) + gzip.compress(BODY[500:]), Content_Encoding="gzip") == BODY


def test_a_body_that_is_not_coded_as_it_says_is_taken_as_it_stands():
    assert decoded(BODY, Transfer_Encoding="chunked") == BODY
    assert decoded(BODY, Content_Encoding="gzip") == BODY
    lies = b"10\r\n" + BODY[:16] + b"\r\n" + BODY[16:]
    assert decoded(lies, Transfer_Encoding="chunked") == BODY
    assert decoded(b"ffffff\r\n" + BODY, Transfer_Encoding="chunked") == BODY


def test_what_is_cut_short_gives_what_there_is():
    assert BODY.startswith(decoded(gzip.compress(BODY)[:-10], Content_Encoding="gzip"))


@pytest.mark.parametrize("name", ["gzip", "br", "zstd", "deflate"])
def test_a_bomb_is_refused_and_damage_named(name):
    packed = CODINGS[name](bytes(50_000_000))
    with pytest.raises(BadBodyError, match=f"too large: over 1,000,000 bytes out of .* of {name}"):
        decoded(packed, 1_000_000, Content_Encoding=name)
    broken = bytearray(CODINGS[name](BODY))
    broken[2:12] = b"\xff" * 10
    with pytest.raises(BadBodyError, match=f"bad content encoding: {name}"):
        decoded(bytes(broken), Content_Encoding=name)


def test_a_coding_that_nobody_knows():
    with pytest.raises(BadBodyError, match="bad content encoding: 'snappy' is not known"):
        decoded(b"\xff" + BODY, Content_Encoding="snappy")


def test_status_lines_and_headers_that_break_the_rules():
    found = split_response(b"HTTP/1.1 200\nA: 1\na: 2\nno colon\n\nbody\n\nmore")
    assert (found.status, found.headers, found.body) == (200, {"a": "1, 2"}, b"body\n\nmore")
    assert split_response(b"HTTP/1.1 OK\r\n\r\nx").status == 0
    assert split_response(b"<html>").body == b"<html>"
    assert split_response(b"HTTP/1.1 404 Not Found\r\nA: b").status == 404


@pytest.mark.parametrize("name", ["gzip", "br", "zstd", "deflate"])
def test_a_body_that_ends_before_its_time_is_told(name):
    packed = CODINGS[name](BODY)
    whole = chunked(packed)
    for body, headers in [
        (packed[:-6], {"Content_Encoding": name}),
        (whole[: len(whole) // 2], {"Content_Encoding": name, "Transfer_Encoding": "chunked"}),
        (whole[:-5], {"Content_Encoding": name, "Transfer_Encoding": "chunked"}),
        (packed, {"Content_Encoding": name, "Content_Length": str(len(packed) + 1)}),
    ]:
        found = decoded_body(split_response(response(body, **headers)), 1 << 20)
        assert found.is_cut and BODY.startswith(found.data), headers
    good = {"Content_Encoding": name, "Content_Length": str(len(packed))}
    assert decoded_body(split_response(response(packed, **good)), 1 << 20) == (BODY, False)


@pytest.mark.parametrize("name", ["br", "deflate", "zstd", "8bit", "iso-8859-1", "br, br"])
def test_html_that_is_not_coded_as_it_says_is_taken_as_it_stands(name):
    assert decoded(BODY, Content_Encoding=name) == BODY
    if name == "br, br":  # a header that came twice
        assert decoded(brotli.compress(BODY), Content_Encoding=name) == BODY


def test_codings_of_the_transfer():
    assert decoded(gzip.compress(BODY), Transfer_Encoding="gzip") == BODY
    assert decoded(chunked(gzip.compress(BODY)), Transfer_Encoding="gzip, chunked") == BODY


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_body_of_countless_members_is_refused_at_once(name):
    with pytest.raises(BadBodyError, match=f"{name}: over 1,000 members"):
        decoded(CODINGS[name](b"") * 500_000, Content_Encoding=name)


def test_a_head_of_carriage_returns_takes_linear_time():
    assert split_response(b"HTTP/1.1 200 OK\n" + b"\r" * 20_000_000 + b"x").status == 200
