"""Rules on where documents come from: lists of addresses, opt-outs, licences. The filter takes what fails."""

from pathlib import Path

from winnow.config.config import Config
from winnow.engine.records import Json
from winnow.errors import ConfigError, NamedObjectError
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, ManifestPart, PartWork, Step
from winnow.operators.files import NamedFile, fetched, publish
from winnow.stages.provenance import provenance, url_lists
from winnow.storage.address import last_part
from winnow.text.config import FilterConfig
from winnow.text.urls.config import KINDS
from winnow.text.urls.lists import look_at_list
from winnow.text.urls.table import MOST_LISTS

FOLDER = "lists"
"""In a run folder: the lists that its runs were given, ``lists/HASH/NAME``."""


def rules_on_provenance(config: FilterConfig) -> tuple[str, ...]:
    """Names of these rules, as tables have them."""
    asked = config.licences
    unknown = {"unknown": asked.unknown, "unclear": asked.unclear} if asked is not None else {}
    licences = ("other", *(name for name, what in unknown.items() if what == "drop")) if asked is not None else ()
    return (
        *(f"urls.{name}" for name in (config.urls.lists if config.urls is not None else ())),
        *(f"opt_outs.{kind}" for kind in config.opt_outs or ()),
        *(f"licences.{name}" for name in licences),
    )


def judge_provenance(context: RunContext) -> None:
    """Publish lists, build their tables, look at every document."""
    config, engine = context.config, context.engine
    tables: Json = {}
    if config.filter.urls:
        lists, files = _lists(config)
        if not engine.dry:
            publish(engine.store, files)
        tables = url_lists.tables_of(engine.run(url_lists.stage(), url_lists.plan(lists)))
    rules = config.filter
    declared = {source.name: source.licence for source in config.sources}
    stage = provenance.stage(rules.urls, rules.opt_outs, rules.licences, declared)
    engine.run(stage, provenance.plan(context.run.parts, tables))


def _lists(config: Config) -> tuple[dict[str, list[Json]], list[NamedFile]]:
    """The lists by kind, each with name, path in the run folder, hash and bytes; and what goes into the run folder.

    Raises:
        ConfigError: one cannot be used.
    """
    assert config.filter.urls is not None
    by_kind: dict[str, list[Json]] = {kind: [] for kind in KINDS}
    files = []
    for name, (kind, address) in config.filter.urls.lists.items():
        try:
            path = Path(fetched(address, config.storage))
        except NamedObjectError as error:
            raise ConfigError(f"filter.urls.{kind}: {error}") from error
        try:
            facts = look_at_list(path, kind, address)
        except ConfigError as error:
            raise ConfigError(f"filter.urls.{kind}: {error}") from error
        place = f"{FOLDER}/{facts.sha256[:32]}/{last_part(str(path))}"
        by_kind[kind].append(
            {"name": name, "path": place, "hash": f"sha256:{facts.sha256}", "bytes": path.stat().st_size}
        )
        files.append(NamedFile(place, path))
    for kind, some in by_kind.items():
        if len(some) > MOST_LISTS:
            raise ConfigError(f"filter.urls.{kind}: {len(some)} lists; join some, {MOST_LISTS} is the most")
    return by_kind, files


def _check(config: Config) -> None:
    if config.filter.urls:
        _lists(config)


def _enabled(config: Config) -> bool:
    return bool(config.filter.urls or config.filter.opt_outs or config.filter.licences)


def _stages(context: RunContext) -> list[str]:
    return [*(["url_lists"] if context.config.filter.urls else []), "provenance"]


def _balances(run: RunRecords) -> list[Balance]:
    readable = sum(run.totals("measure", "readable").values())
    return [Balance("documents whose provenance was looked at against readable", readable, _seen(run))]


def _seen(run: RunRecords) -> int:
    return run.total("provenance", "documents")


def _manifest(run: RunRecords) -> ManifestPart:
    told: Json = {"failed": run.totals("provenance", "failed"), "no_url": run.totals("provenance", "no_url")}
    lists = []
    for record in run.of("url_lists"):
        odd = record.metadata["odd"]
        for name, digest in zip(record.metadata["lists"], record.metadata["hashes"], strict=True):
            entries = record.counters[f"entries/{name}"]
            lines = {what: number for what, (number, _) in odd.get(name, {}).items()}
            lists.append({"name": name, "kind": record.metadata["kind"], "entries": entries, "hash": digest})
            lists[-1] |= {"passed_over": lines} if lines else {}
    return ManifestPart(top={"provenance": told | ({"lists": lists} if lists else {})})


def _summary(run: RunRecords) -> list[str]:
    lines = []
    entries, labels = run.totals("url_lists", "entries"), run.totals("url_lists", "one_label")
    if entries:
        told = ", ".join(f"{name} ({number:,} entries)" for name, number in entries.items())
        lines.append(f"URL lists: {told}")
    failed = run.totals("provenance", "failed")
    if failed:
        told = ", ".join(f"{name} {number:,}" for name, number in sorted(failed.items(), key=lambda f: (-f[1], f[0])))
        lines.append(f"provenance: documents that failed: {told}")
    else:
        lines.append(f"provenance: none of {_seen(run):,} documents failed a rule on where it comes from")
    for source, number in run.totals("provenance", "no_url").items():
        field = run.config.filter.urls.field if run.config.filter.urls else ""
        lines.append(f"source {source}: {number:,} documents have no address (field {field!r}), so no list met them")
    for record in run.of("url_lists"):
        for name, odd in record.metadata["odd"].items():
            lines += [
                f"WARNING: URL list {name}: {number:,} lines are passed over, the first is line {line:,}: {what}"
                for what, (number, line) in odd.items()
            ]
    lines += [
        f"WARNING: URL list {name}: {number:,} entries are a single label, such as `com`, which stands for every host "
        "below it"
        for name, number in labels.items()
        if number
    ]
    return lines


STEP = Step(
    name="provenance",
    run=judge_provenance,
    stages=_stages,
    enabled=_enabled,
    check=_check,
    part_work=PartWork(files=1, records=1, opens=3),
    balances=_balances,
    manifest=_manifest,
    summary=_summary,
)
