"""Tables of what became of records: 80 columns, whole numbers, every source counted whatever there is."""

import re

import pytest

from tests.support.configs import source_of, unread_config
from tests.support.terminal_tables import printed
from winnow.config.config import parse_config
from winnow.engine.records import Record
from winnow.flow.records import RunRecords
from winnow.report.outcomes import outcome_tables
from winnow.report.page.fates import funnel
from winnow.report.tables import SHOWN
from winnow.schemas import OUTCOMES

LARGE = 123_456_789_000


def run_of(sources: int) -> RunRecords:
    names = [f"{'a-long-name-of-a-source-' * 3}{n}" for n in range(sources)]
    config = parse_config(unread_config(sources=[source_of("-", name) for name in names]))
    decided = {f"source/{name}/{kind}": n + 1 for n, name in enumerate(names) for kind in ("kept", "filtered")}
    decided |= {f"outcome/{kind}": sum(range(1, sources + 1)) for kind in ("kept", "filtered")}
    tokens = {f"source_tokens/{name}": LARGE + n for n, name in enumerate(names)}
    counters = {"decide": decided, "tokenise": tokens}
    return RunRecords(
        None,
        config,
        {name: [Record(name, "", "", 0, {}, values)] for name, values in counters.items()},
        ledger_stage="decide",
    )


@pytest.mark.parametrize("sources", [2, SHOWN, SHOWN + 1, 60])
def test_every_source_is_in_a_row_or_in_the_sum(sources):
    told = printed(outcome_tables(run_of(sources), whole=False))
    assert all(len(line) <= 80 for line in told.splitlines())
    assert "…" not in told
    rows = re.findall(r"│ +([\d,]+) │ +([\d,]+) │ +[\d.]+% │ +([\d,]+) │", told)
    assert len(rows) == min(sources, SHOWN)
    columns = [[int(cell.replace(",", "")) for cell in column] for column in zip(*rows, strict=True)]
    whole = sum(range(1, sources + 1))
    assert (sum(columns[0]), sum(columns[1])) == (2 * whole, whole)
    assert sum(columns[2]) == sources * LARGE + sum(range(sources))
    summed = sources - SHOWN + 1
    assert (f"the last row sums {summed:,} sources; all of them: winnow summary /r --all" in told) == (sources > SHOWN)
    assert (
        len(
            re.findall(
                r"│ +[\d,]+ │ +[\d,]+ │ +[\d.]+% │ +[\d,]+ │", printed(outcome_tables(run_of(sources), whole=True))
            )
        )
        == sources
    )


def test_one_source_needs_no_table():
    told = printed(outcome_tables(run_of(1), whole=False))
    assert "sources" not in told and "records in" in told


def test_a_funnel_ends_with_what_was_kept():
    amounts = {"kept": 5, "filtered": 3, "empty": 1, "near_duplicate": 2, "unreadable": 4}
    steps = funnel(amounts)
    assert steps == [("read", 15, 0), ("readable", 11, 4), ("passes rules", 7, 4), ("no duplicate", 5, 2)]
    assert funnel({}) == [("read", 0, 0)]
    assert funnel(dict.fromkeys(OUTCOMES, 1))[-1][1] == 1  # every outcome ends at some step
