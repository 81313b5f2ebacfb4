"""Labels on a walk over the stages: which there are, and what the manifest and the summary say of them."""

from typing import TYPE_CHECKING

from winnow.engine.records import Json, total
from winnow.errors import ConfigError
from winnow.report.balances import Balance
from winnow.stages.decide import label_cuts
from winnow.stages.ingest import labels
from winnow.stages.ingest.labels import LabelSet

if TYPE_CHECKING:
    from winnow.flow.context import RunContext


def settle_labels(context: "RunContext") -> LabelSet | None:
    """The labels of all readable documents; None where sources have none, or nothing was read.

    Raises:
        ConfigError: there are too many, or some that ``shards.labels`` does not name.
    """
    if not context.config.labelled or not context.parts:
        return None
    engine, given = context.engine, context.config.shards.labels
    finding, settling = labels.names_stage(), labels.set_stage(given)
    found = engine.run(finding, labels.plan_names(context.parts))
    (record,) = engine.run(settling, labels.plan_set(engine.listing(finding, found, "names"), found))
    fields = ", ".join(f"{source.label!r} of source {source.name}" for source in context.config.sources)
    if given is None and total([record], "labels") > labels.MAX_LABELS:
        raise ConfigError(
            f"more than {labels.MAX_LABELS:,} different labels in field {fields}: is it a text, an id or a time? Name "
            "the field that holds the class"
        )
    unknown = total([record], "unknown")
    if unknown:
        listed = ", ".join(f"{name!r:.100} ({number:,} documents)" for name, number in record.metadata["unknown"])
        raise ConfigError(
            f"shards.labels does not name {unknown:,} of the labels in field {fields}: {listed}"
            f"{', ...' if unknown > len(record.metadata['unknown']) else ''}; add them, or leave these documents out"
        )
    return labels.label_set(engine.store, record)


def cut_strata(context: "RunContext", fates: Json | None, segment: int) -> tuple[Json, Json] | None:
    """The labels, and where splits end in each; None where splits are not stratified.

    Args:
        walk: filtered and deduplicated.
        fates: where fates are listed; None where dedup is off.
        segment: this run's number in an index, 0 without one.
    """
    if context.labels is None or not context.config.stratified:
        return None
    engine, config = context.engine, context.config.shards
    counting = label_cuts.counts_stage(config.seed, [source.weight for source in context.config.sources], segment)
    counted = engine.run(counting, label_cuts.plan_counts(context.parts, context.filtered, fates, context.labels.table))
    entries, sums = (engine.listing(counting, counted, name) for name in ("entries", "sums"))
    cutting = label_cuts.cuts_stage(list(config.splits.values()))
    (cut,) = engine.run(cutting, label_cuts.plan_cuts(entries, sums, counted, len(context.labels.names)))
    return context.labels.table, cut.outputs["cuts"].reference()


def documents_by_label(context: "RunContext", split: str) -> list[int]:
    """Documents of a split in the shards by label, copies counted."""
    assert context.labels is not None
    return [total(context.shuffled, f"labels/{split}/{number}") for number in range(len(context.labels.names))]


def described_labels(context: "RunContext") -> Json:
    """What the manifest says of labels; empty without any."""
    if context.labels is None:
        return {}
    return {
        "labels": {
            "names": context.labels.names,
            "readable": context.labels.documents,
            "conflicts": total(context.clustered, "label_conflicts"),
        }
    }


def label_balances(context: "RunContext") -> list[Balance]:
    """Documents by label against all documents of each split."""
    if context.labels is None:
        return []
    return [
        Balance(
            f"labels of split {name}",
            total(context.shuffled, f"documents/{name}"),
            sum(documents_by_label(context, name)),
        )
        for name in context.config.shards.split_names
    ]
