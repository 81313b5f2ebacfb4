"""The records of archives of other projects, beside fastwarc: kind, id, headers and every byte of the body."""

import io

import pytest

from tests.sources.web.test_framing import WARC, read

FAULTS_OF_FASTWARC = {
    # file: records that it reads rightly before it stops or errs, and why
    "sample_archive_warcs_example.arc": (0, "knows no ARC"),
    "sample_archive_warcs_example.arc.gz": (0, "knows no ARC"),
    "test_data_example-space-in-url.arc": (0, "knows no ARC"),
    "test_data_example.arc": (0, "knows no ARC"),
    "test_data_example.arc.gz": (0, "knows no ARC"),
    "tests_data_clipped.warc.gz": (0, "gives a record that was cut short as a whole one"),
    "sample_archive_warcs_example.warc": (4, "stops behind a Content-Length that is 7 bytes short"),
    "test_data_example-trunc.warc": (2, "stops behind a Content-Length that is 6 bytes short"),
    "sample_archive_warcs_missing-status-text.warc": (
        0,
        "takes HTTP headers for its own, of lines that end CRCRLF",
    ),
}


def theirs(data: bytes) -> list[tuple[str, str, bytes, dict[str, str]]]:
    fastwarc = pytest.importorskip("fastwarc.warc", reason="needs fastwarc (pip install -c constraints.txt '.[dev]')")
    found = []
    try:
        for record in fastwarc.ArchiveIterator(io.BytesIO(data), parse_http=False, auto_decode="none"):
            headers = {name.lower(): value for name, value in record.headers}
            if "warc-target-uri" in headers:
                headers["warc-target-uri"] = headers["warc-target-uri"].strip("<>")  # WARC 1.0 has them, 1.1 has not
            found.append((headers.get("warc-type", ""), record.record_id, record.reader.read(), headers))
    except OSError:
        pass  # in files that the table names
    return found


@pytest.mark.skipif(not WARC.is_dir(), reason="needs the shared folder warc/ with archives of other projects")
def test_every_record_that_fastwarc_reads_rightly() -> None:
    compared = 0
    for path in sorted(WARC.glob("*/*")):
        data = path.read_bytes()
        good, _ = read(data, next((c for c in (".gz", ".lz4") if c in path.name), ""))
        ours = [(r.kind, r.headers.get("warc-record-id"), r.body, r.headers) for r in good]
        other = theirs(data)
        right, _ = FAULTS_OF_FASTWARC.get(path.name, (len(other), ""))
        if path.name not in FAULTS_OF_FASTWARC:
            assert len(ours) == len(other), path.name
        else:
            assert ours != other, f"{path.name} is read rightly now: take it out of the table"
        for mine, its in zip(ours[:right], other[:right], strict=True):
            assert mine[:3] == its[:3], path.name
            differ = {name for name, value in its[3].items() if mine[3].get(name) != " ".join(value.split())}
            assert not differ, (path.name, differ)
            compared += 1
    assert compared > 650, compared
