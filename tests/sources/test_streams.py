import bz2
import errno
import gzip
import io
import json
import lzma
import os
import random
import struct
import zlib
from functools import partial

import lz4.frame
import pytest
import zstandard

from tests.support.reading import read

LINES = [json.dumps({"text": f"{number} " + "word " * (number % 50)}).encode() + b"\n" for number in range(3_000)]
TEXTS = [json.loads(line)["text"] for line in LINES]
DATA = b"".join(LINES)
COMPRESS = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lz4": partial(lz4.frame.compress, content_checksum=True),  # as the command lz4 does
}
suffixes = pytest.mark.parametrize("suffix", COMPRESS)


def _file(tmp_path, suffix, data):
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(data)
    return path


@suffixes
def test_one_stream_and_many_read_the_same(tmp_path, suffix):
    compress = COMPRESS[suffix]
    third = len(DATA) // 3
    many = compress(DATA[:third]) + compress(b"") + compress(DATA[third : 2 * third]) + compress(DATA[2 * third :])
    for stored in (compress(DATA), many):
        found = read(_file(tmp_path, suffix, stored))
        assert found.texts == TEXTS and found.rows == list(range(3_000)) and not found.unreadable
        assert found.bytes_read == len(stored)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_zeros_between_and_behind_members_are_padding(tmp_path, suffix):
    stored = COMPRESS[suffix](DATA) + bytes(512) + COMPRESS[suffix](b'{"text":"z"}') + bytes(8)
    found = read(_file(tmp_path, suffix, stored))
    assert found.texts == [*TEXTS, "z"] and not found.unreadable


def test_zstd_with_a_dictionary_is_called_that(tmp_path):
    samples = [f"hello world {n} lorem ipsum dolor sit amet".encode() * 3 for n in range(2000)]
    trained = zstandard.train_dictionary(4096, samples)
    raw = zstandard.ZstdCompressionDict(DATA[:5000], dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    for dictionary, before, reason in (
        (trained, b"", f"needs a dictionary: zstd data made with dictionary {trained.dict_id()}; decompress"),
        (trained, COMPRESS[".zst"](DATA), "needs a dictionary: zstd data made with dictionary (of a later frame); dec"),
        (raw, b"", "corrupt file: zstd: Data corruption detected; or it was made with a dictionary without a number"),
    ):
        stored = before + zstandard.ZstdCompressor(dict_data=dictionary).compress(DATA)
        found = read(_file(tmp_path, ".zst", stored))
        assert found.texts == (TEXTS if before else [])
        assert [bad.row for bad in found.unreadable] == [None] and found.unreadable[0].reason.startswith(reason)


def test_zstd_long_windows_and_skippable_frames(tmp_path):
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=31, enable_ldm=True)
    long = zstandard.ZstdCompressor(compression_params=parameters).compressobj()  # unknown size: window stays 2 GiB
    stored = long.compress(DATA) + long.flush()
    assert zstandard.get_frame_parameters(stored).window_size == 1 << 31
    skippable = struct.pack("<II", 0x184D2A53, 100) + bytes(100)
    found = read(_file(tmp_path, ".zst", skippable + stored + skippable + COMPRESS[".zst"](DATA) + skippable))
    assert found.texts == TEXTS * 2 and not found.unreadable
    found = read(_file(tmp_path, ".zst", COMPRESS[".zst"](DATA) + skippable[:-1]))
    assert found.texts == TEXTS and found.kinds == [(None, "truncated file")]


@suffixes
def test_a_file_cut_anywhere_gives_what_came_before_and_says_so(tmp_path, suffix):
    small = b"".join(LINES[:24])
    stored = COMPRESS[suffix](small) + COMPRESS[suffix](small)
    boundary = len(stored) // 2
    for cut in range(len(stored)):
        found = read(_file(tmp_path, suffix, stored[:cut]), size=len(stored))
        assert found.texts == (TEXTS[:24] * 2)[: len(found.texts)], cut
        assert len(found.texts) < 48 or cut > boundary
        *lines, fault = found.unreadable
        assert fault.row is None and fault.position <= cut
        if cut == boundary:
            assert found.texts == TEXTS[:24] and fault.reason.startswith("shorter file")
        else:
            assert fault.reason.split(":")[0] in ("truncated file", "wrong format", "shorter file"), (
                cut,
                fault,
            )
        assert len(lines) <= 1 and all(bad.row == len(found.texts) for bad in lines)
        assert all(bad.reason.startswith("cut off") for bad in lines)


@suffixes
def test_truncation_late_in_a_large_file_loses_little(tmp_path, suffix):
    lines = [json.dumps({"text": f"{n} {random.Random(n).random()}"}).encode() + b"\n" for n in range(30_000)]
    stored = COMPRESS[suffix](b"".join(lines))
    found = read(_file(tmp_path, suffix, stored[:-20]), size=len(stored))
    assert found.unreadable[-1].reason.startswith("truncated file")
    assert found.texts == [json.loads(line)["text"] for line in lines[: len(found.texts)]]
    if suffix != ".bz2":  # a block of bzip2 is 900 kB, all or nothing
        assert len(found.texts) > 24_000


@suffixes
def test_a_corrupt_block_in_the_middle(tmp_path, suffix):
    compress = COMPRESS[suffix]
    first, second = compress(DATA), bytearray(compress(DATA))
    middle = len(second) // 2
    second[middle : middle + 40] = bytes(random.Random(1).randbytes(40))
    stored = first + bytes(second) + compress(DATA)
    found = read(_file(tmp_path, suffix, stored))
    assert len(found.texts) >= 3_000 - 10 and found.texts[:2_900] == TEXTS[:2_900]
    fault = found.unreadable[-1]
    assert fault.row is None and fault.reason.startswith("corrupt file")
    assert 0 < fault.position <= len(stored)
    assert sum(bad.row is None for bad in found.unreadable) == 1


