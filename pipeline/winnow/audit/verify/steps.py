"""Are the documents that quality, prototypes and the budget left out those that the ledger names?

Who is in and who is out is looked at from the scores (:mod:`winnow.audit.verify.sample`); qualities and cosines are
computed again from the stored vectors.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.audit.verify.sample import check_sample
from winnow.audit.verify.semantic import vectors_of
from winnow.audit.verify.streams import Spread
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.looking.texts import parts_holding
from winnow.select.quality import Head
from winnow.select.vectors import unit_rows
from winnow.stages.select.sample import sample_stage
from winnow.stages.tables import column_to_numpy, list_column_to_2d, read_ipc, read_parquet

SAMPLE = 4096
"""Documents of each kind whose value is computed again, spread evenly over the corpus."""
_FLOAT_ERROR = 1e-4


def check_steps(run: RunRecords) -> list[Balance]:
    """Qualities and cosines in the ledger are those of the vectors, on the right side of the limit; kept ones too."""
    config = run.config.select
    if config is None or not run.parts:
        return []
    balances = []
    stage = sample_stage(config, [source.name for source in run.config.sources])
    if config.leaves_out_by_score and run.of("sample")[0].fingerprint == stage.fingerprint:
        balances += check_sample(run, config)  # an earlier version's steps may have decided otherwise
    if config.quality is not None and config.quality.threshold is not None:
        head = Head.from_json(run.store.read(run.of("quality_fit")[0].outputs["head"].path))
        doc, value = _left_out(run, "select.quality")
        found = _of_vectors(run, doc, lambda _, vectors: head.judge(vectors))
        low = value <= np.float32(config.quality.threshold)  # the ledger rounds: one just below may come out equal
        right = (np.abs(found - value) <= _FLOAT_ERROR) & low
        balances.append(
            Balance("sampled documents whose quality is as low as the ledger says", len(doc), int(right.sum()))
        )
        doc = _kept(run)
        found = _of_vectors(run, doc, lambda _, vectors: head.judge(vectors))
        right = ~(found < config.quality.threshold - _FLOAT_ERROR)  # NaN: no vector, no quality
        balances.append(
            Balance("sampled kept documents whose quality is over the threshold", len(doc), int(right.sum()))
        )
    if config.prototypes is not None:
        centres = run.of("centres")[0].outputs["centres"].reference()
        table = read_ipc(run.store, centres)
        matrix = list_column_to_2d(table, "centre", table.schema.field("centre").type.list_size)
        doc, value = _left_out(run, "select.prototypes")

        def cosines(docs: NDArray[np.uint64], vectors: NDArray[np.float16]) -> NDArray[np.float64]:
            products = unit_rows(vectors) * matrix[_clusters(run, docs)]
            return np.asarray(products.sum(axis=1), np.float64)

        right = np.abs(_of_vectors(run, doc, cosines) - value) <= _FLOAT_ERROR
        name = "sampled prototypes as near to their cluster's centre as the ledger says"
        balances.append(Balance(name, len(doc), int(right.sum())))
    return balances


def _left_out(run: RunRecords, rule: str) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Some documents that a rule left out, rising, and their values."""
    chosen = Spread(SAMPLE)
    for record in run.of(run.decided_stage):
        table = read_parquet(run.store, record.outputs["decisions"].reference(), ["doc", "outcome", "rule", "value"])
        mine = pc.and_(
            pc.equal(table.column("outcome").cast(pa.string()), schemas.SAMPLED_OUT),
            pc.equal(table.column("rule").cast(pa.string()), rule).fill_null(False),
        )
        chosen.add(table.filter(mine).select(["doc", "value"]))
    found = chosen.rows()
    return column_to_numpy(found, "doc"), column_to_numpy(found, "value")


def _kept(run: RunRecords) -> NDArray[np.uint64]:
    """Some kept documents, rising."""
    chosen = Spread(SAMPLE)
    for record in run.of(run.decided_stage):
        chosen.add(read_ipc(run.store, record.outputs["survivors"].reference()).select(["doc"]))
    return column_to_numpy(chosen.rows(), "doc")


def _of_vectors(run: RunRecords, docs: NDArray[np.uint64], compute: Any) -> NDArray[np.float64]:
    """``compute(docs, vectors)`` float64[N] over the stored vectors of documents uint64[N], rising."""
    if len(docs) == 0:
        return np.empty(0)
    vectors = vectors_of(run, docs)
    found: NDArray[np.float64] = compute(docs, np.stack([vectors[int(doc)] for doc in docs]))
    return found


def _clusters(run: RunRecords, docs: NDArray[np.uint64]) -> NDArray[np.int64]:
    """int64[N]: clusters of documents uint64[N], rising."""
    cluster = np.empty(len(docs), np.int64)
    for number, places in parts_holding(run, docs):
        table = read_ipc(run.store, run.of("assign")[number].outputs["clusters"].reference())
        cluster[places] = column_to_numpy(table, "cluster")[
            np.searchsorted(column_to_numpy(table, "doc"), docs[places])
        ]
    return cluster
