"""Speed of near-duplicate removal on one core, with datasketch in the same run.

    python -m benchmarks.minhash [CORPUS] [--mb 40]

CORPUS is a folder of ``*.jsonl.zst`` files whose rows have a ``text``. Times are process time, the median of five;
the megabytes are 10^6 bytes of UTF-8 text.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.measuring import add_corpus, corpus_files, median_seconds, one_core, read_records
from winnow.dedup.bands import band_keys, group_edges
from winnow.dedup.components import connected_components
from winnow.dedup.config import DedupConfig
from winnow.dedup.exact import text_hashes
from winnow.dedup.keepers import choose_keepers
from winnow.dedup.minhash import signatures
from winnow.dedup.shingles import shingle_hashes
from winnow.text.words import hash_words

DRAWS = np.random.default_rng(7)


def read_texts(folder: Path, num_bytes: int) -> pa.Array:
    """Texts from all files in turn, until there are ``num_bytes`` of them."""
    paths = corpus_files(folder)
    texts: list[str] = []
    for path in paths:
        left = num_bytes // len(paths)
        for record in read_records(path):
            texts.append(record["text"])
            left -= len(texts[-1].encode())
            if left <= 0:
                break
    return pa.array(texts, pa.large_string())


def noisy_copies(members: int, share: float) -> NDArray[np.uint32]:
    """Signatures that differ from one origin in about this share of their entries, each in its own."""
    origin = DRAWS.integers(0, 2**32, 256, dtype=np.uint32)
    signed = np.repeat(origin[None], members, axis=0)
    changed = DRAWS.random(signed.shape, np.float32) < share
    signed[changed] = DRAWS.integers(0, 2**32, int(changed.sum()), dtype=np.uint32)
    return signed


def drifting(members: int, entries: int) -> NDArray[np.uint32]:
    """Signatures of which each differs from the one before in this many entries: one long chain."""
    signed = np.empty((members, 256), np.uint32)
    signed[0] = DRAWS.integers(0, 2**32, 256, dtype=np.uint32)
    for member in range(1, members):
        signed[member] = signed[member - 1]
        signed[member, DRAWS.integers(0, 256, entries)] = DRAWS.integers(0, 2**32, entries, dtype=np.uint32)
    return signed


def print_keepers(name: str, signed: NDArray[np.uint32], texts: NDArray[np.uint64]) -> None:
    """Time one component of these members; ``texts`` names the text of each."""
    members = len(signed)
    start = time.process_time()
    keeper, _, _, *_ = choose_keepers(
        DRAWS.permutation(members),
        np.array([0, members]),
        signed,
        np.ones(members, np.int64),
        np.stack([texts, texts], axis=1),
        0.8,
        np.zeros(members, np.bool_),
    )
    seconds = time.process_time() - start
    print(f"keepers, {name:42} {members:>9,} members {int((keeper < 0).sum()):>8,} kept {seconds:8.2f} s")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--mb", type=int, default=40, help="megabytes of text to sign")
    parser.add_argument("--members", type=int, default=100_000, help="members of the synthetic components")
    arguments = parser.parse_args()
    one_core()
    config = DedupConfig().minhash
    texts = read_texts(arguments.corpus, arguments.mb * 10**6)
    words, offsets = hash_words(texts)
    size_mb = sum(len(text.as_py().encode()) for text in texts) / 1e6
    print(f"{len(texts):,} documents, {size_mb:.1f} MB, {len(words):,} words; {config.num_perm} permutations")

    signed = signatures(words, offsets, config)
    for name, work in [
        ("words (the splitter alone)", lambda: hash_words(texts)),
        ("signatures, given the word hashes", lambda: signatures(words, offsets, config)),
        ("signatures from text", lambda: signatures(*hash_words(texts), config)),
        ("shingles alone", lambda: shingle_hashes(words, offsets, config.ngram)),
        ("text hashes (128 bit)", lambda: text_hashes(texts)),
        ("band keys", lambda: band_keys(signed, config)),
    ]:
        print(f"{name:42} {size_mb / median_seconds(work, 5):10.0f} MB/s")

    import datasketch  # here, so that its import does not count above

    shingles, starts = shingle_hashes(words, offsets, config.ngram)
    some = range(0, len(texts), max(1, len(texts) // 300))
    given = [shingles[starts[doc] : starts[doc + 1]].tolist() for doc in some]
    some_mb = sum(len(texts[doc].as_py().encode()) for doc in some) / 1e6
    seconds = median_seconds(lambda: datasketch.MinHash.bulk(given, num_perm=config.num_perm, hashfunc=int), 3)
    print(f"{'datasketch, given the shingle hashes':42} {some_mb / seconds:10.1f} MB/s")

    count = 4_000_000
    keys = DRAWS.integers(0, 2**64, count, dtype=np.uint64)
    keys[: count // 4] = keys[count // 4 : count // 2]
    docs = DRAWS.integers(0, 40, count, dtype=np.uint64) << np.uint64(32) | DRAWS.integers(
        0, 100_000, count, dtype=np.uint64
    )
    seconds = median_seconds(lambda: group_edges(keys, docs), 3)
    print(f"{'group_edges':42} {count / seconds / 1e6:10.1f} M keys/s")
    edges = docs.reshape(-1, 2)
    seconds = median_seconds(lambda: connected_components([edges]), 3)
    print(f"{'connected_components':42} {len(edges) / seconds / 1e6:10.1f} M edges/s")

    members = arguments.members
    own = np.arange(members, dtype=np.uint64)
    print_keepers("compile and warm up", noisy_copies(100, 0.3), own[:100])
    print_keepers("exact copies", np.repeat(signed[:1], 10 * members, axis=0), np.zeros(10 * members, np.uint64))
    print_keepers("near copies of one", noisy_copies(members, 0.05), own)
    print_keepers("chain, 13 entries a step", drifting(members, 13), own)
    print_keepers("strangers", DRAWS.integers(0, 2**32, (members, 256), dtype=np.uint32), own)
    for share in (0.11, 0.135, 0.3):
        print_keepers(f"one template, {(1 - share) ** 2:.2f} alike", noisy_copies(members, share), own)


if __name__ == "__main__":
    main()
