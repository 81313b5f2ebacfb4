"""Manifest, shard files, rows and batches, without torch."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.shard_sets import END_OF_TEXT, numbered_rows, write_set
from winnow.errors import ShardError
from winnow.shards.dataset.batches import IGNORE, BatchForm, make_batch
from winnow.shards.dataset.columns import DecodedColumn, PlainColumn
from winnow.shards.dataset.picked_rows import PickedRows
from winnow.shards.dataset.plain_pages import Pages
from winnow.shards.dataset.steps import ReaderRank
from winnow.shards.dataset.stream import SampleStream, Source, positions_as_rows

INT64 = np.dtype("int64")


def reader(folder, **options):
    return Source(str(folder), **options).reader()


def read_all(source, name="input_ids", numbers=None):
    numbers = np.arange(source.starts[-1]) if numbers is None else np.asarray(numbers)
    return PickedRows(source, *positions_as_rows(source, numbers)).values(name)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts the threads of a process through /proc")
def test_reading_starts_no_thread_that_could_outlive_the_program(tmp_path):
    """A thread of Arrow's that frees a buffer while Python ends aborts the process (134, at times, under load)."""
    lens = [[[3, 2]] * 4000]
    write_set(tmp_path, {"train": [numbered_rows(4000)]}, {"train": lens}, compression="zstd")
    program = f"""
import os
import numpy as np
from winnow.shards.dataset.picked_rows import PickedRows
from winnow.shards.dataset.stream import Source
reader = Source({str(tmp_path)!r}).reader()
before = len(os.listdir("/proc/self/task"))
rows = PickedRows(reader, np.zeros(4000, int), np.arange(4000))
rows.values(), rows.piece_ends()
print(len(os.listdir("/proc/self/task")) - before)
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "0\n"


def test_the_reader_needs_no_torch_no_ray_no_numba_and_no_scipy(tmp_path):
    write_set(tmp_path, {"train": [numbered_rows(10)]})
    program = f"""
import sys
import winnow.shards
from winnow.shards.dataset.picked_rows import PickedRows
from winnow.shards.dataset.stream import Source
import numpy as np
rows = PickedRows(Source({str(tmp_path)!r}).reader(), np.zeros(3, int), np.arange(3))
rows.values(), rows.piece_ends()
heavy = [name for name in ("torch", "ray", "numba", "scipy", "pydantic", "orjson", "pandas") if name in sys.modules]
assert not heavy, heavy
try:
    import torch
except ImportError:
    sys.exit()
