"""Many units and partitions out of a small corpus: sizes in the config begin at a megabyte."""

import pytest

from winnow.engine.exchange_extents import ranges_of
from winnow.stages.dedup import bands, candidates, component_rounds, index_groups
from winnow.stages.families import families
from winnow.stages.ingest import boilerplate, slices
from winnow.stages.passages import anchors, windows
from winnow.stages.select import clusters, sample_ranges, semantic
from winnow.stages.shards import layout, shuffle


def many_units(monkeypatch: pytest.MonkeyPatch, unit_bytes: int = 20_000) -> None:
    """Units of ``measure``, and so parts, of about so many bytes of text."""
    plan_count, plan_measure = slices.plan_count, slices.plan_measure
    monkeypatch.setattr(slices, "plan_count", lambda *given: plan_count(*given[:2], unit_bytes, *given[3:]))
    monkeypatch.setattr(slices, "plan_measure", lambda *given: plan_measure(*given[:3], unit_bytes, *given[4:]))


def many_partitions(monkeypatch: pytest.MonkeyPatch, number: int = 7) -> None:
    """Exchanges of so many partitions, and few of them in each unit of the layout."""
    monkeypatch.setattr(layout, "ranges_of", lambda partitions, files: ranges_of(partitions, files, 3 * 16 * files))
    dedups, selects = (
        (bands, boilerplate, candidates, component_rounds, index_groups),
        (clusters, sample_ranges, semantic),
    )
    for stage in (anchors, *dedups, families, *selects, shuffle, windows):
        monkeypatch.setattr(stage, "partitions_for", lambda *_size: number)
