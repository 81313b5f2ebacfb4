"""What the extents say of an exchange is what its files say themselves, and costs two reads a file."""

import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.engine import exchange_extents
from winnow.engine.exchange import ExchangeFile, read_items, write_exchange
from winnow.engine.exchange_extents import HEADER_BYTES, ranges_of, read_extents, read_rows, write_extents
from winnow.storage.config import StorageConfig
from winnow.storage.local_store import LocalStore
from winnow.storage.open_store import open_store
from winnow.storage.traffic import counted_traffic

EXTENTS = "0.extents"
TOLD = [{"path": EXTENTS, "rows": 6}]
ROWS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5)), max_size=25)


def write_file(store, path, rows, partitions, item=np.uint32, seed=0, **more):
    """An exchange file of (partition, length) rows; the payload is random."""
    rows = sorted((p % partitions, length) for p, length in rows)
    partition, length = (np.array([row[n] for row in rows], np.int64) for n in (0, 1))
    random = np.random.default_rng(seed)
    columns = {
        "key": random.integers(0, 2**63, len(rows), dtype=np.uint64),
        "length": length.astype(np.uint32),
        "wide": random.integers(0, 2**16, (len(rows), 3), dtype=np.uint16),
        **{name: np.zeros(len(rows), kind) for name, kind in more.items()},
    }
    payload = random.integers(0, 200, int(length.sum())).astype(item)
    with store.create(path) as draft:
        write_exchange(draft, partition, columns, partitions, [payload], payload.dtype)
    return payload


def write_all(store, files, partitions, range_bytes=10**6, item=np.uint32):
    """Exchange files and their extents, in as many ranges as that takes: (paths, payloads, totals, what is told)."""
    paths = [f"{number}.exchange" for number in range(len(files))]
    payloads = [write_file(store, paths[n], rows, partitions, item, n) for n, rows in enumerate(files)]
    totals, told = [], []
    for number, (first, last) in enumerate(ranges_of(partitions, len(paths), range_bytes)):
        with store.create(f"{number}.extents") as draft:
            totals.append(write_extents(draft, store, paths, partitions, first, last))
        told.append({"path": f"{number}.extents", "rows": last - first})
    return paths, payloads, np.concatenate(totals, axis=1), told


@settings(max_examples=60, deadline=None)
@given(
    st.lists(ROWS, min_size=1, max_size=5),
    st.integers(1, 9),
    st.integers(0, 500),
    st.sampled_from([np.uint8, np.uint16, np.uint32]),
    st.data(),
)
def test_any_partitions_are_what_the_files_say_of_them(files, partitions, range_bytes, item, data):
    first = data.draw(st.integers(0, partitions))
    last = data.draw(st.integers(first, partitions))
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(folder)
        paths, payloads, (rows, items), told = write_all(store, files, partitions, range_bytes, item)
        extents = read_extents(store, told, len(paths), first, last)
        columns, file_of, at = read_rows(store, paths, extents)
        begin = 0
        expected_rows, expected_items = np.zeros(partitions, np.int64), np.zeros(partitions, np.int64)
        for number, path in enumerate(paths):
            with store.open(path) as file:
                exchange = ExchangeFile.open(file)
                own = exchange.read(first, last)
                item_starts = exchange.payload_starts(0, partitions)
                expected_rows += np.diff(exchange.row_starts(0, partitions))
                expected_items += np.diff(item_starts)
                mine = slice(begin, begin + len(own["key"]))
                begin = mine.stop
                assert (file_of[mine] == number).all()
                for name, values in own.items():
                    assert columns[name][mine].dtype == values.dtype
                    assert columns[name][mine].tolist() == values.tolist()
                start = item_starts[first]
                for place, length in zip(at[mine], own["length"].tolist(), strict=True):
                    file.seek(place)
                    read = [int(i) for stretch in read_items(file, extents.item_dtype, length) for i in stretch]
                    assert read == payloads[number][start : start + length].tolist()
                    start += length
        assert begin == len(columns["key"]) == len(file_of) == len(at)
        assert columns["wide"].shape == (begin, 3)
        assert rows.tolist() == expected_rows.tolist()
        assert items.tolist() == expected_items.tolist()


