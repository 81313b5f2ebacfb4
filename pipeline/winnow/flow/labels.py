"""Labels of documents: which there are, and what the manifest and the summary say of them."""

from winnow.config.config import Config
from winnow.engine.records import total
from winnow.errors import ConfigError
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, ManifestPart, Step
from winnow.stages.ingest import labels


def settle_labels(context: RunContext) -> None:
    """Find and number the labels of all readable documents; nothing where nothing was read.

    Raises:
        ConfigError: there are too many, or some that ``shards.labels`` does not name.
    """
    if not context.run.parts:
        return
    engine, given = context.engine, context.config.shards.labels
    finding, settling = labels.names_stage(), labels.set_stage(given)
    found = engine.run(finding, labels.plan_names(context.run.parts))
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


def documents_by_label(run: RunRecords, split: str) -> list[int]:
    """Documents of a split in the shards by label, copies counted."""
    assert run.labels is not None
    return [run.total("shuffle", f"labels/{split}/{number}") for number in range(len(run.labels.names))]


def _manifest(run: RunRecords) -> ManifestPart:
    if run.labels is None:
        return ManifestPart()
    described = {
        "names": run.labels.names,
        "readable": run.labels.documents,
        "conflicts": run.total("keepers", "label_conflicts"),
    }
    by_split = {name: {"labels": documents_by_label(run, name)} for name in run.config.shards.split_names}
    return ManifestPart(top={"labels": described}, splits=by_split)


def _balances(run: RunRecords) -> list[Balance]:
    """Documents by label against all documents of each split."""
    if run.labels is None:
        return []
    return [
        Balance(
            f"labels of split {name}",
            run.total("shuffle", f"documents/{name}"),
            sum(documents_by_label(run, name)),
        )
        for name in run.config.shards.split_names
    ]


def _enabled(config: Config) -> bool:
    return config.labelled


STEP = Step(
    name="labels",
    run=settle_labels,
    stages=lambda _context: ["label_names", "label_set"],
    enabled=_enabled,
    balances=_balances,
    manifest=_manifest,
)