from winnow.shards import ShardDataset, ShardRows
list(ShardDataset({str(tmp_path)!r}, batch_size=2))
heavy = [name for name in ("ray", "numba", "scipy", "pydantic") if name in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_rows_are_what_arrow_reads(tmp_path, dtype, compression):
    # several pages and row groups a shard, rows across pages
    rng = np.random.default_rng(1)
    shards = [rng.integers(0, 60_000, (count, 701)).astype(dtype) for count in (2500, 1, 1300)]
    write_set(tmp_path, {"train": shards}, compression=compression)
    source = reader(tmp_path)
    plain = compression == "none"
    assert isinstance(source.shard(0).column("input_ids"), PlainColumn if plain else DecodedColumn)
    wanted = np.concatenate(shards)
    assert np.array_equal(read_all(source), wanted)
    table = pq.read_table(sorted(tmp_path.glob("train-*")))
    arrow = table["input_ids"].combine_chunks().flatten().to_numpy().reshape(-1, 701)
    assert np.array_equal(read_all(source), arrow)
    some = rng.permutation(len(wanted))
    assert np.array_equal(read_all(source, numbers=some), wanted[some])
    runs = np.concatenate([np.arange(100, 900), np.arange(2400, 2600), [3, 3, 0]])
    assert np.array_equal(read_all(source, numbers=runs), wanted[runs])


@given(st.integers(1, 5), st.integers(1, 12), st.lists(st.integers(0, 60), max_size=8), st.data())
def test_rows_may_go_over_pages(length, count, cuts, data):
    """Arrow has ended pages with rows since some version; others need not."""
    values = np.arange(count * length, dtype="<u4")
    first_values = [0, *sorted({cut for cut in cuts if 0 < cut < len(values)}), len(values)]
    content, offsets = b"", []
    for first, last in pairwise(first_values):
        content += b"#" * (1 + first % 3)
        offsets.append(len(content))
        content += values[first:last].tobytes()
    pages = Pages(np.array(first_values), np.array(offsets), 4)
    column = PlainColumn(memoryview(content), pages, length, values.dtype)
    wanted = values.reshape(count, length)
    rows = np.array(data.draw(st.lists(st.integers(0, count - 1), min_size=1)))
    assert np.array_equal(column.items(rows).view("<u4").reshape(-1, length), wanted[rows])
    first = data.draw(st.integers(0, count - 1))
    run = column.run(first, data.draw(st.integers(1, count - first)))
    assert np.array_equal(run, wanted[first : first + len(run)])


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_shards_that_other_writers_wrote_are_read_as_well(tmp_path, version):
    write_set(tmp_path, {"train": [numbered_rows(3000, 50)]})
    path = tmp_path / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    for options in ({}, {"use_dictionary": False}, {"use_dictionary": False, "compression": "none"}):
        pq.write_table(table, path, data_page_version=version, data_page_size=40_000, **options)
        described = json.loads((tmp_path / "manifest.json").read_bytes())
        described["shards"]["splits"]["train"]["shards"][0]["bytes"] = path.stat().st_size
        (tmp_path / "manifest.json").write_text(json.dumps(described))
        source = reader(tmp_path)
        assert isinstance(source.shard(0).column("input_ids"), PlainColumn) == ("compression" in options)
        assert np.array_equal(read_all(source), numbered_rows(3000, 50))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.integers(1, 60), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4),
    st.integers(0, 12), st.integers(1, 4), st.integers(1, 3),
)  # fmt: skip
def test_a_stream_is_read_once_and_goes_on_with_another_world(
    tmp_path_factory, count, shards, epochs, world, workers, batch, stop, world_after, batch_after
):
    folder = tmp_path_factory.mktemp("set")
    write_set(folder, {"train": np.array_split(numbered_rows(count), shards)})
    form = BatchForm(INT64)

    def read(start, world, workers, batch, steps=10**9):
        stream = SampleStream(reader(folder), seed=4, mix_shards=2, epochs=epochs)
        found = {}
        for rank in range(world):
            for worker in range(workers):
                place = ReaderRank(rank, world, worker, workers)
                for number, (_, arrays) in enumerate(stream.batches(place, batch, form, start, "pad")):
                    found[worker + number * workers, rank] = arrays["input_ids"][:, 0].tolist()
        return [row for (step, _), rows in sorted(found.items()) if step < steps for row in rows if row != END_OF_TEXT]

    whole = read(0, 1, 1, 1)
    assert whole[:count] == list(range(2, count + 2))
    for epoch in range(epochs):
        assert sorted(whole[epoch * count : (epoch + 1) * count]) == list(range(2, count + 2))
    assert read(0, world, workers, batch) == whole
    consumed = min(stop * batch * world, count * epochs)
    before = read(0, world, workers, batch, stop)
    assert before + read(consumed, world_after, 2, batch_after) == whole


