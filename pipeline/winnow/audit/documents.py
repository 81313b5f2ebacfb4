"""What the audits read of a finished run: the ledger's rows, seeded samples of documents, their signatures.

Everything goes part by part, so that memory follows the sample and not the corpus.

Legend: N documents of a part, D documents asked for, P permutations.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.config import DedupConfig
from winnow.dedup.guard import REASONS
from winnow.dedup.minhash_config import MinHashConfig
from winnow.errors import ConfigError
from winnow.flow.records import RunRecords
from winnow.looking.texts import parts_holding
from winnow.shards.order import keyed_hash
from winnow.stages.tables import column_to_numpy, list_column_to_2d, read_ipc, read_parquet

OUTCOMES = schemas.LEDGER_OUTCOMES
KEPT, EXACT, NEAR = (OUTCOMES.index(name) for name in (schemas.KEPT, schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE))

_SAMPLE_TAG = 0x6175646974  # "audit": samples share no keys with orders and splits


class Rows(NamedTuple):
    """The ledger of one part."""

    doc: NDArray[np.uint64]  # [N] rising
    passed: NDArray[np.bool_]  # [N] took part in dedup
    source: NDArray[np.int64]  # [N] position in the config
    outcome: NDArray[np.int64]  # [N] position in OUTCOMES
    keeper: NDArray[np.uint64]  # [N] NO_DOC where there is none
    similarity: NDArray[np.float32]  # [N] NaN where there is none
    containment: NDArray[np.float32]  # [N] NaN where it is not known
    lost: NDArray[np.int64]  # [N] runs of three words that the keeper lacks, -1 where not known
    guard: NDArray[np.int64]  # [N] position in the guard's REASONS, -1 where it refused no keeper
    split: NDArray[np.int64]  # [N] position in the run's split names, -1 unless kept

    @property
    def removed(self) -> NDArray[np.bool_]:
        """Documents removed as duplicates: bool[N]."""
        removed: NDArray[np.bool_] = (self.outcome == EXACT) | (self.outcome == NEAR)
        return removed


class DocumentSignatures(NamedTuple):
    """Signatures of some documents, in their order."""

    hashes: NDArray[np.uint64]  # [D, 2] of the whole text
    entries: NDArray[np.uint32]  # [D, P]


def dedup_of(run: RunRecords) -> DedupConfig:
    """The run's dedup settings.

    Raises:
        ConfigError: the run removed no duplicates.
    """
    if run.config.dedup is None:
        raise ConfigError(f"{run.store.root}: this run has `dedup: off`, so there is nothing to audit")
    return run.config.dedup


def minhash_of(run: RunRecords) -> MinHashConfig:
    """How the run's signatures were made; with `dedup: off` they are made with the defaults."""
    return (run.config.dedup or DedupConfig()).minhash


def read_rows(run: RunRecords, number: int) -> Rows:
    """The ledger of part ``number``."""
    verdicts = read_parquet(
        run.store, run.of("filter")[number].outputs["verdicts"].reference(), ["doc", "passed", "source"]
    )
    decisions = read_parquet(
        run.store,
        run.of("decide")[number].outputs["decisions"].reference(),
        ["doc", "outcome", "keeper", "similarity", "containment", "lost_ngrams", "guard", "split"],
    )
    docs = column_to_numpy(verdicts, "doc")
    if not np.array_equal(docs, column_to_numpy(decisions, "doc")):
        raise ConfigError(
            f"{run.store.root}: part {number} has other documents in its decisions than in its verdicts; "
            "`winnow verify` tells what is damaged"
        )
    return Rows(
        docs,
        column_to_numpy(verdicts, "passed"),
        column_to_numpy(verdicts, "source").astype(np.int64),
        _codes(decisions.column("outcome"), OUTCOMES),
        decisions.column("keeper").fill_null(int(schemas.NO_DOC)).to_numpy(),
        decisions.column("similarity").fill_null(float("nan")).to_numpy(),
        decisions.column("containment").fill_null(float("nan")).to_numpy(),
        decisions.column("lost_ngrams").cast(pa.int64()).fill_null(-1).to_numpy(),
        _codes(decisions.column("guard"), REASONS),
        _codes(decisions.column("split"), run.config.shards.split_names),
    )


class SplitRows(NamedTuple):
    """Documents of a part and where they came to in the end."""

    doc: NDArray[np.uint64]  # [N]
    split: NDArray[np.int64]  # [N] position in the run's split names, -1 unless the shards have it


