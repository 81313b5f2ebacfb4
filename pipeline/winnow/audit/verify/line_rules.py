"""What line rules took: the manifest against the signals of all documents."""

from collections import Counter

import numpy as np

from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.stages.tables import column_to_numpy, read_parquet
from winnow.text.line_rules.config import columns_of


def check_line_rules(run: RunRecords) -> list[Balance]:
    """Lines and bytes of each source and rule; a document that lost more than 4 GB would be told as that much."""
    rules = run.config.measure.line_rules
    if rules is None:
        return []
    found: Counter[tuple[str, str]] = Counter()
    for part in run.parts:
        table = read_parquet(run.store, part.signals, ["source", *rules.columns])
        sources = np.array(table.column("source").to_pylist(), object)
        for name in set(sources.tolist()):
            for column in rules.columns:
                found[name, column] += int(column_to_numpy(table, column)[sources == name].sum(dtype=np.int64))
    balances = []
    for name, source in run.manifest["sources"].items():
        told = source.get("line_rules", {"lines": {}, "bytes_by_rule": {}})
        for rule in rules.rules:
            for kind, column in zip(("lines", "bytes_by_rule"), columns_of(rule), strict=True):
                what = f"{column} of source {name}"
                balances.append(Balance(what, told[kind].get(rule, 0), found[name, column]))
    return balances
