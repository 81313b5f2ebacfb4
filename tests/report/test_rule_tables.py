"""Which rule failed how many documents of which source: each number once, in 80 columns, for any number of sources."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.configs import source_of, unread_config
from tests.support.terminal_tables import number, printed, read_back
from winnow.config.config import parse_config
from winnow.engine.records import Record
from winnow.flow.records import RunRecords
from winnow.report.rule_tables import ALL, RULES_SHOWN, failures_by_source, rule_tables


def run_of(numbers: list[list[int]]) -> RunRecords:
    """A run of S sources, R rules: documents of source s that fail rule r, the last rule by ``screen``."""
    names = [f"s{n}" for n in range(len(numbers))]
    config = parse_config(unread_config(sources=[source_of("-", name) for name in names]))
    counters = {"filter": {}, "screen": {}}
    for name, row in zip(names, numbers, strict=True):
        counters["filter"][f"of_source/{name}"] = sum(row)
        for rule, count in enumerate(row):
            stage = "screen" if rule == len(row) - 1 else "filter"
            counters[stage][f"failed_source/{name}/set.a_long_name_of_a_rule_as_they_are_{rule:02d}"] = count
    records = {name: [Record(name, "", "", 0, {}, values)] for name, values in counters.items()}
    return RunRecords(None, config, records)


SIZES = st.integers(1, 40).flatmap(
    lambda rules: st.lists(
        st.lists(st.integers(0, 10**12), min_size=rules, max_size=rules).filter(any), min_size=2, max_size=9
    )
)


@settings(max_examples=40, deadline=None)
@given(SIZES)
def test_every_number_stands_in_some_table_and_in_the_sums(numbers):
    run = run_of(numbers)
    rules = [sum(column) for column in zip(*numbers, strict=True)]
    for whole in (True, False):
        told = printed(rule_tables(run, whole=whole))
        assert all(len(line) <= 80 for line in told.splitlines() if "winnow summary" not in line)
        assert "…" not in told
        expected = sorted(filter(None, rules), reverse=True)[: None if whole else RULES_SHOWN]
        columns = {}
        for names, rows in read_back(told):
            numbers_of = [[number(cell) for cell in row[1:]] for row in rows]
            columns |= dict(zip(names[1:], zip(*numbers_of, strict=True), strict=True))
        assert list(columns[ALL][: len(expected)]) == expected
        assert columns[ALL][-1] == sum(map(sum, numbers))
        others = [column for name, column in columns.items() if name != ALL]
        assert [sum(row) for row in zip(*others, strict=True)] == list(columns[ALL])
        if whole:
            for at, row in enumerate(numbers):
                there = [count for count, failed in zip(row, rules, strict=True) if failed]
                assert sorted(columns[f"s{at}"]) == sorted([*there, sum(row)])
            assert "winnow summary" not in told


def test_what_is_left_out_is_told():
    told = printed(rule_tables(run_of([[5] * 12, [1] * 12]), whole=False))
    assert "12 rules failed documents of 2 sources; all of them: winnow summary /r --all" in told
    told = printed(rule_tables(run_of([[number + 1] * 3 for number in range(20)]), whole=False))
    assert re.search(r"\d+ more", told) and "3 rules failed documents of 20 sources; all of them" in told


@pytest.mark.parametrize("numbers", [[[3, 4]], [[0, 0], [0, 0]]])
def test_one_source_or_no_failure_needs_no_table(numbers):
    assert printed(rule_tables(run_of(numbers), whole=True)) == ""


def test_rules_of_all_deciding_stages_are_summed_by_source():
    found = failures_by_source(run_of([[1, 2], [4, 8]]))
    assert [sorted(found[name].values()) for name in ("s0", "s1")] == [[1, 2], [4, 8]]
    assert sum(found.values(), Counter()).total() == 15
