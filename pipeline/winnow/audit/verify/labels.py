"""Labels once more: from the input's own field and the ledger, and from the shards, against the manifest."""

from collections import Counter

import numpy as np
import pyarrow.parquet as pq

from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.shards.packed_rows import LABEL
from winnow.stages.ingest.labels import COLUMN
from winnow.stages.tables import column_to_numpy, read_parquet


def check_labels(run: RunRecords) -> list[Balance]:
    """Rows of every split by label: the manifest against the ledger, and against the Parquet shards where there are.

    One balance a split and witness: rows whose count the manifest and the witness agree on, against all rows.
    """
    manifest = run.manifest
    if "labels" not in manifest:
        return []
    names = manifest["labels"]["names"]
    splits = manifest["shards"]["splits"]
    in_ledger = {split: Counter[str]() for split in splits}
    for part, decided in zip(run.parts, run.ledger, strict=True):
        labels = np.array(read_parquet(run.store, part.documents, [COLUMN]).column(COLUMN).to_pylist(), object)
        decisions = read_parquet(run.store, decided.outputs["decisions"].reference(), ["split", "copies"])
        found, copies = np.array(decisions.column("split").to_pylist(), object), column_to_numpy(decisions, "copies")
        for split, counts in in_ledger.items():
            mine = np.flatnonzero((found == split) & (copies > 0))
            for label, number in zip(labels[mine].tolist(), copies[mine].tolist(), strict=True):
                counts[label] += number
    balances = []
    for split, described in splits.items():
        in_manifest = dict(zip(names, described["labels"], strict=True))
        witnesses = {"ledger": in_ledger[split]}
        if manifest["shards"]["format"] == "parquet":
            witnesses["shards"] = _in_shards(run, described["shards"], names)
        for witness, counts in witnesses.items():
            agreed = sum(min(in_manifest.get(name, 0), counts[name]) for name in set(in_manifest) | set(counts))
            expected = max(sum(in_manifest.values()), sum(counts.values()))
            balances.append(Balance(f"labels of split {split} in the {witness}", expected, agreed))
    return balances


def _in_shards(run: RunRecords, shards: list[dict[str, str]], names: list[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for shard in shards:
        path = f"{run.shards}/{shard['path']}"
        source = run.store.columns_of(path)
        values = pq.read_table(source, columns=[LABEL], **run.store.decryption(path)).column(LABEL).to_numpy()
        for number, rows in zip(*np.unique(values, return_counts=True), strict=True):
            counts[names[number] if 0 <= number < len(names) else f"#{number}"] += int(rows)
    return counts
