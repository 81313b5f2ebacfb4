"""What failed rules on provenance: the failures of the filter against the evidence, and both against the manifest."""

from collections import Counter

from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.stages.tables import read_parquet


def check_provenance(run: RunRecords) -> list[Balance]:
    """Every failure has its evidence, every evidence its failure, and the manifest counts them."""
    if not run.of("provenance"):
        return []
    rules, paired, failures = Counter[str](), 0, 0
    for looked, filtered in zip(run.of("provenance"), run.of("filter"), strict=True):
        matches = read_parquet(run.store, looked.outputs["matches"].reference(), ["doc", "rule"]).to_pylist()
        evidence = {(row["doc"], row["rule"]) for row in matches}
        rules.update(row["rule"] for row in matches)
        table = read_parquet(run.store, filtered.outputs["failures"].reference(), ["doc", "rule"])
        failed = {
            (d, r) for d, r in zip(table.column("doc").to_pylist(), table.column("rule").to_pylist(), strict=True)
        }
        mine = {pair for pair in failed if pair[1].startswith(("urls.", "opt_outs.", "licences."))}
        failures += len(mine)
        paired += len(mine & evidence)
    told = run.manifest["provenance"]["failed"]
    return [
        Balance("failures of rules on provenance against their evidence", rules.total(), failures),
        Balance("failures of rules on provenance with evidence", failures, paired),
        *(Balance(f"documents that failed {rule}", told.get(rule, 0), rules[rule]) for rule in sorted({*told, *rules})),
    ]
