"""Records of web archives: those of other readers where these are right, and the next one after every fault."""

import gzip
import io
import itertools
import random
import re
import time
from collections import Counter
from pathlib import Path

import pytest
import zstandard
from warcio.archiveiterator import ArchiveIterator

from tests.support.archives import archive, page
from winnow.sources.records import FileFaultError
from winnow.sources.stored_file import StoredFile
from winnow.sources.web.framing import ArchiveRecord, Broken, records
from winnow.sources.web.members import pieces_of

WARC = Path(__file__).parents[4] / "shared" / "warc"
FAULTS_OF_OTHERS = {
    "sample_archive_warcs_example-bad.warc.gz.bad": 6,  # one gzip member for all records
    "test_data_example-bad.warc.gz.bad": 6,
    "test_data_example-bad-non-chunked.warc.gz": 6,
    "test_data_example-wrong-chunks.warc.gz": 2,  # loses its place behind a body whose chunks lie
}
"""Files that warcio stops in, and the records that they hold."""
BROKEN = {
    "tests_data_clipped.warc.gz": "cut short: 75207 of 88275 bytes",
    "test_data_example-space-in-url.arc": "cut short: 1579 of 1591 bytes",
    "sample_archive_warcs_bad.arc": "corrupt: headers of a record",
    "test_data_bad.arc": "corrupt: headers of a record",
}


def read(data: bytes, compression: str = "") -> tuple[list[ArchiveRecord], list[Broken]]:
    found = list(records(pieces_of(StoredFile(io.BytesIO(data), len(data)), compression), compressed=bool(compression)))
    return [r for r in found if isinstance(r, ArchiveRecord)], [r for r in found if isinstance(r, Broken)]


def kinds(data: bytes, compression: str = "") -> Counter[str]:
    return Counter(record.kind for record in read(data, compression)[0])


@pytest.mark.skipif(not WARC.is_dir(), reason="needs the shared folder warc/ with archives of other projects")
def test_every_record_of_archives_of_other_projects():
    for path in sorted(WARC.glob("*/*")):
        if ".lz4" in path.name:
            continue
        data, compression = path.read_bytes(), ".gz" if ".gz" in path.name else ""
        good, bad = read(data, compression)
        if path.name in BROKEN:
            assert bad[0].reason.startswith(BROKEN[path.name]), path.name
            continue
        assert not bad, (path.name, bad)
        if path.name in FAULTS_OF_OTHERS:
            assert len(good) == FAULTS_OF_OTHERS[path.name], path.name
            continue
        theirs = []
        for record in ArchiveIterator(io.BytesIO(data), arc2warc=True):
            theirs.append((record.rec_type, record.rec_headers.get_header("WARC-Target-URI")))
        ours = [(record.kind, record.headers.get("warc-target-uri")) for record in good]
        assert [kind for kind, _ in ours] == [kind for kind, _ in theirs], path.name
        if ".arc" not in path.name.replace(".warc", ""):
            spaceless = [(kind, url and url.replace(" ", "%20")) for kind, url in ours]
            assert spaceless == [(kind, url and url.replace(" ", "%20")) for kind, url in theirs], path.name


PAGES = [page(number) for number in range(8)]
WHOLE = Counter(warcinfo=1, request=8, response=8)


@pytest.mark.parametrize("ends", ["\r\n", "\n"])
def test_lines_may_end_with_a_line_feed_alone(ends):
    data = archive(PAGES, gzip=False)
    headers = re.compile(rb"WARC/1\.\d\r\n(?:[^\r\n]+\r\n)+\r\n")
    data = headers.sub(lambda match: match[0].replace(b"\r\n", ends.encode()), data)
    assert kinds(data) == WHOLE


def test_the_version_stands_in_any_case():
    plain = archive([page(n) for n in range(4)], gzip=False)
    places = itertools.count()
    odd = re.sub(rb"WARC(?=/1\.\d\r\n)", lambda match: match[0].lower() if next(places) % 2 else match[0], plain)
    for lies in (False, True):  # about the length of the second response
        written = [data.replace(b"Content-Length: 7", b"Content-Length: 8", lies) for data in (plain, odd)]
        (good, bad), (expected, wrong) = read(written[1]), read(written[0])
        assert [record.body for record in good] == [record.body for record in expected] and len(good) == 9 - lies
        assert [broken.reason for broken in bad] == [broken.reason for broken in wrong] and len(bad) == lies


@pytest.mark.parametrize("pack", ["one member", "members of any size", "zstd", "zstd with a dictionary"])
def test_members_need_not_be_records(pack):
    data = archive(PAGES, gzip=False)
    stretches = [data[at : at + 700] for at in range(0, len(data), 700)]
    if pack == "one member":
        assert kinds(gzip.compress(data), ".gz") == WHOLE
    elif pack == "members of any size":
        assert kinds(b"".join(map(gzip.compress, stretches)), ".gz") == WHOLE
    elif pack == "zstd":
        assert kinds(b"".join(map(zstandard.compress, stretches)), ".zst") == WHOLE
    else:
        dictionary = zstandard.train_dictionary(2000, [data[at : at + 100] for at in range(0, len(data), 50)])
        stored = zstandard.compress(dictionary.as_bytes())
        compressor = zstandard.ZstdCompressor(dict_data=dictionary)
        frame = (0x184D2A5D).to_bytes(4, "little") + len(stored).to_bytes(4, "little") + stored
        assert kinds(frame + b"".join(map(compressor.compress, stretches)), ".zst") == WHOLE