def test_labels_stand_one_ahead_and_leave_padding_and_masked_tokens_out(tmp_path):
    rows = np.arange(100, 118, dtype=np.uint16).reshape(3, 6)
    lens = [[[6], [2, 1], [4, 2]]]
    masks = [{"loss_mask": np.array([[1] * 6, [1] * 6, [0, 0, 1, 0, 1, 1]], np.uint8)}]
    write_set(tmp_path, {"train": [rows]}, {"train": lens}, columns={"train": masks})
    source = reader(tmp_path)
    zeros = np.zeros(3, np.int64)
    form = BatchForm(INT64, position_ids=True, doc_lens=True, columns=("loss_mask",))
    batch = make_batch(source, zeros, np.arange(3), 4, form)
    assert batch["input_ids"].tolist() == [
        [100, 101, 102, 103, 104], [106, 107, 108, 109, 110], [112, 113, 114, 115, 116], [END_OF_TEXT] * 5,
    ]  # fmt: skip
    out = IGNORE
    assert batch["labels"].tolist() == [
        [101, 102, 103, 104, 105], [107, 108, out, out, out], [out, 114, out, 116, 117], [out] * 5,
    ]  # fmt: skip
    assert batch["position_ids"].tolist()[:3] == [[0, 1, 2, 3, 4], [0, 1, 0, 0, 1], [0, 1, 2, 3, 0]]
    assert batch["doc_lens"].tolist() == [[5, 0], [2, 1], [4, 1], [0, 0]]
    assert batch["loss_mask"].tolist()[:3] == [[1] * 5, [1] * 5, [0, 0, 1, 0, 1]]
    assert all(array.dtype == INT64 for array in batch.values())
    whole = make_batch(source, zeros, np.arange(3), 3, BatchForm(np.dtype("int32"), shift=False))
    assert whole["input_ids"].tolist() == rows.tolist()
    assert whole["labels"].tolist()[1] == [106, 107, 108, out, out, out]
    assert whole["labels"].dtype == np.int32


def plain_row(ids, pieces, mask, seen, most_pieces):
    """What a batch holds of one row, by a plain loop."""
    text = sum(pieces)
    labels = [int(token) if n < text and mask[n] else IGNORE for n, token in enumerate(ids)]
    lens, at = [], 0
    for length in pieces:
        lens.append(min(at + length, seen) - min(at, seen))
        at += length
    return {
        "input_ids": ids[:seen].tolist(),
        "labels": labels[len(ids) - seen :],
        "position_ids": [place for length in [*pieces, len(ids) - text] for place in range(length)][:seen],
        "doc_lens": lens + [0] * (most_pieces - len(lens)),
        "loss_mask": mask[:seen].tolist(),
    }


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    row_tokens=st.sampled_from([2, 3, 9, 300]),  # positions are made 8 and 16 bits wide
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    asked=st.integers(0, 14),
    in_a_row=st.booleans(),
    values=st.sampled_from([1, 2, 4]),  # a mask that leaves all out, one of 0 and 1, and one of other numbers
    ids=st.sampled_from(["uint16", "uint32"]),
    dtype=st.sampled_from(["int32", "int64"]),
    shift=st.booleans(),
    kind=st.sampled_from(["none", "zstd", "raw"]),
)
def test_batches_are_those_of_a_plain_loop(
    tmp_path_factory, seed, row_tokens, counts, asked, in_a_row, values, ids, dtype, shift, kind
):
    rng = np.random.default_rng(seed)
    rows, lens, columns = [], [], []
    for count in counts:
        rows.append(rng.integers(10, 60_000, (count, row_tokens)).astype(ids))
        cuts = np.sort(rng.integers(0, row_tokens + 1, (count, 4)), axis=1)
        lens.append([row[row > 0].tolist()[: rng.integers(0, 5)] for row in np.diff(cuts)])
        lens[-1][0] = [row_tokens]
        columns.append({"loss_mask": rng.integers(0, values, (count, row_tokens)).astype(np.uint8)})
    folder = tmp_path_factory.mktemp("set")
    formats, compression = (("raw",), "none") if kind == "raw" else (("parquet",), kind)
    write_set(folder, {"train": rows}, {"train": lens}, compression, {"train": columns}, formats)
    source = reader(folder)
    shards = rng.integers(0, len(counts), asked)
    numbers = rng.integers(0, source.shard_rows[shards])
    if in_a_row:
        numbers = np.arange(min(asked, counts[-1]))
        shards = np.full(len(numbers), len(counts) - 1)
    form = BatchForm(np.dtype(dtype), shift, position_ids=True, doc_lens=True, columns=("loss_mask",))
    batch = make_batch(source, shards, numbers, asked + 2, form)
    seen = row_tokens - shift
    picked = [(rows[s][n], lens[s][n], columns[s]["loss_mask"][n]) for s, n in zip(shards, numbers, strict=True)]
    most = max((len(pieces) for _, pieces, _ in picked), default=0)
    empty = {
        "input_ids": [END_OF_TEXT] * seen,
        "labels": [IGNORE] * seen,
        "position_ids": list(range(seen)),
        "doc_lens": [0] * most,
        "loss_mask": [0] * seen,
    }
    expected = [plain_row(*row, seen, most) for row in picked] + [empty] * (asked + 2 - len(picked))
    for name, array in batch.items():
        assert array.dtype == dtype
        assert array.tolist() == [row[name] for row in expected], name


