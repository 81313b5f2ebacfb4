"""Kept documents and tokens by licence, as a report of every run."""

import csv
import io

from winnow.flow.records import RunRecords
from winnow.report.reports import Report


def _licences(run: RunRecords) -> bytes:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["source", "licence", "documents", "tokens"])
    for source in run.config.sources:
        kept = run.totals(run.ledger_stage, f"source/{source.name}").get("kept", 0)
        tokens = run.total("tokenise", f"source_tokens/{source.name}")
        table.writerow([source.name, source.licence or "unknown", kept, tokens])
    return text.getvalue().encode()


REPORT = Report("licences", "licences.csv", _licences)
