"""Counts on the command line."""

import pytest
import typer

from jobs.counts import count
from tests.support.commands import winnow


@pytest.mark.parametrize(("written", "number"), [("20k", 20_000), ("1M", 10**6), ("32Ki", 32_768), ("7", 7), (9, 9)])
def test_counts(written, number):
    assert count()(written) == number


def test_sizes_and_what_is_none():
    assert (count(in_mb=True)("2GB"), count(in_mb=True)("300")) == (2000, 300)
    for wrong in ("0", "-3", "2GB", "x", "", "²"):
        with pytest.raises(typer.BadParameter, match="is no whole number of at least 1, such as 20000, 20k or 1M"):
            count()(wrong)
    assert count(0)("0") == 0


def test_commands_take_them(tmp_path):
    nowhere = str(tmp_path / "nowhere")
    for line in (
        ("audit", "dedup", nowhere, "--documents", "20k", "--removed=10k", "--planted", "0"),
        ("train-tokenizer", nowhere, "--size", "32Ki", "--sample-mb", "2GB"),
        ("select", nowhere, "--explore", "--sample", "2k"),
    ):
        code, told = winnow(*line)
        assert code == 2
        assert "nowhere" in told and "whole number" not in told  # the options were taken
    code, told = winnow("train-tokenizer", nowhere, "--size", "200")
    assert code == 2
    assert "at least 257" in told.replace("\n", " ")
