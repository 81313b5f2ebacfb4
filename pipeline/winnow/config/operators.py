"""Operators and the rules on their signals, settled when a run begins: found, checked, and pinned to what they are.

Reads files and imports modules; writes nothing.
"""

from winnow import schemas
from winnow.config.config import Config
from winnow.errors import ConfigError
from winnow.operators.chain import OWN_COLUMNS
from winnow.operators.config import OperatorConfig
from winnow.operators.find import find_operator
from winnow.operators.operator import Operator
from winnow.operators.origins import target_of
from winnow.sources.source import SourceConfig
from winnow.sources.web.own_extract import COLUMNS as EXTRACT_COLUMNS
from winnow.suggest import suggestion
from winnow.text.line_rules.config import COLUMNS
from winnow.text.rules.signal_rules import rule_names
from winnow.text.signals.signals import SIGNALS

_TAKEN = frozenset((*OWN_COLUMNS, "doc", "empty", *SIGNALS, *schemas.REMOVED_LINES.names, *COLUMNS))
"""Names of columns and rules that there are already."""


def pin_operators(config: Config) -> Config:
    """The config with every operator found and pinned, and every rule's signal known.

    Raises:
        ConfigError: one cannot be found or used, or a rule names a signal that there is not.
        ObjectStorageError: the store refuses.
    """
    pinned: list[OperatorConfig] = []
    for number, entry in enumerate(config.measure.operators):
        where = f"measure.operators.{number}"
        try:
            found = find_operator(entry, config.storage)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        _check_place(where, found, pinned, config)
        _check_memory(where, found.found, config)
        pinned.append(found)
    _check_rules(config, pinned)
    sources = tuple(_with_extract(number, source, config) for number, source in enumerate(config.sources))
    if not pinned and all(one is other for one, other in zip(sources, config.sources, strict=True)):
        return config
    measure = config.measure.model_copy(update={"operators": tuple(pinned)})
    return config.model_copy(update={"measure": measure, "sources": sources})


def _with_extract(number: int, source: SourceConfig, config: Config) -> SourceConfig:
    """A source with the operator found that takes text out of its HTML."""
    if not isinstance(source.extract, OperatorConfig):
        return source
    where = f"sources.{number}.extract"
    try:
        found = find_operator(source.extract, config.storage)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if found.found.kind != "mapper":
        raise ConfigError(
            f"{where}: {found.found.name} is a {found.found.kind}; a page becomes text by a mapper: @winnow.mapper"
        )
    if unknown := [name for name in found.found.needs or () if name not in EXTRACT_COLUMNS]:
        raise ConfigError(
            f"{where}: {found.found.name} needs the column {unknown[0]!r}; of a page there are: "
            f"{', '.join(EXTRACT_COLUMNS)}"
        )
    return source.model_copy(update={"extract": found})


def _check_place(where: str, entry: OperatorConfig, before: list[OperatorConfig], config: Config) -> None:
    operator = entry.found
    if operator.name in _TAKEN:
        raise ConfigError(f"{where}: {operator.name!r} is a signal or column of Winnow's own; give it another `name`")
    if operator.name in {other.found.name for other in before}:
        raise ConfigError(f"{where}: two operators are named {operator.name!r}; give one another `name`")
    kept = [name for source in config.sources for name in source.keep]
    if operator.name in kept:
        raise ConfigError(
            f"{where}: {operator.name!r} is a field that a source keeps; give the operator another `name`"
        )
    seen = [other.found for other in before if _sees(operator, other.found)]
    columns = [*OWN_COLUMNS, *kept, *(column for other in seen for column in other.columns)]
    for name in operator.needs or ():
        if any(name in other.found.columns for other in before if other.found not in seen):
            raise ConfigError(
                f"{where}: operator {operator.name} needs the column {name!r} of an operator with gpu=True or of "
                f"spans, which run after dedup, when {operator.name} is long done; give it gpu=True, too"
            )
        if name not in columns:
            raise ConfigError(
                f"{where}: operator {operator.name} needs the column {name!r}; {suggestion(name, columns)}; a field of "
                "the records stands there if a source's `keep` names it, another operator's column if that stands first"
            )
    structured = [source.name for source in config.sources if source.structure_fields]
    if operator.kind == "mapper" and structured:
        raise ConfigError(
            f"{where}: operator {operator.name} changes texts, but the records of source {structured[0]} are more than "
            "a text (conversations or pairs), whose parts it cannot see; leave it out, or change the text before"
        )


def _check_memory(where: str, operator: Operator, config: Config) -> None:
    """A model that a worker has no memory for is refused, where the operator can tell (`memory_bytes`)."""
    needs = getattr(target_of(operator.origin), "memory_bytes", None)
    if needs is None or (operator.gpu and config.compute.gpus not in ("auto", 0)):
        return
    local = {file.path: str(file.content) for file in operator.published}
    files = {key: local[file["path"]] for key, file in operator.files.items()}
    taken, room = needs(**{**operator.settings, **files, **operator.folder_paths}), config.compute.worker_memory_mb
    if taken > room * 1_000_000:
        on_gpus = ", a lower `precision` if it has one, or GPUs (compute.gpus)" if operator.gpu else ""
        raise ConfigError(
            f"{where}: operator {operator.name}: its model takes {taken / 1e6:,.0f} MB of memory, and "
            f"compute.worker_memory_mb is {room:,}: set more{on_gpus}"
        )


def _sees(operator: Operator, other: Operator) -> bool:
    """Whether an operator may need what one before it in the list has made."""
    if other.kind == "spans":
        return operator.kind == "spans"
    return operator.gpu or not other.gpu


def _check_rules(config: Config, operators: list[OperatorConfig]) -> None:
    removed = schemas.REMOVED_LINES.names if config.dedup and config.dedup.lines else []
    kinds = ("signal", "spans")
    mine = [name for entry in operators if entry.found.kind in kinds for name in entry.found.columns]
    by_rules = config.measure.line_rules.columns if config.measure.line_rules else ()
    known = [*mine, *SIGNALS, *removed, *by_rules]
    for number, rule in enumerate(config.filter.rules):
        if rule.signal not in known:
            raise ConfigError(
                f"filter.rules.{number}: no signal is named {rule.signal!r}; {suggestion(rule.signal, known)}"
            )
    filters = [entry.found.name for entry in operators if entry.found.kind in ("filter", "spans")]
    for name in rule_names(config.filter.rules):
        if name in filters:
            raise ConfigError(f"filter.rules: {name!r} is the name of an operator that filters; give the rule another")