def read_splits(run: RunRecords, number: int) -> SplitRows:
    """The splits of part ``number`` by the last ledger: steps behind dedup leave documents out, too."""
    table = read_parquet(run.store, run.ledger[number].outputs["decisions"].reference(), ["doc", "split"])
    return SplitRows(column_to_numpy(table, "doc"), _codes(table.column("split"), run.config.shards.split_names))


def _codes(column: pa.ChunkedArray, names: tuple[str, ...] | list[str]) -> NDArray[np.int64]:
    """Positions in ``names`` of a column of names, -1 for null."""
    array = column.combine_chunks()
    if not isinstance(array, pa.DictionaryArray):
        array = array.dictionary_encode()
    places = np.array([list(names).index(name) for name in array.dictionary.to_pylist()] or [0])
    indices = array.indices
    found: NDArray[np.int64] = np.where(indices.is_null(), -1, places[indices.fill_null(0).to_numpy()])
    return found


def draw(run: RunRecords, which: Callable[[Rows], NDArray[np.bool_]], size: int, seed: int) -> NDArray[np.uint64]:
    """A uniform sample of the run's documents: those with the smallest keyed hashes, whatever the parts are.

    Args:
        run: a finished run.
        which: marks the documents of a part that may be drawn.
        size: how many, at most.
        seed: another seed, another sample.

    Returns:
        uint64[up to size], rising.
    """
    docs, keys = np.empty(0, np.uint64), np.empty(0, np.uint64)
    for number in range(len(run.parts)):
        rows = read_rows(run, number)
        docs = np.concatenate([docs, rows.doc[which(rows)]])
        added = docs[len(keys) :]
        keys = np.concatenate([keys, keyed_hash((_SAMPLE_TAG, seed), added[:, None])[:, 0]])
        smallest = np.argsort(keys, kind="stable")[:size]
        docs, keys = docs[smallest], keys[smallest]
    return np.sort(docs)


def rows_of(run: RunRecords, docs: NDArray[np.uint64]) -> tuple[Rows, NDArray[np.bool_]]:
    """Ledger rows of documents uint64[D] (rising), and which of them the run has: bool[D].

    Rows of documents that the run does not have hold nothing of meaning.
    """
    found = np.zeros(len(docs), bool)
    kinds = ("u8", "?", "i8", "i8", "u8", "f4", "f4", "i8", "i8", "i8")
    gathered: list[NDArray[Any]] = [np.zeros(len(docs), kind) for kind in kinds]
    for number, places in parts_holding(run, docs):
        rows = read_rows(run, number)
        columns: tuple[NDArray[Any], ...] = rows
        at, there = _find(rows.doc, docs[places])
        for values, column in zip(gathered, columns, strict=True):
            values[places[there]] = column[at]
        found[places[there]] = True
    return Rows(*gathered), found


def read_signatures(run: RunRecords, number: int, at: NDArray[np.int64]) -> DocumentSignatures:
    """Signatures of some rows of a part."""
    table = read_ipc(run.store, run.parts[number].signatures)
    hashes = np.stack([column_to_numpy(table, "exact_high")[at], column_to_numpy(table, "exact_low")[at]], axis=1)
    return DocumentSignatures(hashes, list_column_to_2d(table, "signature", minhash_of(run).num_perm)[at])


def signatures_of(run: RunRecords, docs: NDArray[np.uint64]) -> DocumentSignatures:
    """Signatures of documents uint64[D] (rising); zeros for those that the run does not have."""
    hashes = np.zeros((len(docs), 2), np.uint64)
    signatures = np.zeros((len(docs), minhash_of(run).num_perm), np.uint32)
    for number, places in parts_holding(run, docs):
        at, there = _find(
            column_to_numpy(read_parquet(run.store, run.parts[number].documents, ["doc"]), "doc"), docs[places]
        )
        hashes[places[there]], signatures[places[there]] = read_signatures(run, number, at)
    return DocumentSignatures(hashes, signatures)


def components_of(run: RunRecords, docs: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Candidate component of documents uint64[D]: uint64[D]; a document that met no other is its own component."""
    components = docs.copy()
    for record in run.of("components"):
        table = read_ipc(run.store, record.outputs["components"].reference())
        known = column_to_numpy(table, "doc")
        if len(known):
            at = np.minimum(np.searchsorted(known, docs), len(known) - 1)
            met = known[at] == docs
            components[met] = column_to_numpy(table, "component")[at[met]]
    return components


def _find(sorted_docs: NDArray[np.uint64], docs: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Places of those ``docs`` that are there, and which these are."""
    at = np.minimum(np.searchsorted(sorted_docs, docs), len(sorted_docs) - 1)
    there = sorted_docs[at] == docs
    return at[there], there
