"""Does the run say of repeated passages what the texts say? A sample is read again; edits and ledger against it."""

import numpy as np
import pyarrow.compute as pc

from winnow import schemas
from winnow.audit.passages import SAMPLE, check_sample
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.stages.tables import column_to_numpy, read_parquet


def check_passages(run: RunRecords) -> list[Balance]:
    """Sampled passages against the texts, documents cut and left out against those with passages."""
    if not run.of("passage_spans"):
        return []
    checked, right = check_sample(run, SAMPLE)
    documents = told = 0
    for spans, decided in zip(run.of("passage_spans"), run.of("passages"), strict=True):
        tables = [read_parquet(run.store, spans.outputs[name].reference(), ["doc"]) for name in ("spans", "edits")]
        held, cut = (np.unique(column_to_numpy(table, "doc")) for table in tables)
        ledger = read_parquet(run.store, decided.outputs["decisions"].reference(), ["doc", "outcome"])
        gone = ledger.filter(pc.equal(ledger.column("outcome"), schemas.REPEATED))
        accounted = np.concatenate([cut, column_to_numpy(gone, "doc")])
        documents += len(held)
        told += len(np.intersect1d(held, accounted)) if len(np.unique(accounted)) == len(accounted) else 0
    return [
        Balance("sampled passages that stand before, word for word, where the run says", checked, right),
        Balance("documents with repeated passages that are cut, or left out", documents, told),
    ]
