import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.engine.exchange import (
    STRETCH_BYTES,
    ExchangeFile,
    partition_of_hash,
    partitions_for,
    read_items,
    write_exchange,
)
from winnow.storage.draft import Draft


def written(partition, columns, partitions, payload=None) -> ExchangeFile:
    file = io.BytesIO()
    pieces = None if payload is None else np.array_split(payload, 3)
    dtype = None if payload is None else payload.dtype
    write_exchange(Draft(file, "xxh3_128"), partition, columns, partitions, pieces, dtype)
    file.seek(0)
    return ExchangeFile.open(file)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5)), max_size=40), st.randoms())
def test_reading_any_range_gives_the_rows_of_a_plain_sort(partitions, rows, random):
    rows = sorted((p % partitions, length) for p, length in rows)
    partition = np.array([p for p, _ in rows], np.int64)
    length = np.array([n for _, n in rows], np.uint32)
    payload = np.arange(int(length.sum()), dtype=np.uint32) * 3
    wide = np.arange(len(rows) * 3, dtype=np.uint16).reshape(-1, 3)
    file = written(partition, {"length": length, "wide": wide}, partitions, payload)
    first = random.randint(0, partitions)
    last = random.randint(first, partitions)
    columns = file.read(first, last) if last > first else None
    chosen = (partition >= first) & (partition < last)
    if columns is not None:
        assert columns["length"].tolist() == length[chosen].tolist()
        assert columns["wide"].reshape(-1, 3).tolist() == wide[chosen].tolist()
        starts = file.payload_starts(first, last)
        assert starts[-1] - starts[0] == length[chosen].sum()
        ends = np.cumsum(length)
        begin = int((ends - length)[chosen][0]) if chosen.any() else int(starts[0])
        places = file.extents(first, last)[:, 1]
        file.file.seek(int(places[0]))
        items = int(places[-1] - places[0]) // 4
        assert items == starts[-1] - starts[0]
        read = [item for stretch in read_items(file.file, file.item_dtype, items) for item in stretch.tolist()]
        assert read == payload[begin : begin + int(starts[-1] - starts[0])].tolist()


def test_a_long_payload_is_read_in_stretches():
    payload = np.arange(STRETCH_BYTES, dtype=np.uint32)
    file = written(np.zeros(1, np.int64), {"length": np.array([len(payload)], np.uint32)}, 1, payload)
    begin = int(file.extents(0, 1)[0, 1])
    file.file.seek(begin + 5 * 4)
    stretches = [stretch.copy() for stretch in read_items(file.file, file.item_dtype, len(payload) - 8)]
    assert len(stretches) == 4
    assert (np.concatenate(stretches) == payload[5:-3]).all()
    file.file.seek(begin)
    with pytest.raises(ValueError, match="cut short"):
        list(read_items(file.file, file.item_dtype, len(payload) + 1))


def test_lengths_and_payload_must_agree():
    with pytest.raises(ValueError, match=r"payload has 3 items, but .* add up to 4"):
        written(np.zeros(1, np.int64), {"length": np.array([4])}, 1, np.zeros(3, np.uint16))


def test_unsorted_rows_are_refused():
    with pytest.raises(ValueError, match="sorted by partition"):
        written(np.array([1, 0]), {"x": np.zeros(2)}, 2)


def test_another_file_is_refused():
    with pytest.raises(ValueError, match="not an exchange file"):
        ExchangeFile.open(io.BytesIO(b"PAR1" + bytes(100)))


def test_partition_order_is_key_order():
    keys = np.sort(np.random.default_rng(1).integers(0, 2**64, 10_000, dtype=np.uint64))
    partition = partition_of_hash(keys, 37)
    assert (np.diff(partition) >= 0).all()
    assert set(partition.tolist()) == set(range(37))
    assert partition_of_hash(np.array([2**64 - 1], np.uint64), 37)[0] == 36


def test_number_of_partitions_depends_on_size_alone():
    assert [partitions_for(n, 256) for n in (0, 1, 256_000_000, 256_000_001)] == [1, 1, 1, 2]