FILES = [[(p, 3) for p in (0, 1, 1, 4)], [], [(1, 7), (5, 2)], [(3, 1)]]


@pytest.mark.parametrize(("range_bytes", "files"), [(0, 6), (64 * 2, 3), (64 * 5, 2), (64 * 6, 1)])
def test_no_file_of_extents_tells_of_more_than_fits_a_unit(tmp_path, range_bytes, files):
    store = LocalStore(str(tmp_path))
    _, _, totals, _ = write_all(store, FILES, 6)
    assert len(store.read(EXTENTS)) == HEADER_BYTES + 7 * 4 * 16
    paths, _, again, told = write_all(store, FILES, 6, range_bytes)
    assert len(told) == files and all(
        len(store.read(entry["path"])) <= HEADER_BYTES + 64 + max(64, range_bytes) for entry in told
    )
    assert again.tolist() == totals.tolist()
    whole = read_extents(store, told, len(paths), 0, 6).places
    assert [(first, last) for first in range(7) for last in range(first, 7)] == [
        (first, last)
        for first in range(7)
        for last in range(first, 7)
        if (read_extents(store, told, len(paths), first, last).places == whole[first : last + 1]).all()
    ]


def test_two_requests_a_file_with_rows_and_no_byte_too_much():
    pytest.importorskip("fsspec", reason="fsspec is not installed (extra `s3`)")
    store = open_store("memory://extents", StorageConfig())
    files = [[(p, 40) for p in range(8) for _ in range(n % 3)] for n in range(60)]
    paths, _, _, told = write_all(store, files, 8)
    with_rows = [n for n in range(60) if n % 3]
    with counted_traffic() as asked:
        extents = read_extents(store, told, 60, 2, 4)
        columns, _, _ = read_rows(store, paths, extents)
    assert len(columns["key"]) == 2 * 20 * (1 + 2)
    row_bytes = 8 + 4 + 6
    assert asked == {
        "objects.get": 2 + len(with_rows),
        "objects.bytes_read": HEADER_BYTES + 3 * 60 * 16 + len(columns["key"]) * row_bytes,
    }
    begins, ends = extents.places[0, :, 1], extents.places[-1, :, 1]
    ranges = [(paths[n], begins[n], ends[n]) for n in with_rows]
    with counted_traffic() as asked:
        for n, file in zip(with_rows, store.open_each(ranges), strict=True):
            sizes = [len(stretch) for stretch in read_items(file, extents.item_dtype, (ends[n] - begins[n]) // 4)]
            assert sum(sizes) == 2 * 40 * (n % 3)
    assert asked == {"objects.get": len(with_rows), "objects.bytes_read": len(columns["key"]) * 40 * 4}


@pytest.fixture
def written(tmp_path):
    store = LocalStore(str(tmp_path))
    return store, write_all(store, FILES, 6)[0]


def altered(store, path, change):
    data = bytearray(store.read(path))
    changed = change(data)
    store.replace(path, bytes(data if changed is None else changed))


def number_at(place, value):
    def change(data):
        data[place : place + 8] = int(value).to_bytes(8, "little", signed=True)

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: b"", "ends in the middle of its header"),
        (lambda data: data[:4000], "ends in the middle of its header"),
        (lambda data: data[: HEADER_BYTES + 64], "ends in the middle of its places"),
        (lambda data: data[:-1], "ends in the middle of its places"),
        (lambda data: b"PAR1" + data[4:], "not the extents of an exchange"),
        (lambda data: data[:20] + b"!" + data[21:], "header cannot be read"),
        (lambda data: data[:8] + b"\xff" * 4 + data[12:], "header cannot be read"),
        (lambda data: data.replace(b'"files":4', b'"files":5'), "6 partitions in 5 files, expected at least 6 in 4"),
        (lambda data: data.replace(b'"partitions":6', b'"partitions":5'), "5 partitions in 4 files, expected"),
        (number_at(HEADER_BYTES, -18), "places that cannot be"),
        (number_at(HEADER_BYTES + 64, 2**40), "places that cannot be"),
        (number_at(HEADER_BYTES, 3), "places that cannot be"),
    ],
)
def test_damaged_extents_are_refused_by_name(written, change, says):
    store, paths = written
    read_extents(store, TOLD, len(paths), 0, 6)
    altered(store, EXTENTS, change)
    with pytest.raises(ValueError, match=says) as told:
        read_extents(store, TOLD, len(paths), 0, 6)
    assert EXTENTS in str(told.value)


