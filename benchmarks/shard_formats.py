"""Writing and reading shards in every format, on real tokens: MB/s of token payload, one core.

Processor time (medians) of everything that a format costs a run: encoding, indexes, sha256, writing to the page cache
and fsync. Beside it what nobody can go below: sha256 alone, of the same bytes. Every shard is read back and compared.

    python -m benchmarks.shard_formats [CORPUS] [--files 4] [--runs 5]
"""

import argparse
import hashlib
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measuring import add_corpus, batches, corpus_files, median_seconds, one_core, read_texts
from winnow.shards.formats.formats import FORMATS
from winnow.shards.formats.shard_format import RowShape, ShardId
from winnow.shards.packed_rows import PackedRows
from winnow.shards.packing.stream import pack_rows
from winnow.stages.shards.shard_files import write_format
from winnow.stages.shards.shard_reading import read_shard
from winnow.storage.local_store import LocalStore
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.tokeniser import Tokeniser

ROW_TOKENS = 4097


def real_rows(paths: list[Path], dtype: type[np.unsignedinteger]) -> tuple[PackedRows, int, int]:
    """Rows of the files' documents, their end-of-text, and the vocabulary's size.

    For uint16, ids of o200k_base are folded into 65,000: other ids, but the same lengths and repeats.
    """
    tokeniser = Tokeniser(TokeniserConfig())
    encoded = [tokeniser.encode(batch) for path in paths for batch in batches(read_texts(path))]
    ids = np.concatenate([batch.ids for batch in encoded])
    lengths = np.concatenate([np.diff(batch.offsets) for batch in encoded])
    end, size = tokeniser.vocabulary.end_of_text, tokeniser.vocabulary.size
    if dtype is np.uint16:
        ids, end, size = (ids % 65_000).astype(dtype), 65_000, 65_001
    starts = np.cumsum(lengths) - lengths
    tokens = int((lengths + 1).sum())
    packed = pack_rows([(0, ids)], starts, lengths, 0, tokens, ROW_TOKENS, end, np.dtype(dtype))
    return PackedRows(*packed), end, size


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--files", type=int, default=4, help="number of files to take, evenly spread")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    one_core()
    paths = corpus_files(arguments.corpus, arguments.files)
    for dtype in (np.uint32, np.uint16):
        packed, end, size = real_rows(paths, dtype)
        payload = packed.rows.nbytes
        tokens = int(packed.pieces.sum())
        print(
            f"\n{np.dtype(dtype).name}: {len(packed.rows):,} rows of {ROW_TOKENS:,}, {payload / 1e6:,.0f} MB of tokens"
        )
        floor = median_seconds(lambda rows=packed.rows: hashlib.sha256(rows).digest(), arguments.runs)
        print(f"{'':24}{'write MB/s':>12}{'read MB/s':>12}{'file bytes a token':>20}")
        print(f"{'sha256 alone':24}{payload / floor / 1e6:12,.0f}")
        for compression in ("none", "zstd"):
            for name in [f.name for f in FORMATS.all() if compression == "none" or f.compressible]:
                with tempfile.TemporaryDirectory() as folder:
                    store, place = LocalStore(folder), ShardId("set", "train", 0, 1)
                    settings = {"compression": compression, "vocabulary_size": size, "joined_by": end}
                    written = write_format(store, name, place, packed, settings)
                    write = median_seconds(
                        lambda s=store, n=name, p=place, r=packed, c=settings: write_format(s, n, p, r, c),
                        arguments.runs,
                        warm_up=False,
                    )
                    path = place.path(name, compression)
                    entry = {"rows": len(packed.rows), "tokens": tokens, "sha256": ""}
                    shape = RowShape(ROW_TOKENS, packed.rows.dtype, end)
                    found = read_shard(store, path, name, entry, shape)
                    if not all(np.array_equal(a, b) for a, b in zip(found[:3], packed[:3], strict=True)):
                        raise SystemExit(f"{name}: rows do not come back as they were")
                    read = median_seconds(
                        lambda t=store, p=path, n=name, e=entry, s=shape: int(read_shard(t, p, n, e, s).rows.max()),
                        arguments.runs,
                    )
                    stored = sum(output.bytes for output in written.outputs.values())
                label = name if compression == "none" else f"{name}, zstd"
                figures = f"{payload / write / 1e6:12,.0f}{payload / read / 1e6:12,.0f}{stored / tokens:20.3f}"
                print(f"{label:24}{figures}", flush=True)


if __name__ == "__main__":
    main()
