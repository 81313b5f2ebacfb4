"""Tables of what became of records: 80 columns, whole numbers, every source counted whatever there is."""

import io
import re

import pytest
from rich.console import Console

from tests.support.configs import source_of, unread_config
from winnow.config.config import parse_config
from winnow.engine.records import Record
from winnow.flow.records import RunRecords
from winnow.report.outcomes import outcome_tables
from winnow.report.page.fates import funnel
from winnow.report.tables import SHOWN

LARGE = 123_456_789_000


def run_of(sources: int, languages: int = 1) -> RunRecords:
    names = [f"{'a-long-name-of-a-source-' * 3}{n}" for n in range(sources)]
    config = parse_config(unread_config(sources=[source_of("-", name) for name in names]))
    decided = {f"source/{name}/{kind}": n + 1 for n, name in enumerate(names) for kind in ("kept", "filtered")}
    decided |= {f"outcome/{kind}": sum(range(1, sources + 1)) for kind in ("kept", "filtered")}
    tokens = {f"source_tokens/{name}": LARGE + n for n, name in enumerate(names)}
    found = {f"of_language/{n:03d}": 10 + n for n in range(languages)}
    found |= {f"dropped_language/{n:03d}": 5 for n in range(languages)}
    counters = {"decide": decided, "tokenise": tokens, "filter": found}
    return RunRecords(
        None,
        config,
        {name: [Record(name, "", "", 0, {}, values)] for name, values in counters.items()},
        ledger_stage="decide",
    )


def printed(run: RunRecords, *, whole: bool = False) -> str:
    text = io.StringIO()
    console = Console(file=text, width=80)
    for entry in outcome_tables(run, whole=whole):
        console.print(entry, soft_wrap=isinstance(entry, str))
    return text.getvalue()


@pytest.mark.parametrize("sources", [2, SHOWN, SHOWN + 1, 60])
def test_every_source_is_in_a_row_or_in_the_sum(sources):
    told = printed(run_of(sources))
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
        len(re.findall(r"│ +[\d,]+ │ +[\d,]+ │ +[\d.]+% │ +[\d,]+ │", printed(run_of(sources), whole=True))) == sources
    )


def test_one_source_and_one_language_need_no_table():
    told = printed(run_of(1))
    assert "sources" not in told and "languages" not in told and "records in" in told


def test_languages_beyond_ten_are_summed():
    told = printed(run_of(1, 30))
    rows = re.findall(r"│ (\w[\w ]*?) +│ +([\d,]+) │ +([\d,]+) │ +[\d.]+% │", told)
    assert len(rows) == 10 and rows[0][0] == "029" and rows[-1][0] == "21 more"
    assert sum(int(row[1]) for row in rows) == sum(range(10, 40)) and sum(int(row[2]) for row in rows) == 150
    assert "the last row sums 21 languages" in told
    assert len(re.findall(r"│ \d{3} +│", printed(run_of(1, 30), whole=True))) == 30


def test_a_funnel_ends_with_what_was_kept():
    amounts = {"kept": 5, "filtered": 3, "empty": 1, "near_duplicate": 2, "unreadable": 4}
    steps = funnel(amounts)
    assert steps == [("read", 15, 0), ("readable", 11, 4), ("passes rules", 7, 4), ("no duplicate", 5, 2)]
    assert funnel({}) == [("read", 0, 0)]
