"""Reading shards for training: GB/s of tokens in one process, from the page cache. ``python -m benchmarks.reader``.

Shards are written here (made-up ids, the real writers), read once, and then measured: batches of int64 tokens and
targets as a training loop takes them. GB are 10^9 bytes of ids at 2
or 4 bytes, as the shard set's dtype says, by processor time. Below, how soon the first batch is there after a start or
a resume in the middle of the data, imports left out.
"""

import argparse
import mmap
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.support.shard_sets import write_set
from winnow.shards.dataset.batches import BatchForm, new_arrays
from winnow.shards.dataset.steps import ReaderRank
from winnow.shards.dataset.stream import SampleStream, Source

BATCH = 16


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--mb", type=int, default=1000, help="MB of ids a shard set")
    arguments.add_argument("--shards", type=int, default=8)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--kinds", action="store_true", help="what batches can hold, in a shuffled epoch")
    arguments.add_argument("--store", action="store_true", help="one epoch from an S3 server (moto) of this machine")
    arguments.add_argument("--loader", action="store_true", help="torch's DataLoader with 0, 2 and 4 workers")
    options = arguments.parse_args()
    if options.store:
        measure_store(options.mb, options.shards, options.runs)
        return
    if options.kinds or options.loader:
        with tempfile.TemporaryDirectory() as folder:
            for row_tokens, batch in ((129, 512), (4097, 16)):
                path = Path(folder) / str(row_tokens)
                write(path, row_tokens, "uint32", options.mb, options.shards, columns=options.kinds)
                if options.loader:
                    measure_loader(path, batch, options.runs)
                    continue
                measure_kinds(path, batch, options.runs)
                measure_bounds(path, row_tokens, batch, options.mb, options.runs)
        return
    print(f"{'GB/s of ids, one core':44}{'order':>10}{'int64':>8}{'int32':>8}{'Arrow':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for row_tokens, dtype, batch in ((4097, "uint32", BATCH), (4097, "uint16", BATCH), (129, "uint32", 512)):
            write(Path(folder), row_tokens, dtype, options.mb, options.shards)
            for file_format in ("parquet", "raw"):
                measure(folder, file_format, row_tokens, dtype, batch, options.runs)
            for path in Path(folder).rglob("*.*"):
                path.unlink()


def write(folder: Path, row_tokens: int, dtype: str, megabytes: int, shards: int, columns: bool = False) -> None:
    """A shard set of made-up ids in both formats (with ``columns``: in Parquet, with a mask), four documents a row."""
    rng = np.random.default_rng(1)
    count = megabytes * 1_000_000 // (row_tokens * np.dtype(dtype).itemsize)
    rows = [
        rng.integers(0, 60_000, (len(part), row_tokens)).astype(dtype) for part in np.array_split(range(count), shards)
    ]
    piece = row_tokens // 4
    lens = [[[piece] * 3 + [row_tokens - 3 * piece]] * len(part) for part in rows]
    if columns:
        masks = [{"loss_mask": rng.integers(0, 2, part.shape).astype(np.uint8)} for part in rows]
        write_set(folder / "masked", {"train": rows}, {"train": lens}, columns={"train": masks})
        lens = [[[piece] * 3 for _ in part] for part in rows]
        write_set(folder / "padded", {"train": rows}, {"train": lens})
    else:
        write_set(folder, {"train": rows}, {"train": lens}, formats=("parquet", "raw"))


KINDS = {
    "padded: tokens, targets": ("padded", BatchForm(np.dtype("int64"))),
    "padded: position_ids": ("padded", BatchForm(np.dtype("int64"), position_ids=True)),
    "padded: doc_lens": ("padded", BatchForm(np.dtype("int64"), doc_lens=True)),
    "loss_mask: tokens, targets": ("masked", BatchForm(np.dtype("int64"))),
    "loss_mask: and as a column": ("masked", BatchForm(np.dtype("int64"), columns=("loss_mask",))),
}


def measure_kinds(folder: Path, batch: int, runs: int) -> None:
    """A line for each kind of batch: GB/s of ids in a shuffled epoch, and GB/s of all arrays that it makes."""
    for name, (kind, form) in KINDS.items():
        found = []
        for _ in range(runs):
            stream = stream_of(str(folder / kind), "parquet")
            steps = stream.rows // batch
            started, made = time.process_time(), 0
            for step, (_, arrays) in enumerate(stream.batches(ReaderRank(), batch, form, stream.rows), 1):
                made += sum(array.nbytes for array in arrays.values())
                if step == steps:
                    break
            seconds = time.process_time() - started
            found.append((steps * batch * stream.reader.shard_set.row_tokens * 4 / 1e9 / seconds, made / 1e9 / seconds))
        ids, made = (statistics.median(rates) for rates in zip(*found, strict=True))
        print(f"{folder.name:>6} ids a row, {batch:3} a batch, {name:28}{ids:8.2f}{made:8.2f}", flush=True)


def measure_bounds(folder: Path, row_tokens: int, batch: int, megabytes: int, runs: int) -> None:
    """Lines for what numpy and the system take alone.

    As many rows of one array in memory, taken in random order and cast twice; and the files mapped, a byte of each
    page read, and let go.
    """
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 60_000, (megabytes * 1_000_000 // (row_tokens * 4), row_tokens), np.uint32)
    steps = rng.permutation(len(rows))[: len(rows) // batch * batch].reshape(-1, batch)
    made = new_arrays(dict.fromkeys(("inputs", "labels"), ((batch, row_tokens - 1), np.dtype("int64"))))

    def epoch() -> None:
        for picked in steps:
            ids = rows.take(picked, axis=0)
            made["inputs"][...], made["labels"][...] = ids[:, :-1], ids[:, 1:]

    def map_files() -> None:
        for path in (folder / "padded").glob("*.parquet"):
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                np.frombuffer(mapped, np.uint8)[::4096].sum()

    for name, call in (("numpy alone: take, two casts", epoch), ("files mapped, pages touched", map_files)):
        rate = steps.size * row_tokens * 4 / 1e9 / statistics.median(timed(call) for _ in range(runs))
        print(f"{row_tokens:>6} ids a row, {batch:3} a batch, {name:28}{rate:8.2f}", flush=True)


def measure_loader(folder: Path, batch: int, runs: int) -> None:
    """A line for each number of workers: microseconds a batch by the clock, and of processor time here and in workers.

    The last batch stands for the end of the workers, too.
    """
    import resource

    import torch
    from torch.utils.data import DataLoader

    from winnow.shards import ShardDataset

    torch.set_num_threads(1)

    def used() -> list[float]:
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return [time.perf_counter(), *(one.ru_utime + one.ru_stime for one in usage)]

    for workers in (0, 2, 4):
        found = []
        for _ in range(runs):
            dataset = ShardDataset(folder, batch_size=batch, shuffle_first=True)
            steps = iter(DataLoader(dataset, batch_size=None, num_workers=workers))
            next(steps)
            before = used()
            for _ in steps:
                pass
            del steps
            found.append([(b - a) / len(dataset) * 1e6 for a, b in zip(before, used(), strict=True)])
        told = [statistics.median(column) for column in zip(*found, strict=True)]
        print(f"{folder.name:>6} ids a row, {batch:3} a batch, {workers} workers" + "".join(f"{n:9.0f}" for n in told))


def measure_store(megabytes: int, shards: int, runs: int) -> None:
    """Lines for a set behind S3: MB a second by the clock, of the store alone and of an epoch.

    Behind a network in which a connection gives some 8 MB/s, as those of a store have a bound of their own (50 to 100).
    The store alone is asked for the same files, whole, one at a time and several at a time.
    """
    import os
    from concurrent.futures import ThreadPoolExecutor

    from tests.support.bad_network import BadNetwork, Weather
    from tests.support.objects_server import start_server

    server = start_server()
    network = BadNetwork(server.port, Weather(latency_s=0.002))
    try:
        os.environ.update({**server.environment, "AWS_ENDPOINT_URL": network.endpoint})
        import s3fs

        files = s3fs.S3FileSystem()
        with network.running(), tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "set", 4097, "uint32", megabytes, shards)
            files.mkdir("reader")
            files.put(f"{folder}/set", "reader/set", recursive=True)
            stored = [path for path in files.find("reader/set") if path.endswith(".parquet")]
            total = sum(files.size(path) for path in stored) / 1e6

            def alone(at_once: int) -> None:
                with ThreadPoolExecutor(at_once) as pool:
                    list(pool.map(lambda path: files.get_file(path, f"{folder}/{Path(path).name}"), stored))

            def epoch(cache: str) -> None:
                stream = SampleStream(Source("s3://reader/set", cache=cache, file_format="parquet").reader())
                for _ in stream.batches(ReaderRank(), BATCH, BatchForm(np.dtype("int64")), 0):
                    pass

            calls = {
                "the store alone, a file at a time": lambda run: alone(1),
                "the store alone, eight files at a time": lambda run: alone(8),
                "an epoch, cache empty": lambda run: epoch(f"{folder}/cache-{run}"),
                "an epoch, from the cache": lambda run: epoch(f"{folder}/cache-{run}"),
            }
            for name, call in calls.items():
                found = []
                for run in range(runs):
                    started = time.perf_counter()
                    call(run)
                    found.append(time.perf_counter() - started)
                print(f"{name:44}{total / statistics.median(found):10.0f}", flush=True)
    finally:
        server.stop()


def measure(folder: str, file_format: str, row_tokens: int, dtype: str, batch: int, runs: int) -> None:
    """Lines for one format: stored order, shuffled epoch, start and resume."""
    name = f"{file_format}, rows of {row_tokens} {dtype}, {batch} a batch"
    for epoch, order in ((0, "stored"), (1, "random")):
        rates = [
            statistics.median(read_epoch(folder, file_format, batch, integers, epoch) for _ in range(runs))
            for integers in ("int64", "int32")
        ]
        arrow = f"{read_by_arrow(folder):8.2f}" if (file_format, epoch) == ("parquet", 0) else f"{'':8}"
        print(f"{name:44}{order:>10}" + "".join(f"{rate:8.2f}" for rate in rates) + arrow, flush=True)
    for share, where in ((0.0, "start"), (0.5, "resume in epoch 0"), (1.5, "resume in epoch 1")):
        seconds = statistics.median(
            timed(lambda share=share: first_batch(folder, file_format, batch, share)) for _ in range(runs)
        )
        print(f"{'':4}{where + ', to the first batch':40}{seconds * 1000:10.1f} ms", flush=True)


def stream_of(folder: str, file_format: str) -> SampleStream:
    """Two epochs of the shard set."""
    return SampleStream(Source(folder, file_format=file_format).reader(), epochs=2)


def read_epoch(folder: str, file_format: str, batch: int, integers: str, epoch: int) -> float:
    """GB/s of one epoch, opening of the files included."""
    started = time.process_time()
    stream = stream_of(folder, file_format)
    shard_set = stream.reader.shard_set
    stop = (epoch + 1) * stream.rows // batch
    read = 0
    for sample, _ in stream.batches(ReaderRank(), batch, BatchForm(np.dtype(integers)), epoch * stream.rows):
        read += batch
        if sample >= stop * batch:
            break
    return read * shard_set.row_tokens * shard_set.dtype.itemsize / 1e9 / (time.process_time() - started)


def read_by_arrow(folder: str) -> float:
    """GB/s of Arrow's own reader, decoding ``input_ids`` from mapped files."""
    import pyarrow.parquet as pq

    started, size = time.process_time(), 0
    for path in sorted(Path(folder).glob("*.parquet")):
        file = pq.ParquetFile(path, memory_map=True)
        for group in range(file.metadata.num_row_groups):
            size += file.read_row_group(group, columns=["input_ids"]).nbytes
    return size / 1e9 / (time.process_time() - started)


def first_batch(folder: str, file_format: str, batch: int, share: float) -> None:
    """Open the set and read one batch after ``share`` epochs."""
    stream = stream_of(folder, file_format)
    start = int(stream.rows * share)
    next(stream.batches(ReaderRank(), batch, BatchForm(np.dtype("int64")), start))


def timed(call: Callable[[], None]) -> float:
    """Seconds of one call."""
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    main()
