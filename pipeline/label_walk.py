"""Labels on a walk over the stages: which there are, and what the manifest and the summary say of them."""

from typing import TYPE_CHECKING

from pipeline.config import ConfigError
from pipeline.engine.ledger import Balance
from pipeline.engine.records import Json, total
from pipeline.stages import label_cuts, labels
from pipeline.stages.labels import LabelSet

if TYPE_CHECKING:
    from pipeline.walk import Walk


def settle_labels(walk: "Walk") -> LabelSet | None:
    """The labels of all readable documents; None where sources have none, or nothing was read.

    Raises:
        ConfigError: there are too many, or some that ``shards.labels`` does not name.
    """
    if not walk.config.labelled or not walk.parts:
        return None
    engine, given = walk.engine, walk.config.shards.labels
    finding, settling = labels.names_stage(), labels.set_stage(given)
    found = engine.run(finding, labels.plan_names(walk.parts))
    (record,) = engine.run(settling, labels.plan_set(engine.listing(finding, found, "names"), found))
    fields = ", ".join(f"{source.label!r} of source {source.name}" for source in walk.config.sources)
    if given is None and total([record], "labels") > labels.MAX_LABELS:
        raise ConfigError(
            f"more than {labels.MAX_LABELS:,} different labels in field {fields}: is it a text, an id or a time? Name "
            "the field that holds the class"
        )
    unknown = total([record], "unknown")
    if unknown:
        listed = ", ".join(f"{name!r:.100} ({number:,} documents)" for name, number in record.notes["unknown"])
        raise ConfigError(
            f"shards.labels does not name {unknown:,} of the labels in field {fields}: {listed}"
            f"{', ...' if unknown > len(record.notes['unknown']) else ''}; add them, or leave these documents out"
        )
    return labels.label_set(engine.store, record)


def cut_strata(walk: "Walk", fates: Json | None, segment: int) -> tuple[Json, Json] | None:
    """The labels, and where splits end in each; None where splits are not stratified.

    Args:
        walk: filtered and deduplicated.
        fates: where fates are listed; None where dedup is off.
        segment: this run's number in an index, 0 without one.
    """
    if walk.labels is None or not walk.config.stratified:
        return None
    engine, config = walk.engine, walk.config.shards
    counting = label_cuts.counts_stage(config.seed, [source.weight for source in walk.config.sources], segment)
    counted = engine.run(counting, label_cuts.plan_counts(walk.parts, walk.filtered, fates, walk.labels.table))
    entries, sums = (engine.listing(counting, counted, name) for name in ("entries", "sums"))
    cutting = label_cuts.cuts_stage(list(config.splits.values()))
    (cut,) = engine.run(cutting, label_cuts.plan_cuts(entries, sums, counted, len(walk.labels.names)))
    return walk.labels.table, cut.outputs["cuts"].reference()


def documents_by_label(walk: "Walk", split: str) -> list[int]:
    """Documents of a split in the shards by label, copies counted."""
    assert walk.labels is not None
    return [total(walk.shuffled, f"labels/{split}/{number}") for number in range(len(walk.labels.names))]


def described_labels(walk: "Walk") -> Json:
    """What the manifest says of labels; empty without any."""
    if walk.labels is None:
        return {}
    return {
        "labels": {
            "names": walk.labels.names,
            "readable": walk.labels.documents,
            "conflicts": total(walk.clustered, "label_conflicts"),
        }
    }


def label_balances(walk: "Walk") -> list[Balance]:
    """Documents by label against all documents of each split."""
    if walk.labels is None:
        return []
    return [
        Balance(
            f"labels of split {name}", total(walk.shuffled, f"documents/{name}"), sum(documents_by_label(walk, name))
        )
        for name in walk.config.shards.split_names
    ]