def test_shards_that_are_decoded_and_shards_that_are_not_mix(tmp_path):
    rows = [numbered_rows(30, 6, "uint16"), numbered_rows(50, 6, "uint16")]
    write_set(tmp_path, {"train": rows})
    path = tmp_path / "train-00001-of-00002.parquet"
    pq.write_table(pq.read_table(path), path, compression="zstd", use_dictionary=False)
    described = json.loads((tmp_path / "manifest.json").read_bytes())
    described["shards"]["splits"]["train"]["shards"][1]["bytes"] = path.stat().st_size
    (tmp_path / "manifest.json").write_text(json.dumps(described))
    order = np.random.default_rng(1).permutation(80)
    assert np.array_equal(read_all(reader(tmp_path), numbers=order), np.concatenate(rows)[order])


def test_a_missing_manifest_and_a_run_folder_are_told_apart(tmp_path):
    with pytest.raises(ShardError, match=r"manifest.json does not exist; give the folder"):
        reader(tmp_path / "nothing")
    (tmp_path / "state.json").write_text('{"shards": "shards/abc"}')
    with pytest.raises(ShardError, match=r"run folder; its shard set is .*/shards/abc"):
        reader(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ('{"format": "winnow-shards-9"}', "winnow-shards-9"),
        ('{"format": "winnow-shards-1"}', "lacks"),
    ],
)  # fmt: skip
def test_a_broken_manifest_is_named(tmp_path, content, message):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ShardError, match=message):
        reader(tmp_path)


def test_empty_and_unknown_splits_are_refused_with_those_there_are(tmp_path):
    write_set(tmp_path, {"train": [numbered_rows(9)], "val": []})
    with pytest.raises(
        ShardError, match=r"split 'val' of .* is empty; the splits are train \(9 rows\), val \(0 rows\)"
    ):
        reader(tmp_path, split="val")
    with pytest.raises(ShardError, match=r"no split 'test'; it has train \(9 rows\)"):
        reader(tmp_path, split="test")


def test_a_missing_or_truncated_or_altered_shard_is_named(tmp_path):
    write_set(tmp_path, {"train": [numbered_rows(9), numbered_rows(8)]})
    path = tmp_path / "train-00001-of-00002.parquet"
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    with pytest.raises(
        ShardError, match=rf"{path.name} is cut short: {len(data) - 10:,} bytes, .*says {len(data):,}; copy"
    ):
        read_all(reader(tmp_path))
    path.write_bytes(data[:-20] + bytes(20))
    with pytest.raises(ShardError, match=rf"{path.name} is altered"):
        read_all(reader(tmp_path))
    at = data.index((5 + 2).to_bytes(4, "little"))  # an id of row 5: everything else stays as it was
    path.write_bytes(data[:at] + b"\x63" + data[at + 1 :])
    assert 0x63 in read_all(reader(tmp_path))
    with pytest.raises(ShardError, match=rf"{path.name} is altered: its sha256 is"):
        read_all(reader(tmp_path, verify=True))
    path.unlink()
    for verify in (False, True):
        with pytest.raises(ShardError, match=rf"{path.name} is missing"):
            read_all(reader(tmp_path, verify=verify))


