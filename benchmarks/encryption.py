"""What encryption costs, in CPU seconds of this process: shards written and read, plain and encrypted.

python -m benchmarks.encryption [--mb 256]
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from winnow.shards.formats.formats import FORMATS
from winnow.shards.formats.shard_format import RowShape, ShardFiles, ShardId
from winnow.shards.packed_rows import PackedRows
from winnow.stages.shards.shard_files import KEY, write_format
from winnow.storage.config import EncryptionConfig, StorageConfig
from winnow.storage.keys import find_key, new_key
from winnow.storage.local_store import LocalStore

ROW = 2048


def cpu(function: Callable[[], object], times: int = 3) -> float:
    """The least of some tries."""
    found = []
    for _ in range(times):
        begin = time.process_time()
        function()
        found.append(time.process_time() - begin)
    return min(found)


def main() -> None:
    """Print MB of token ids a CPU second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=256)
    mb = parser.parse_args().mb
    os.environ.setdefault("WINNOW_KEY", new_key())
    rows = np.random.default_rng(0).integers(0, 50_000, (mb * 1_000_000 // (4 * ROW), ROW)).astype(np.uint32)
    packed = PackedRows(rows, np.full(len(rows), ROW, np.uint32), np.arange(len(rows) + 1))
    shape = RowShape(ROW, rows.dtype, None)
    print(f"{'':10}{'write':>10}{'encrypted':>12}{'read':>10}{'encrypted':>12}   MB of ids a CPU second")
    for kind in ("parquet", "raw"):
        line = []
        for encrypted in (False, True):
            storage = StorageConfig(encryption=EncryptionConfig()) if encrypted else StorageConfig()
            settings = {"compression": "none", "vocabulary_size": 50_000, "joined_by": None}
            settings |= {KEY: find_key(EncryptionConfig()).id} if encrypted else {}
            with tempfile.TemporaryDirectory() as folder:
                store = LocalStore(folder, storage)
                place = ShardId(".", "train", 0, 1)
                write = lambda: write_format(store, kind, place, packed, settings)  # noqa: B023, E731
                line.append(mb / cpu(write))
                output = write().outputs[kind]
                entry = {"tokens": rows.size, "sha256": output.hash.partition(":")[2], "files": []}
                files = ShardFiles(store, str(Path(output.path)), entry)
                read = FORMATS.get(kind).read
                assert read is not None
                line.append(mb / cpu(lambda: read(files, shape, len(rows)).rows.sum()))  # noqa: B023
        print(f"{kind:10}{line[0]:10,.0f}{line[2]:12,.0f}{line[1]:10,.0f}{line[3]:12,.0f}")


if __name__ == "__main__":
    main()
