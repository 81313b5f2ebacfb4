"""Columns of kept documents by name, and the tables of a run that they stand in: for clean text and mixtures."""

import orjson

from winnow.config.config import Config
from winnow.engine.records import Json
from winnow.errors import ConfigError
from winnow.flow.context import RunContext
from winnow.stages.dedup.keepers import part_starts
from winnow.stages.documents import duplicates
from winnow.stages.documents.columns import KEEP, Column
from winnow.text.signals.signals import SIGNALS

_PLACES = {
    **dict.fromkeys(("doc", "id", "text", "source"), "documents"),
    **dict.fromkeys(("split", "copies"), "decisions"),
    **dict.fromkeys(("language", *SIGNALS), "signals"),
    **{name: name for name in ("tokens", "duplicates")},
    "licence": "licence",
}
_RECORDS = {
    "tokens": ("tokenise", "tokens"),
    "scores": ("scores", "scores"),
    "screen_signals": ("screen_signals", "signals"),
    "redact_signals": ("redact_spans", "signals"),
}
"""Stage and output that tables stand in, those of `measure` apart."""
_SCORES = ("cluster", "centre_cosine", "quality", "importance")


def find_column(config: Config, name: str, setting: str) -> Column:
    """Where a column stands.

    Raises:
        ConfigError: there is none of this name in a run of this config; ``setting`` asked for it.
    """
    places = dict(_PLACES)
    if config.select is not None:
        places |= dict.fromkeys(_SCORES, "scores")
    for gpu, table in ((False, "signals"), (True, "screen_signals")):
        places |= {column: table for entry in config.measure.operators_on(gpu=gpu) for column in entry.made_columns}
    if config.measure.line_rules is not None:
        places |= dict.fromkeys(config.measure.line_rules.columns, "signals")
    places |= {column: "redact_signals" for entry in config.measure.span_operators for column in entry.made_columns}
    kept = {name for source in config.sources for name in source.keep}
    if name == "licence":
        stated = {source.name: source.licence for source in config.sources}
        return Column(name, name, orjson.dumps({"fields": licence_fields(config), "sources": stated}).decode())
    if name in places:
        return Column(name, places[name], name)
    if (field := name.removeprefix(KEEP)) in kept:
        return Column(name, "documents", KEEP + field)
    more = "" if config.select is not None else f" ({', '.join(_SCORES)} need `select`)"
    raise ConfigError(
        f"{setting}: no column {name!r}; there are {', '.join(list(places)[:9])}, the fields that sources `keep` "
        f"({', '.join(sorted(kept)) or 'none'}), and signals such as words or characters{more}"
    )


def licence_fields(config: Config) -> tuple[str, ...]:
    """Fields that hold a document's own licence, where its source keeps them."""
    asked = config.filter.licences
    return ("licence", "license") if asked is None else (asked.field,)


def column_tables(context: RunContext, wanted: set[str], prefix: str = "") -> list[Json]:
    """By part, references to the tables that columns stand in; ``prefix`` of the stage that counts duplicates."""
    run = context.run
    counted: Json | None = None
    if "duplicates" in wanted:
        counting = duplicates.stage(prefix)
        starts = context.engine.publish_list(counting, "starts", part_starts(run.parts))
        counts = context.engine.run(counting, duplicates.plan(run.ledger, starts))
        counted = context.engine.listing(counting, counts, "counts")
    wanted = wanted | {"documents"} if "licence" in wanted else wanted
    tables: list[Json] = []
    for place, part in enumerate(run.parts):
        named: Json = {"documents": part.documents, "signals": part.signals}
        for table, (stage, output) in _RECORDS.items():
            if table in wanted:
                named[table] = run.of(stage)[place].outputs[output].reference()
        named = {table: reference for table, reference in named.items() if table in wanted}
        named["decisions"] = run.ledger[place].outputs["decisions"].reference()
        if "documents" in named and run.edits[place]:
            named["edits"] = run.edits[place]
        tables.append(named | ({} if counted is None else {"duplicates": counted, "part": place}))
    return tables