def test_one_flipped_byte_costs_one_record_and_is_told():
    data, rng = archive(PAGES), random.Random(5)
    for _ in range(150):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        good, bad = read(bytes(damaged), ".gz")
        assert len(good) >= 16 and (bad or len(good) == 17)


def test_a_cut_file_loses_the_record_that_was_cut():
    data = archive(PAGES)
    for cut in (1, 9, 60, 500):
        good, bad = read(data[:-cut], ".gz")
        assert len(bad) == 1 and 15 <= len(good) <= 17
        assert "cut short" in bad[0].reason or "do not end" in bad[0].reason
    plain = archive(PAGES, gzip=False)
    good, (bad,) = read(plain[:-100])
    assert len(good) == 16 and re.match(r"cut short: \d+ of \d+ bytes", bad.reason)
    assert plain[bad.position :].startswith(b"WARC/1.")


def test_archives_joined_and_what_stands_before_the_first_record():
    data, plain = archive(PAGES), archive(PAGES, gzip=False)
    assert kinds(data + data, ".gz") == WHOLE + WHOLE
    assert kinds(plain + plain) == WHOLE + WHOLE
    good, (bad,) = read(b"something else\n" * 5 + data, ".gz")
    assert len(good) == 17 and "75 bytes of something else" in bad.reason
    good, (bad,) = read(b"something else\n" * 5 + plain)
    assert len(good) == 17 and bad.reason == "corrupt: no record of an archive begins here" and bad.bytes == 75
    with pytest.raises(FileFaultError, match="wrong format"):
        read(b"something else\n" * 5, ".gz")


@pytest.mark.parametrize("zeros", [1, 512, 300_000])
def test_zeros_between_and_behind_members_are_padding(zeros):
    data = archive(PAGES)
    good, bad = read(data + bytes(zeros) + data + bytes(zeros), ".gz")
    assert len(good) == 34 and not bad and good[17].position == len(data) + zeros


@pytest.mark.parametrize(("factor", "lost"), [(3.0, 1), (0.5, 1), (1e6, 1)])
def test_a_content_length_that_lies_costs_its_record(factor, lost):
    data = archive(PAGES, gzip=False)
    match = list(re.finditer(rb"Content-Length: (\d+)\r\n\r\nHTTP/1.1 200", data))[3]
    length = int(match[1])
    wrong = data[: match.start(1)] + str(int(length * factor)).encode() + data[match.end(1) :]
    good, bad = read(wrong)
    assert len(good) == 17 - lost and len(bad) == 1
    assert bad[0].reason.startswith((f"wrong Content-Length: {int(length * factor)}", "too large", "cut short"))
    assert {record.kind for record in good} == {"warcinfo", "request", "response"}


def test_a_length_that_is_a_few_bytes_short_is_mended():
    data = archive(PAGES, gzip=False)
    match = list(re.finditer(rb"Content-Length: (\d+)\r\n\r\nHTTP/1.1 200", data))[3]
    wrong = data[: match.start(1)] + str(int(match[1]) - 3).encode().rjust(len(match[1]), b"0") + data[match.end(1) :]
    good, bad = read(wrong)
    assert not bad and [record.mended for record in good].count(True) == 1
    assert [record.body.strip() for record in good] == [record.body.strip() for record in read(data)[0]]


def test_headers_without_an_end_and_records_without_a_length():
    data = archive(PAGES[:2], gzip=False)
    good, bad = read(data.replace(b"WARC-Type: request", b"Some-Thing: request", 1))
    assert len(good) == 4 and bad[0].reason == "corrupt: headers of a record: no WARC-Type"
    good, bad = read(re.sub(rb"Content-Length: \d+\r\n\r\nGET", b"Content-Length: x\r\n\r\nGET", data, count=1))
    assert len(good) == 4 and bad[0].reason == "corrupt: headers of a record: no Content-Length"
    good, bad = read(data + b"WARC/1.0\r\n" + b"a: b\r\n" * 30_000)
    assert len(good) == 5 and "they do not end" in bad[0].reason


def test_a_long_record_is_passed_over_in_constant_memory(monkeypatch):
    monkeypatch.setattr("winnow.sources.web.framing.MOST_HELD_BYTES", 10_000)
    data = archive([PAGES[0], b"x" * 50_000, PAGES[1]])
    good, (bad,) = read(data, ".gz")
    assert len(good) == 6 and bad.reason.startswith("too large: a record of 50,")
    assert "00000000-0000-4000-8000-000000000001" in (bad.identity or "")


def test_archives_made_to_be_slow_are_read_in_linear_time():
    claim = gzip.compress(b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 60000000\r\n\r\n" + b"x" * 600, 1)
    good = gzip.compress(b"WARC/1.0\r\nWARC-Type: metadata\r\nContent-Length: 1\r\n\r\na\r\n\r\n")
    broken = bytearray(good)
    broken[14] ^= 255
    slow = {
        "members that claim more than the file has": (claim * 10_000, ".gz", 0),
        "members that are no records": (claim + gzip.compress(b"x" * 300, 1) * 20_000 + good * 1000, ".gz", 1000),
        "begins of members by chance": (bytes(broken) + b"\x1f\x8b\x08" * 20_000 + good, ".gz", 1),
        "headers that do not end": (b"WARC/1.0\na:b\n" * 20_000, "", 0),
        "carriage returns": (b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 9\n" + b"\r" * 10_000_000, "", 0),
        "lines of ARC": ((b"http://e.org/" + b" 12345678901234 1" * 230 + b" x\n") * 500, "", 0),
    }
    for what, (data, compression, number) in slow.items():
        started = time.process_time()
        assert len(read(data, compression)[0]) == number, what
        assert time.process_time() - started < 10, what
