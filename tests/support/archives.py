"""Web archives made by warcio, for tests of what reads them."""

import io
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

PAGE = b"<html><head><title>Page %d</title></head><body><article><h1>Page %d</h1><p>%s</p></article></body></html>"


def page(number: int, sentences: int = 12) -> bytes:
    """A small article."""
    said = b" ".join(b"This is sentence %d of page %d, and it says a little." % (n, number) for n in range(sentences))
    return PAGE % (number, number, said)


def archive(
    pages: list[bytes], *, gzip: bool = True, headers: list[tuple[str, str]] | None = None, requests: bool = True
) -> bytes:
    """A WARC file: warcinfo, then for each page a request and a response with status 200."""
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=gzip)
    writer.write_record(writer.create_warcinfo_record("made.warc", {"software": "tests"}))
    said = headers or [("Content-Type", "text/html; charset=utf-8")]
    for number, body in enumerate(pages):
        url = f"http://example.org/{number}"
        record_id = f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>"
        if requests:
            asked = StatusAndHeaders("GET / HTTP/1.1", [("Host", "example.org")], is_http_request=True)
            writer.write_record(
                writer.create_warc_record(
                    url,
                    "request",
                    http_headers=asked,
                    warc_headers_dict={"WARC-Date": "2026-01-01T00:00:00Z", "WARC-Record-ID": f"{record_id[:-1]}-r>"},
                )
            )
        answered = StatusAndHeaders("200 OK", said, protocol="HTTP/1.1")
        writer.write_record(
            writer.create_warc_record(
                url,
                "response",
                payload=io.BytesIO(body),
                http_headers=answered,
                warc_headers_dict={"WARC-Date": "2026-01-01T00:00:00Z", "WARC-Record-ID": record_id},
            )
        )
    return out.getvalue()


def write_archive(path: Path, pages: list[bytes], **how: object) -> Path:
    """An archive as a file."""
    path.write_bytes(archive(pages, gzip=path.suffix == ".gz", **how))  # type: ignore[arg-type]
    return path
