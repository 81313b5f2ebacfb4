"""Filter: published rules, rules on any signal, and verdicts of operators, decided on signals alone. Reads no text."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.operators.origins import identity_of
from winnow.shards.order import draw_copies
from winnow.stages.ingest.measure import Part
from winnow.stages.quantiles import read_cuts
from winnow.stages.tables import column_to_numpy, dictionary_column, parquet_output, read_parquet
from winnow.storage.store import Store
from winnow.text.config import FilterConfig
from winnow.text.rules.config import RULE_NAMES
from winnow.text.rules.registry import BUILT_IN, RULE_SETS
from winnow.text.rules.rules import Failures, all_names, evaluate, joined
from winnow.text.rules.signal_rules import Bound, bounds_of, failures_of

EMPTY_RULE = RULE_NAMES.index("empty")


def stage(
    config: FilterConfig, weights: dict[str, float], prose: list[str], seed: int, verdicts: tuple[str, ...] = ()
) -> Stage:
    """The stage; ``weights`` by source, in config order, because verdicts hold a source's position in it.

    ``prose`` are the sources of plain texts. ``verdicts`` are columns of the signals table that operators filled: a
    document fails where one is false.

    Documents that a weight under 1 leaves out are left out here, before dedup, so that no duplicate is removed for
    a keeper that is not kept. Weights of 1 and more, and then the seed, change nothing here.
    """
    fractions = {name: min(weight, 1.0) for name, weight in weights.items()}
    sampling = {"fractions": list(fractions.items()), "seed": seed if min(fractions.values()) < 1 else None}
    decided_by = config.model_dump(mode="json", exclude={"alarm_share", "urls", "opt_outs", "licences"})
    settings: Json = {"config": decided_by, "prose": prose, "sampling": sampling}
    if verdicts:
        settings["verdicts"] = list(verdicts)
    installed = [name for name in RULE_SETS if name not in BUILT_IN and getattr(config, name) is not None]
    if installed:
        settings["rule_sets"] = {name: identity_of(RULE_SETS[name]) for name in installed}
    return Stage("filter", 3, settings, run)


def plan(parts: list[Part], cuts: Json | None = None, provenance: list[Record] | None = None) -> list[Unit]:
    """One unit a part.

    Args:
        parts: of the run.
        cuts: the thresholds by quantile, where rules ask for some.
        provenance: records of what fails the rules on provenance, part by part, where there are some.
    """
    more: list[Json] = [{} if cuts is None else {"cuts": cuts} for _ in parts]
    for record, inputs in zip(provenance or (), more, strict=provenance is not None):
        inputs["matches"] = record.outputs["matches"].reference()
    return [
        Unit(part.number, {"signals": part.signals, **inputs}, part.rows * 400)
        for part, inputs in zip(parts, more, strict=True)
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Evaluate every rule on every document of the part."""
    config = FilterConfig.model_validate_json(orjson.dumps(workspace.settings["config"]))
    names = [name for name, _ in workspace.settings["sampling"]["fractions"]]
    signals = read_parquet(workspace.store, unit.inputs["signals"]).combine_chunks()
    docs = column_to_numpy(signals, "doc")
    bounds, verdict_columns = bounds_of(config.rules), workspace.settings.get("verdicts", [])
    matches = read_parquet(workspace.store, unit.inputs["matches"]) if "matches" in unit.inputs else None
    more = [] if matches is None else pc.unique(matches.column("rule")).sort().to_pylist()
    rules = all_names(*(bound.name for bound in bounds), *verdict_columns, *more)
    languages, source = (signals.column(name).combine_chunks() for name in ("language", "source"))
    published = evaluate(signals, languages, config, source, workspace.settings["prose"])
    failures = joined(
        [
            *with_provenance(published, matches, docs, rules),
            *own_failures(workspace.store, unit.inputs.get("cuts"), signals, bounds, rules),
            *(refusals(signals, name, rules) for name in verdict_columns),
        ]
    )

    failed_rules = np.bincount(failures.row, minlength=len(docs)).astype(np.uint16)
    empty = np.zeros(len(docs), bool)
    empty[failures.row[failures.rule == EMPTY_RULE]] = True
    passed = ~empty & (failed_rules == 0) if config.mode == "filter" else ~empty
    position = np.array([names.index(name) for name in source.dictionary.to_pylist()], np.uint16)
    position = position[source.indices.to_numpy()]
    sampled_out = passed & (_copies(docs, position, workspace.settings["sampling"]) == 0)
    passed &= ~sampled_out
    # an empty text has nothing to train on, in either mode
    outcome = np.select([passed, empty, sampled_out], [-1, 1, 2], 0)

    with parquet_output(workspace, "verdicts", schemas.VERDICTS, plain=("doc",)) as verdicts:
        verdicts.write(
            {
                "doc": docs,
                "passed": passed,
                "outcome": dictionary_column(
                    outcome, (schemas.FILTERED, schemas.EMPTY, schemas.SAMPLED_OUT), missing=-1
                ),
                "failed_rules": failed_rules,
                "characters": column_to_numpy(signals, "characters"),
                "source": position,
            }
        )
    write_failures(workspace, docs, failures, rules, position, names)
    dropped = failed_rules > 0 if config.mode == "filter" else empty
    for kind, groups in (("source", source), ("language", languages)):
        count_losses(workspace, kind, groups, dropped, failures, rules)
    workspace.count("documents", len(docs))
    workspace.count("passed", passed.sum())