def test_an_unknown_column_is_refused_with_those_there_are(tmp_path):
    write_set(tmp_path, {"train": [numbered_rows(9)]})
    with pytest.raises(ShardError, match="no column 'attention_mask'; it has input_ids, doc_lens"):
        read_all(reader(tmp_path), "attention_mask")


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_raw_shards_give_the_same_batches_and_the_same_order(tmp_path, dtype):
    rows = [numbered_rows(700, 30, dtype), numbered_rows(4, 30, dtype)]
    lens = [[[10, 20]] * 699 + [[30]], [[30], [1, 29], [30], [7]]]  # the last row is padded
    write_set(tmp_path / "both", {"train": rows}, {"train": lens}, formats=("parquet", "raw"))
    write_set(tmp_path / "raw", {"train": rows}, {"train": lens}, formats=("raw",))
    form = BatchForm(INT64, position_ids=True, doc_lens=True)
    streams = [
        SampleStream(source.reader(), seed=1, epochs=2)
        for source in (
            Source(str(tmp_path / "both")),
            Source(str(tmp_path / "both"), file_format="raw"),
            Source(f"file://{tmp_path}/raw", cache=str(tmp_path / "cache"), verify=True),
        )
    ]
    assert [stream.reader.shard_set.file_format for stream in streams] == ["parquet", "raw", "raw"]
    assert streams[0].identity == streams[1].identity
    for (_, first), *others in zip(*(stream.batches(ReaderRank(), 50, form) for stream in streams), strict=True):
        for _, batch in others:
            for name, values in first.items():
                assert np.array_equal(batch[name], values), name
    next((tmp_path / "raw" / "raw").glob("*1.idx")).unlink()
    with pytest.raises(ShardError, match=r"train-00001.idx is missing"):
        Source(str(tmp_path / "raw")).reader().shard(1).filled(np.arange(4))


@pytest.mark.parametrize("verify", [False, True])
def test_a_cut_or_altered_index_of_a_raw_shard_is_named(tmp_path, verify):
    lens = [[[2, 3]] * 8 + [[4]]]
    write_set(tmp_path, {"train": [numbered_rows(9)]}, {"train": lens}, formats=("raw",))
    path = tmp_path / "raw" / "train-00000.idx"
    data = path.read_bytes()

    def message(content):
        path.write_bytes(content)
        with pytest.raises(ShardError, match=r"train-00000\.idx is .*; copy it again") as error:
            reader(tmp_path, verify=verify).shard(0).filled(np.arange(9))
        return str(error.value)

    assert f"cut short: {len(data) - 9:,} bytes, but the manifest says {len(data):,}" in message(data[:-9])
    assert "cut short: 40 bytes" in message(data[:40])
    assert "altered" in message(data + b"\0")
    at = 34 + 4 * 8  # length of the last of 9 documents, which goes over two rows
    assert int.from_bytes(data[at : at + 4], "little") == 7
    last = message(data[:at] + b"\1" + data[at + 1 :])
    assert ("its sha256 is" if verify else "its documents have 38 tokens in 9 rows, but the manifest says 44") in last
    assert "altered" in message(bytes(len(data)))
    swapped = data[:34] + data[38:42] + data[34:38] + data[42:]  # lengths 5, 2 instead of 2, 5: as many tokens
    assert "altered" in message(swapped)
    path.write_bytes(data)
    assert reader(tmp_path, verify=verify).shard(0).filled(np.arange(9)).tolist() == [5] * 8 + [4]
    described = json.loads((tmp_path / "manifest.json").read_bytes())
    described["shards"]["splits"]["train"]["shards"][0]["files"] = []
    (tmp_path / "manifest.json").write_text(json.dumps(described))
    with pytest.raises(ShardError, match=r"lists no \.idx beside raw/train-00000\.bin"):
        reader(tmp_path).shard(0).filled(np.arange(9))


