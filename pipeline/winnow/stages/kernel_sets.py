"""All sets of compiled kernels, each with a function that calls its kernels with the types of real work.

A set is compiled once on a node (:func:`winnow.numeric.jit.compile_once`), by whoever needs it first; where sets are
missing when a run begins, one process a core compiles them while inputs are listed and read.
"""

import time
from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa

from winnow.dedup.bands import exchange_rows, group_edges
from winnow.dedup.components import connected_components
from winnow.dedup.config import DedupConfig
from winnow.dedup.guard import make_guard
from winnow.dedup.guard_config import GuardConfig
from winnow.dedup.keepers import choose_keepers
from winnow.dedup.minhash import signatures
from winnow.dedup.minhash_config import MinHashConfig
from winnow.dedup.shingle_sets import shingle_sets
from winnow.engine.doing import say
from winnow.engine.executors.cores import usable_cores
from winnow.engine.executors.processes import begin_processes
from winnow.numeric.cache_folder import remove_unused
from winnow.numeric.jit import compile_all, is_compiled
from winnow.numeric.radix import sort_pairs
from winnow.shards.order import order_keys
from winnow.shards.packing.narrow import narrowed, widened
from winnow.shards.packing.stream import gather_documents, pack_rows, place_documents
from winnow.sources.readers.plain_json import PlainLines
from winnow.sources.source import SourceConfig
from winnow.text.language.config import LanguageConfig
from winnow.text.language.detect import LanguageIdentifier
from winnow.text.language.identifier import Identifier
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.normalise import Normaliser
from winnow.text.prose import prose_of
from winnow.text.scripts import dominant_scripts
from winnow.text.signals.signals import measure
from winnow.tokens.cuts import cut_long

SECONDS = 40
"""Of one core, for all sets of a default run."""


@cache
def sample_texts() -> pa.Array:
    """Takes every kernel that reads text through its paths once, so that all are compiled. (Arrow loads pandas for the
    first array that is made of anything of Python's.)"""
    texts = (
        "A line.\r\n\u201cAnother\u201d one, \u00e9t\u00e9.\n\nAnd \u65e5\u672c\u8a9e. " * 3,
        "caf\u00c3\u00a9",
        "",
    )
    return pa.array(texts, pa.large_string())


def use_reading() -> None:
    """Lines of JSON."""
    data = b'{"id":"a","text":"b\\u00e9","n":[1,{"c":null}]}\n' * 2
    lines = PlainLines(SourceConfig(name="lines", path="lines.jsonl", id="id"), longest=len(data))
    lines.read(lines.cut(data))


def use_normalise(normalise: Normaliser | None = None) -> None:
    """Repair of text."""
    (normalise or Normaliser(NormaliseConfig()))(sample_texts())


def use_language(identify: Identifier | None = None) -> None:
    """Naming of languages."""
    (identify or LanguageIdentifier(LanguageConfig()))(sample_texts())


def use_signals(minhash: MinHashConfig | None = None) -> None:
    """Words, signals, shingles and signatures."""
    words = measure(sample_texts()).words
    signatures(words.hashes, words.offsets, minhash or MinHashConfig())


def use_dedup() -> None:
    """From bands to keepers."""
    docs = np.arange(4, dtype=np.uint64)
    alike = np.tile(np.arange(256, dtype=np.uint32), (4, 1))
    hashes = np.stack([docs, docs], axis=1)
    keys, owners = sort_pairs(*exchange_rows(alike, hashes, docs, DedupConfig().minhash), False)
    connected_components([group_edges(keys, owners)])
    items = np.arange(16, dtype=np.uint32)
    bounds = np.array([[0, 4]] * 4, np.int64)
    known, codes = np.ones(4, np.bool_), np.ones(4, np.uint8)
    guard = make_guard(
        GuardConfig(), items, bounds + 8, known, codes, codes.astype(np.uint32), codes.astype(np.int64), docs * 0
    )
    choose_keepers(
        np.arange(4),
        np.array([0, 4]),
        alike,
        np.full(4, 4),
        hashes,
        0.8,
        np.zeros(4, np.bool_),
        (items, bounds),
        "exact",
        guard.take(np.arange(4)),
    )


def use_candidates() -> None:
    """What candidates say: sets, prose and scripts."""
    words = measure(sample_texts()).words
    items, starts = shingle_sets(words.hashes, words.offsets, 5)
    dominant_scripts(sample_texts(), prose_of(sample_texts()))
    list(gather_documents(items, starts[:-1], np.diff(starts)))


def use_shards() -> None:
    """Order and rows, and the parts of long documents."""
    ones = np.ones(2, np.uint64)
    order_keys(ones, ones - np.uint64(1), ones, 0, 0)
    for dtype in (np.uint32, np.uint16):
        ids, starts, lengths = np.arange(6, dtype=dtype), np.array([0, 3]), np.array([3, 3])
        ids.flags.writeable = False  # as what Arrow gives out
        list(gather_documents(ids, starts, lengths))
        pack_rows([(0, ids)], starts, lengths, 0, 8, 4, 0, np.dtype(dtype))
        place_documents([(0, ids)], starts, lengths, starts, np.empty_like(ids))
    list(widened((0, stored) for stored in narrowed([np.arange(8, dtype=np.uint32)])))
    data = np.zeros(8, np.uint8)
    data.flags.writeable = False
    cut_long(data, 0, 8, 4, 4, 4)


MEASURE: dict[str, Callable[[], None]] = {
    "reading": use_reading,
    "signals": use_signals,
    "normalise": use_normalise,
    "language": use_language,
}
"""What every run needs first."""
DEFAULT = MEASURE | {"dedup": use_dedup, "candidates": use_candidates, "shards": use_shards}
"""What a run with default settings needs, longest first."""


def are_compiled() -> bool:
    """Whether this node has all that a run with default settings needs."""
    return all(is_compiled(name) for name in DEFAULT)


def load_compiled() -> None:
    """Load what is compiled, so that processes that are forked from this one have it."""
    for name, use in DEFAULT.items():
        if is_compiled(name):
            use()


def compile_default() -> None:
    """Compile what is missing and nobody else is at, and wait for those who are."""
    compile_all(DEFAULT)


def compile_in_background() -> None:
    """Where sets are missing, begin to compile them in one process a core, and say so. Does not wait."""
    if are_compiled():
        return
    remove_unused()  # here, and not in those processes alone, because this one has a log
    cores = min(usable_cores(), len(DEFAULT))
    if begin_processes().begin_background(f"{__name__}:{compile_default.__name__}", cores):
        say(
            f"compiling kernels on {cores} cores, once on this machine, about {SECONDS / cores:.0f} s beside the run's "
            "own work; `winnow warm` does it beforehand"
        )


def compile_now() -> float:
    """Compile everything that is missing with all cores of this machine; returns the seconds that it took."""
    started = time.perf_counter()
    compile_in_background()
    compile_default()
    return time.perf_counter() - started