@suffixes
def test_rubbish_behind_the_last_stream(tmp_path, suffix):
    stored = COMPRESS[suffix](DATA) + b"this is something else"
    found = read(_file(tmp_path, suffix, stored))
    assert found.texts == TEXTS
    assert found.kinds[-1] == (None, "corrupt file")


@pytest.mark.parametrize("suffix", ["", *COMPRESS])
@pytest.mark.parametrize("holds", [*COMPRESS, "utf-16", ""])
def test_a_file_that_is_not_what_its_name_says(tmp_path, suffix, holds):
    stored = DATA.decode().encode("utf-16") if holds == "utf-16" else COMPRESS.get(holds, bytes)(DATA)
    found = read(_file(tmp_path, suffix, stored))
    if suffix == holds:
        assert found.texts == TEXTS
    else:
        assert found.texts == [] and found.kinds == [(None, "wrong format")]
        assert found.unreadable[0].bytes == len(stored)


@suffixes
def test_an_empty_compressed_file_is_a_fault(tmp_path, suffix):
    assert read(_file(tmp_path, suffix, b"")).kinds == [(None, "truncated file")]


def test_random_damage_never_raises_and_never_invents(tmp_path):
    chance = random.Random(5)
    small, known = b"".join(LINES[:200]), set(TEXTS)
    for suffix, compress in COMPRESS.items():
        stored = compress(small)
        for _ in range(60):
            broken = bytearray(stored)
            for _ in range(chance.randint(1, 3)):
                broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
            found = read(_file(tmp_path, suffix, bytes(broken)))
            if suffix in (".xz", ".bz2"):  # the checksum comes before the data
                assert set(found.texts) <= known
            assert found.unreadable or found.texts == TEXTS[:200] or bytes(broken) == stored


def test_missing_and_forbidden_files_are_noted(tmp_path):
    assert read(tmp_path / "none.jsonl").kinds == [(None, "missing file")]
    (tmp_path / "folder.jsonl").mkdir()
    assert read(tmp_path / "folder.jsonl", size=9).kinds == [(None, "failed to read")]

    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    for name in ("a.jsonl", "a.parquet", "a.txt.zst"):
        found = read(tmp_path / name, opener=refuse)
        assert found.kinds == [(None, "no permission")]


class _Failing(io.BytesIO):
    """A file whose disk fails at a given byte."""

    def __init__(self, data, good_bytes, error):
        super().__init__(data)
        self.good_bytes, self.error = good_bytes, error

    def read(self, limit=-1):
        if self.tell() + (limit if limit >= 0 else 1 << 60) > self.good_bytes:
            if self.tell() >= self.good_bytes:
                raise self.error
            limit = self.good_bytes - self.tell()
        return super().read(limit)


@pytest.mark.parametrize("suffix", ["", *COMPRESS])
def test_a_failing_disk_ends_the_file_but_a_lost_connection_is_for_the_caller(tmp_path, suffix):
    stored = COMPRESS.get(suffix, bytes)(DATA)
    path = _file(tmp_path, suffix, stored)
    good = len(stored) - 500
    found = read(path, opener=lambda _: _Failing(stored, good, OSError(errno.EIO, "Input/output error")))
    assert found.texts == TEXTS[: len(found.texts)] and (len(found.texts) > 1_000 or suffix in (".bz2", ".xz"))
    assert found.unreadable[-1].reason == "failed to read: Input/output error"
    assert found.unreadable[-1].position == good
    for error in (
        ConnectionResetError("gone"),
        TimeoutError("late"),
        OSError(errno.EMFILE, "too many open files"),
    ):
        with pytest.raises(OSError):
            read(path, opener=lambda _, error=error: _Failing(stored, good, error))


def test_bytes_that_expand_a_thousandfold_stay_in_bounds(tmp_path):
    import resource

    line = b'{"text":"' + b"a" * 990 + b'"}\n'
    for suffix in (".gz", ".zst", ".bz2"):
        stored = COMPRESS[suffix](line * 60_000)
        assert len(stored) < len(line) * 60_000 / 150
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = read(_file(tmp_path, suffix, stored), batch_bytes=1 << 20, max_document_mb=1)
        assert len(found.texts) == 60_000 and found.batches > 40
        del found
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 130_000  # kB; the texts alone are 60 MB


def test_gzip_header_fields_are_understood(tmp_path):
    raw = zlib.compressobj(wbits=-15)
    body = raw.compress(DATA) + raw.flush()
    header = b"\x1f\x8b\x08\x18" + bytes(6) + b"name.jsonl\0" + b"a comment\0"
    stored = header + body + struct.pack("<II", zlib.crc32(DATA), len(DATA))
    assert read(_file(tmp_path, ".gz", stored)).texts == TEXTS
    found = read(_file(tmp_path, ".gz", stored[:-8] + struct.pack("<II", 1, len(DATA))))
    assert found.kinds[-1] == (None, "corrupt file")


def test_damaged_zstd_never_loses_a_whole_block_before_the_damage(tmp_path):
    first = zstandard.compress(DATA)
    damaged = bytearray(zstandard.compress(b"x" * 10 + DATA))
    damaged[:4] = b"oops"
    found = read(_file(tmp_path, ".zst", first + bytes(damaged)))
    assert found.texts == TEXTS and found.kinds == [(None, "corrupt file")]