def test_no_altered_footer_reaches_arrow(tmp_path, monkeypatch):
    write_set(tmp_path, {"train": [numbered_rows(9)]}, footers=True)
    path = tmp_path / "train-00000-of-00001.parquet"
    data = path.read_bytes()
    assert np.array_equal(read_all(reader(tmp_path)), numbered_rows(9))
    monkeypatch.setattr(pq, "ParquetFile", lambda *_: pytest.fail("Arrow parsed it"))
    for at in range(len(data) - 8 - int.from_bytes(data[-8:-4], "little"), len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x11]) + data[at + 1 :])
        with pytest.raises(ShardError, match=rf"{path.name} is altered: the sha256 of its last .*; copy it again"):
            reader(tmp_path).shard(0)


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("column", ["input_ids", "doc_lens"])
def test_a_broken_page_header_is_named(tmp_path, column, compression):
    write_set(tmp_path, {"train": [numbered_rows(9)]}, {"train": [[[2, 3]] * 9]}, compression=compression)
    path = tmp_path / "train-00000-of-00001.parquet"
    data = path.read_bytes()
    chunk = pq.read_metadata(path).row_group(0).column(["input_ids", "doc_lens"].index(column))
    at = chunk.dictionary_page_offset or chunk.data_page_offset
    for junk in (b"\xff" * 8, bytes(8), b"\x0f" * 8):
        path.write_bytes(data[:at] + junk + data[at + 8 :])
        with pytest.raises(ShardError, match=rf"{path.name} is altered: .*; copy it again"):
            source = reader(tmp_path)
            read_all(source), PickedRows(source, *positions_as_rows(source, np.arange(9))).piece_ends().shape[1] == 9


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_any_altered_byte_of_the_pages_gives_rows_or_names_the_shard(tmp_path, compression):
    write_set(tmp_path, {"train": [numbered_rows(9, 20)]}, {"train": [[[12, 8]] * 9]}, compression=compression)
    path = tmp_path / "train-00000-of-00001.parquet"
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    named = 0
    for at in range(4, footer, 2):
        path.write_bytes(data[:at] + bytes([data[at] ^ (0xFF if at % 4 else 0x10)]) + data[at + 1 :])
        source = reader(tmp_path)
        try:
            assert read_all(source).shape == (9, 20)
            assert PickedRows(source, *positions_as_rows(source, np.arange(9))).piece_ends().shape[1] == 9
        except ShardError as error:
            assert path.name in str(error)
            named += 1
    assert named > 10


def test_columns_of_rows_that_differ_in_length_are_refused(tmp_path):
    write_set(tmp_path, {"train": [numbered_rows(9)]})
    with pytest.raises(ShardError, match=r"column 'doc_lens' is of type list<.*as many in every row.*doc_lens=True"):
        read_all(reader(tmp_path), "doc_lens")


def test_a_set_of_formats_that_are_not_read_says_which_are(tmp_path):
    write_set(tmp_path, {"train": [numbered_rows(9)]}, formats=("parquet",))
    described = json.loads((tmp_path / "manifest.json").read_bytes())
    described["shards"]["format"] = "mds"
    (tmp_path / "manifest.json").write_text(json.dumps(described))
    with pytest.raises(ShardError, match="has mds, but none of parquet and raw; add one of"):
        reader(tmp_path)
    write_set(tmp_path, {"train": [numbered_rows(9)]}, formats=("parquet",))
    with pytest.raises(ShardError, match="has parquet, but format 'raw'"):
        reader(tmp_path, file_format="raw")


def test_pieces_longer_than_their_row_are_refused(tmp_path):
    write_set(tmp_path, {"train": [numbered_rows(2)]}, {"train": [[[7], [3]]]})  # as many tokens as two full rows
    with pytest.raises(ShardError, match="train-00000-of-00001.parquet is altered: .* more tokens than their row"):
        reader(tmp_path).shard(0).piece_ends()