def write_failures(
    workspace: Workspace,
    docs: NDArray[np.uint64],
    failures: Failures,
    rules: tuple[str, ...],
    source: NDArray[np.integer[Any]],
    sources: list[str],
) -> None:
    """Write the table, and count documents by failed rule, in all and of each source.

    Args:
        workspace: gets ``failed/RULE`` and ``failed_source/NAME/RULE``, of sources and rules with such documents.
        docs: uint64[N].
        failures: of them.
        rules: names.
        source: int[N] into ``sources``.
        sources: names.
    """
    with parquet_output(workspace, "failures", schemas.FAILURES, plain=("doc",)) as table:
        table.write(
            {
                "doc": docs[failures.row],
                "rule": dictionary_column(failures.rule, rules),
                "value": pa.array(failures.value, pa.float32()),
                "threshold": pa.array(failures.threshold, pa.float32()),
            }
        )
    for rule, number in enumerate(np.bincount(failures.rule, minlength=len(rules))):
        if number:
            workspace.count(f"failed/{rules[rule]}", number)
    pairs = source[failures.row].astype(np.int64) * len(rules) + failures.rule
    for pair, number in zip(*np.unique(pairs, return_counts=True), strict=True):
        name, rule = divmod(int(pair), len(rules))
        workspace.count(f"failed_source/{sources[name]}/{rules[rule]}", number)


def count_losses(
    workspace: Workspace,
    kind: str,
    groups: pa.DictionaryArray,
    dropped: NDArray[np.bool_],
    failures: Failures,
    rules: tuple[str, ...],
) -> None:
    """Count documents, and those dropped, of each source or language, and of what most of these failed.

    Args:
        workspace: gets ``of_KIND/NAME``, ``dropped_KIND/NAME`` and ``most_KIND/NAME/RULE``: of each name the one rule
            that most of its dropped documents failed in this unit, so that a record does not grow with both.
        kind: `source` or `language`.
        groups: dictionary of strings [N], nulls where unknown.
        dropped: [N] documents that a rule dropped.
        failures: of all documents.
        rules: names.
    """
    names = groups.dictionary.to_pylist()
    code = groups.indices.fill_null(len(names)).to_numpy(zero_copy_only=False).astype(np.int64)
    of = np.bincount(code, minlength=len(names) + 1)
    lost = np.bincount(code[dropped], minlength=len(names) + 1)
    counted = dropped[failures.row]
    failed = np.zeros((len(names) + 1, len(rules)), np.int64)
    np.add.at(failed, (code[failures.row[counted]], failures.rule[counted]), 1)
    for number, name in enumerate(names):
        if of[number]:
            workspace.count(f"of_{kind}/{name}", of[number])
        if lost[number]:
            most = int(failed[number].argmax())
            workspace.count(f"dropped_{kind}/{name}", lost[number])
            workspace.count(f"most_{kind}/{name}/{rules[most]}", failed[number, most])


def own_failures(
    store: Store, cut: Json | None, signals: pa.Table, bounds: list[Bound], rules: tuple[str, ...]
) -> Iterator[Failures]:
    """What fails the rules that the config gives, rule by rule.

    Args:
        store: the run folder.
        cut: where the thresholds by quantile are; counts where a bound asks for one.
        signals: N rows.
        bounds: of the rules.
        rules: names, with at least theirs.
    """
    by_quantile = [bound for bound in bounds if bound.quantile is not None]
    cuts = read_cuts(store, cut, len(by_quantile)) if by_quantile and cut is not None else []
    for bound in bounds:
        by_group = None if bound.quantile is None else cuts[by_quantile.index(bound)]
        row, value, threshold = failures_of(bound, signals, by_group)
        number = np.full(len(row), rules.index(bound.name), np.int32)
        yield Failures(row, number, value.astype(np.float32), threshold.astype(np.float32))


def with_provenance(
    published: Failures, matches: pa.Table | None, docs: NDArray[np.uint64], rules: tuple[str, ...]
) -> list[Failures]:
    """What fails the published rules, and where a document comes from before all of it but `empty`.

    Args:
        published: of N documents.
        matches: of some of them; None where nobody asked.
        docs: uint64[N].
        rules: names, with those of ``matches``.
    """
    if matches is None:
        return [published]
    empty = published.rule == EMPTY_RULE
    names = matches.column("rule").combine_chunks().dictionary_encode()
    number = np.array([rules.index(name) for name in names.dictionary.to_pylist()], np.int32)
    mine = Failures(
        np.searchsorted(docs, column_to_numpy(matches, "doc")).astype(np.int64),
        number[names.indices.to_numpy()],
        column_to_numpy(matches, "value"),
        column_to_numpy(matches, "threshold"),
    )
    return [Failures(*(c[empty] for c in published)), mine, Failures(*(c[~empty] for c in published))]


def refusals(signals: pa.Table, name: str, rules: tuple[str, ...]) -> Failures:
    """What an operator refuses: value 0, threshold 1. A document without a verdict passes."""
    refused = np.flatnonzero(pc.equal(signals.column(name), False).fill_null(False).to_numpy())
    nothing = np.zeros(len(refused), np.float32)
    return Failures(refused.astype(np.int64), np.full(len(refused), rules.index(name), np.int32), nothing, nothing + 1)


def _copies(docs: NDArray[np.uint64], position: NDArray[np.uint16], sampling: Json) -> NDArray[np.int64]:
    """1 or 0 for each document: whether its source's fraction takes it (weights over 1 are drawn by ``decide``)."""
    if sampling["seed"] is None:
        return np.ones(len(docs), np.int64)
    fractions = np.array([fraction for _, fraction in sampling["fractions"]])
    return draw_copies(docs, fractions[position], sampling["seed"])
