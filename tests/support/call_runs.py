"""The small runs of ``every_call``: the plain one, and those with stages that it has not, whose calls are tried.

Sizes in the config begin at a megabyte, so partitions and ranges are made small here: each of these stages has several
units.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.configs import source_of
from tests.support.corpora import articles, renamed, write_sample
from tests.support.small_work import many_partitions, many_units
from winnow.stages.dedup import component_rounds, index_groups

DOCUMENTS = 12


@dataclass(frozen=True)
class Kind:
    """What a run has besides the plain one's."""

    stages: tuple[str, ...] = ()
    """Calls that come while one of them is at work are tried; empty: all calls of the run."""
    sections: dict[str, Any] = field(default_factory=dict)
    sources: tuple[dict[str, Any], ...] = ()
    """Behind those of the sample."""
    nights: tuple[tuple[str, ...], ...] = (("books",),)
    """Sources of each of the runs that were there before, which the index knows; empty: there is no index."""


KINDS = ("plain", "families", "select", "rounds")
_HALVES = ("component_links", "large_star", "small_star", "component_ranges")


def prepare(kind: str, data: Path, patch: pytest.MonkeyPatch) -> Kind:
    """Write the corpus; make this process cut work into small pieces."""
    write_sample(data, DOCUMENTS)
    if kind == "plain":
        return Kind()
    many_partitions(patch, 2)
    many_units(patch, 50_000)
    if kind == "families":
        return _families(data)
    return _select(data) if kind == "select" else _rounds(data, patch)


def _families(data: Path) -> Kind:
    """Synthetic texts, made of documents of another source."""
    made = [{"of": f"web/{number // 2}", "text": text} for number, text in enumerate(articles(6, 8))]
    (data / "made.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    stages = ("parent_names", "parent_set", "family_members", "family_links", "family_outcomes")
    return Kind(stages, {}, (source_of(data / "made.jsonl", "made", augmented_from="of"),), ())


def _select(data: Path) -> Kind:
    """All that the sample looks at: quality, clusters, prototypes, likeness to a target, a budget."""
    offers = [f"Buy {number} now! Click here, only {number + 1} left. " * 9 for number in range(12)]
    for name, texts in (("good", articles(7, 10)), ("bad", offers)):
        (data / f"{name}.jsonl").write_text("\n".join(renamed(texts)) + "\n")
    good, bad = (str(data / f"{name}.jsonl") for name in ("good", "bad"))
    select = {
        "encoder": {"dimensions": 16},
        "clusters": {"number": 3, "iterations": 3},
        "semantic": {"epsilon": 0.05},
        "quality": {"positive": good, "negative": bad, "threshold": 0.05, "temperature": 1.0},
        "prototypes": {"drop_share": 0.3},
        "importance": {"target": good, "buckets": 64},
        "sample": {"target_tokens": 5_000, "cluster_temperature": 0.5},
    }
    stages = (
        *("embed", "centres", "assign"),
        *("semantic_links", "semantic_components", "semantic_candidates", "semantic_keepers"),
        *("quality_examples", "quality_embed", "quality_fit", "quality"),
        *("importance_target", "importance_counts", "importance_ratio", "importance"),
        *("scores", "prototype_clusters", "prototypes"),
        *("sample_draw", "sample_levels", "sample_ranges", "sample_limit", "sample_places", "sample", "select"),
    )
    return Kind(stages, {"select": select}, nights=())


def _rounds(data: Path, patch: pytest.MonkeyPatch) -> Kind:
    """An index of two segments with links between them, and components in rounds, whose tables are let go at last."""
    patch.setattr(component_rounds, "PAIR_BYTES", 60_000)
    patch.setattr(index_groups, "LINK_BYTES", 60_000)
    books = articles(2, DOCUMENTS // 2)
    (data / "again.jsonl").write_text("\n".join(renamed([f"{text} Again." for text in books[:4]])) + "\n")
    again = source_of(data / "again.jsonl", "again", id="id")
    halves = ("index_links", "index_edges", *(f"index_{half}" for half in _HALVES), "index_groups", "index_members")
    return Kind(
        (*halves, "edges", *_HALVES, "components", "keepers"),
        {"dedup": {"components": "rounds"}, "compute": {"partition_mb": 1, "keep": "needed"}},
        (again,),
        (("books",), ("again",)),
    )