def test_files_that_are_not_those_of_the_extents_are_refused_by_name(written):
    store, paths = written
    extents = read_extents(store, TOLD, len(paths), 0, 6)
    whole = store.read(paths[2])
    end_of_rows = int(extents.places[-1, 2, 0])
    store.replace(paths[2], whole[: end_of_rows - 1])
    with pytest.raises(ValueError, match=r"2\.exchange.* ends in the middle of its rows"):
        read_rows(store, paths, extents)
    store.replace(paths[2], whole[:-1])
    read_rows(store, paths, extents)
    begin, end = extents.places[[0, -1], 2, 1]
    with pytest.raises(ValueError, match=r"2\.exchange.* ends in the middle of its payload"):
        for file in store.open_each([(paths[2], begin, end)]):
            list(read_items(file, extents.item_dtype, (end - begin) // 4))
    write_file(store, paths[2], [(1, 6), (5, 2)], 6, seed=2)
    with pytest.raises(ValueError, match=r"2\.exchange: its rows tell of 32 bytes of payload, expected 36"):
        read_rows(store, paths, extents)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda store, path: write_file(store, path, [(1, 2)], 6, np.uint16), "with items <u2, those of .*0.exchange"),
        (lambda store, path: write_file(store, path, [(1, 2)], 6, end_mark=np.uint8), r"end_mark \|u1 x 1 with items"),
        (lambda store, path: write_file(store, path, [(1, 2)], 5), "it has 5 partitions, expected 6"),
        (lambda store, path: altered(store, path, lambda data: data[: data.index(b"}") + 60]), "middle of its index"),
        (lambda store, path: altered(store, path, lambda data: data[:40]), "middle of its header"),
        (lambda store, path: altered(store, path, number_at(_index_of(store, path) + 8, 9)), "does not rise"),
        (lambda store, path: altered(store, path, lambda data: b"x" + data), "not an exchange file"),
    ],
)
@pytest.mark.parametrize("path", ["1.exchange", "3.exchange"])
def test_a_file_that_differs_is_named(written, write, says, path):
    store, paths = written
    write(store, path)
    with pytest.raises(ValueError, match=says) as told, store.create("again") as draft:
        write_extents(draft, store, paths, 6, 0, 6)
    assert path in str(told.value)
    assert not store.exists("again")


def _index_of(store, path):
    with store.open(path) as file:
        return ExchangeFile.open(file).index_at


def test_an_exchange_without_payload_or_files_has_no_extents(tmp_path):
    store = LocalStore(str(tmp_path))
    with store.create("a") as draft:
        write_exchange(draft, np.zeros(1, np.int64), {"x": np.zeros(1)}, 1)
    with pytest.raises(ValueError, match="no payload"), store.create("b") as draft:
        write_extents(draft, store, ["a"], 1, 0, 1)
    with pytest.raises(ValueError, match="no files of the exchange"), store.create("b") as draft:
        write_extents(draft, store, [], 1, 0, 1)


def test_descriptions_that_do_not_fit_are_refused(written, monkeypatch):
    store, paths = written
    monkeypatch.setattr(exchange_extents, "HEADER_BYTES", 50)
    with pytest.raises(ValueError, match="takes more than 50 bytes"), store.create("again") as draft:
        write_extents(draft, store, paths, 6, 0, 6)
