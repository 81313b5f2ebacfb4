"""The bytes of raw, MDS and litdata shards, against their published layouts read with nothing but struct and numpy."""

import gzip
import io
import itertools
import json
import struct

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from winnow.errors import FormatError
from winnow.shards.formats import litdata, mds, raw
from winnow.shards.formats.documents import Documents, documents_of, pieces_of
from winnow.shards.formats.formats import check_formats
from winnow.shards.formats.payload import check_ids
from winnow.shards.packed_rows import PackedRows

END = 0


def stream(lengths: list[int], row_tokens: int, skip: int = 0, dtype=np.uint16) -> tuple[PackedRows, list[np.ndarray]]:
    """Documents joined by END, cut into rows after ``skip`` tokens, padded with END; and what each should be."""
    rng = np.random.default_rng(sum(lengths))
    documents = [np.append(rng.integers(1, 60_000, n), END).astype(dtype) for n in lengths]
    tokens = np.concatenate(documents)[skip:]
    rows = -(-len(tokens) // row_tokens)
    flat = np.full(rows * row_tokens, END, dtype)
    flat[: len(tokens)] = tokens
    borders = np.cumsum([0, *map(len, documents)]) - skip
    left = [tokens[max(a, 0) : b] for a, b in itertools.pairwise(borders) if b > 0]
    cuts = sorted({*borders[borders >= 0].tolist(), *range(0, len(tokens), row_tokens), 0})
    cuts = [cut for cut in cuts if cut <= len(tokens)]
    pieces = np.diff(cuts)
    counts = np.bincount(np.array(cuts[:-1]) // row_tokens, minlength=rows)
    return PackedRows(
        flat.reshape(rows, row_tokens), pieces.astype(np.uint32), np.concatenate([[0], np.cumsum(counts)])
    ), left


CASES = st.tuples(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(1, 17))


@given(CASES, st.data())
def test_documents_of_a_stream_go_over_rows_and_come_back(case, data):
    lengths, row_tokens = case
    skip = data.draw(st.integers(0, lengths[0]))
    packed, expected = stream(lengths, row_tokens, skip)
    found = documents_of(packed, END)
    flat = packed.rows.reshape(-1)
    assert [flat[s:e].tolist() for s, e in zip(*found, strict=True)] == [d.tolist() for d in expected]
    pieces, offsets = pieces_of(found, *packed.rows.shape)
    assert pieces.tolist() == packed.pieces.tolist()
    assert offsets.tolist() == packed.offsets.tolist()


def test_without_a_stream_every_piece_is_a_document():
    rows = np.array([[1, 2, 3, 4], [5, 6, 0, 9], [7, 0, 9, 9]], np.uint32)
    packed = PackedRows(rows, np.array([4, 3, 2], np.uint32), np.array([0, 1, 2, 3]))
    assert documents_of(packed, None) == (pytest.approx([0, 4, 8]), pytest.approx([4, 7, 10]))
    assert documents_of(packed, END) == (pytest.approx([0, 8]), pytest.approx([7, 10]))


@given(CASES, st.sampled_from([np.uint16, np.uint32]))
def test_raw_indexes_tell_the_same_documents(case, dtype):
    packed, expected = stream(*case, dtype=dtype)
    files = dict(raw.sidecars(packed, END, 60_000))
    payload = b"".join(raw.payload(packed))
    assert payload == packed.rows.astype(packed.rows.dtype.newbyteorder("<")).tobytes()
    flat = packed.rows.reshape(-1)

    index = files[".idx"]
    magic, version, code, number, entries = struct.unpack_from("<9sQBQQ", index)
    assert (magic, version, code) == (b"MMIDIDX\0\0", 1, 8 if dtype == np.uint16 else 4)
    assert (number, entries) == (len(expected), len(expected) + 1)
    lengths = np.frombuffer(index, "<i4", number, 34)
    pointers = np.frombuffer(index, "<i8", number, 34 + 4 * number)
    assert np.frombuffer(index, "<i8", offset=34 + 12 * number).tolist() == list(range(number + 1))
    for length, pointer, document in zip(lengths, pointers, expected, strict=True):
        assert np.frombuffer(payload, dtype, length, pointer).tolist() == document.tolist()

    listed = [tuple(map(int, line.split(","))) for line in gzip.decompress(files[".csv.gz"]).decode().split()]
    assert [flat[s:e].tolist() for s, e in listed] == [d.tolist() for d in expected]

    offsets = np.load(io.BytesIO(files[".offsets"]))
    ends = np.frombuffer(files[".ds.index"], "<u8")
    assert offsets.tolist() == [0, *ends.tolist()]
    assert ends[-1] == flat.size  # padding counts to the last document
    assert ends[:-1].tolist() == [e for _, e in listed[:-1]]

    again = raw.read(payload, index, case[1])
    for a, b in zip(again[:3], packed[:3], strict=True):
        assert a.tolist() == b.tolist() and a.dtype == b.dtype


def test_padding_inside_the_payload_belongs_to_no_document():
    rows = np.array([[1, 0, 9, 9], [3, 4, 0, 9]], np.uint16)
    packed = PackedRows(rows, np.array([2, 3], np.uint32), np.array([0, 1, 2]))
    files = dict(raw.sidecars(packed, None, 10))
    assert gzip.decompress(files[".csv.gz"]) == b"0,2\n4,7\n"
    assert np.frombuffer(files[".ds.index"], "<u8").tolist() == [4, 8]
    again = raw.read(b"".join(raw.payload(packed)), files[".idx"], 4)
    assert again.pieces.tolist() == [2, 3] and again.offsets.tolist() == [0, 1, 2]


def test_a_gzip_member_holds_no_time():
    assert raw.gzipped("1,2\n") == raw.gzipped("1,2\n")
    assert raw.gzipped("x")[4:8] == b"\0\0\0\0"


def samples(content: bytes, columns: dict[str, tuple[np.dtype, int]]) -> list[dict[str, np.ndarray]]:
    """An MDS file by its layout: count, offsets, JSON, samples."""
    (number,) = struct.unpack_from("<I", content)
    offsets = np.frombuffer(content, "<u4", number + 1, 4)
    assert offsets[-1] == len(content)
    found = []
    for begin, end in itertools.pairwise(offsets):
        sample, at = {}, int(begin)
        for name in sorted(columns):
            dtype, length = columns[name]
            sample[name] = np.frombuffer(content, dtype, length, at)
            at += length * dtype.itemsize
        assert at == end
        found.append(sample)
    return found


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_mds_holds_rows_and_columns(compression):
    packed, _ = stream([300] * 40, 8)
    mask = (packed.rows > 30_000).astype(np.uint8)
    packed = packed._replace(columns={"attention_mask": mask, "zzz": packed.rows.astype(np.uint32)})
    shard = mds.MdsShard(packed, 3, compression)
    stored = b"".join(map(bytes, shard.contents()))
    entry = shard.entry(len(stored), "00")
    content = zstandard.ZstdDecompressor().decompress(stored) if compression == "zstd" else stored
    kinds = {
        "tokens": (np.dtype(np.uint16), 8),
        "attention_mask": (np.dtype(np.uint8), 8),
        "zzz": (np.dtype(np.uint32), 8),
    }
    found = samples(content, kinds)
    for name, values in {"tokens": packed.rows, **packed.columns}.items():
        assert np.array_equal(np.stack([sample[name] for sample in found]), values)
    assert entry["column_names"] == ["attention_mask", "tokens", "zzz"]
    assert entry["column_encodings"] == ["ndarray:uint8:8", "ndarray:uint16:8", "ndarray:uint32:8"]
    assert entry["raw_data"]["basename"] == "shard.00003.mds" and entry["raw_data"]["bytes"] == len(content)
    if compression == "zstd":
        assert entry["zip_data"] == {
            "basename": "shard.00003.mds.zstd",
            "bytes": len(stored),
            "hashes": {"sha256": "00"},
        }
    else:
        assert entry["zip_data"] is None


def test_litdata_chunk_is_a_flat_array_behind_its_offsets():
    packed, _ = stream([50] * 9, 16, dtype=np.uint32)
    content = b"".join(map(bytes, litdata.contents(packed, 60_000)))
    number = len(packed.rows)
    offsets = np.frombuffer(content, "<u4", number + 1, 4)
    assert struct.unpack_from("<I", content) == (number,)
    assert offsets[0] == 4 * (number + 2) and offsets[-1] == len(content)
    assert content[offsets[0] :] == packed.rows.tobytes()
    index = json.loads(litdata.index_json([litdata.entry(packed, 0, len(content))], 4, ["hash"]))
    assert index["config"]["data_format"] == ["no_header_tensor:16"]
    other = json.loads(litdata.index_json([litdata.entry(packed, 0, len(content))], 4, ["another"]))
    assert index["updated_at"] != other["updated_at"]  # or litdata's cache would serve the old chunks


def test_ids_out_of_range_name_row_and_id():
    rows = np.array([[1, 2], [3, 70_000], [1, 1]], np.uint32)
    with pytest.raises(FormatError, match="row 1 .* token id 70,000, but the vocabulary ends at 69,999"):
        check_ids(rows, 70_000)
    check_ids(rows, 70_001)


def test_formats_that_read_int32_refuse_larger_ids():
    packed, _ = stream([5], 4, dtype=np.uint32)
    for write in (
        lambda: list(raw.sidecars(packed, END, 2**31 + 1)),
        lambda: list(litdata.contents(packed, 2**31 + 1)),
    ):
        with pytest.raises(FormatError, match="int32"):
            write()


def test_formats_of_bare_ids_refuse_columns():
    packed, _ = stream([5], 4)
    packed = packed._replace(columns={"position_ids": packed.rows})
    for write in (lambda: list(raw.sidecars(packed, END, 60_000)), lambda: list(litdata.contents(packed, 60_000))):
        with pytest.raises(FormatError, match="position_ids"):
            write()


def huge() -> PackedRows:
    """Rows of over 4 GiB that take no memory."""
    rows = np.broadcast_to(np.zeros((1, 1 << 20), np.uint32), (1025, 1 << 20))
    return PackedRows(rows, np.full(1025, 1 << 20, np.uint32), np.arange(1026))


def test_shards_over_4_gib_are_refused_by_formats_with_32_bit_offsets():
    with pytest.raises(FormatError, match="4 GiB"):
        mds.MdsShard(huge(), 0, "none")
    with pytest.raises(FormatError, match="4 GiB"):
        next(iter(litdata.contents(huge(), 100)))
    for name in ("mds", "litdata"):
        with pytest.raises(FormatError, match=f"{name} cannot hold .*shard_mb"):
            check_formats([name], 1025, 4 << 20)
        check_formats([name], 1000, 4 << 20)
    check_formats(["parquet", "raw"], 5000, 4 << 20)


def test_a_cut_payload_or_a_foreign_index_is_refused():
    packed, _ = stream([50], 8)
    index = raw.megatron_index(Documents(np.array([0]), np.array([51])), packed.rows.dtype)
    with pytest.raises(FormatError, match="cut"):
        raw.read(packed.rows.tobytes()[:-1], index, 8)
    with pytest.raises(FormatError, match="not a Megatron index"):
        raw.read(packed.rows.tobytes(), b"x" + index[1:], 8)
    for cut in (0, 20, 40, len(index) - 9):
        with pytest.raises(FormatError, match="the file was cut"):
            raw.read(packed.rows.tobytes(), index[:cut], 8)
    with pytest.raises(FormatError, match="do not follow each other"):
        raw.read(packed.rows.tobytes(), index[:37] + b"\x70" + index[38:], 8)
