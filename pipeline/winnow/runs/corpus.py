"""A corpus that grows: each run takes only inputs that none has taken, and adds one shard set to the list of all.

The folder of a corpus holds ``sets/NAME`` (a run folder each), ``index`` (``dedup.index``, unless the config names
another one) and ``corpus.json``, which lists the shard sets that are out. It is replaced whole, after the shards and
after the index's segment; a run that dies in between is found and listed by the next one.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import orjson

from winnow.config.config import WITHOUT_RESULT, Config, parse_config
from winnow.config.operators import pin_operators
from winnow.config.remote_files import pin_remote_files
from winnow.engine.lease import hold_lease
from winnow.engine.records import Json
from winnow.engine.stopping import Stop
from winnow.errors import ConfigError
from winnow.flow.context import RunContext
from winnow.index.folder import Index, pin_segments
from winnow.index.join import index_of, new_files
from winnow.runs.folder import SETS, STATE, check_places, shard_sets
from winnow.runs.run import resolve_inputs, run
from winnow.runs.run_key import with_key
from winnow.shards.dataset.several_sets import CORPUS, CORPUS_FORMAT
from winnow.sources.catalogue import InputFile
from winnow.sources.inputs import look_at
from winnow.stages.removals.lists import Listed
from winnow.storage.open_store import open_store
from winnow.storage.store import Store

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class CorpusRun:
    """One run that will add a shard set."""

    corpus: Store
    config: Config
    """The config, with run folder and index of this set."""
    index: Index
    name: str
    new: int
    """Input files that no set has taken."""


def add_new_inputs(
    config: Config, name: str | None = None, stop: Stop | None = None, started: float | None = None
) -> RunContext | None:
    """Add one shard set with what is new; None where nothing is.

    Args:
        config: ``run`` is the corpus folder.
        name: of the set; by default the next number. A name whose run has not finished goes on.
        stop: whether this process is asked to stop while it runs.
        started: when the command began, by ``time.perf_counter``.

    Raises:
        ConfigError: no dedup, or a name that cannot be used; and all that :func:`winnow.runs.run.run` raises.
    """
    check_places(config.written_folders)
    store = open_store(config.run, config.storage)
    with hold_lease(store, "corpus"):
        store.remove_drafts_here()
        addition = _plan(config, store, name)
        _list_finished(addition)
        if not addition.new:
            return None
        if addition.name in {entry["name"] for entry in shard_sets(store)}:
            raise ConfigError(
                f"{config.run}: shard set {addition.name} is out, and {addition.new:,} input files are new since; give "
                "them a set of their own: another name with --as"
            )
        context = run(addition.config, stop, config.run, started)
        _list_finished(addition)
    return context


def _plan(config: Config, store: Store, name: str | None) -> CorpusRun:
    if config.dedup is None:
        raise ConfigError("--new-only needs `dedup`: its index knows which inputs were taken")
    if store.exists(STATE):
        if store.exists(CORPUS):
            raise ConfigError(
                f"{config.run}: somebody made an ordinary run in this corpus; remove its {STATE}, and what else of it "
                "you do not want, and --new-only goes on"
            )
        raise ConfigError(f"{config.run}: a run folder, not a corpus; give --new-only a `run` folder of its own")
    if name is not None and not _NAME.fullmatch(name):
        raise ConfigError(f"--as {name!r}: expected letters, digits, '.', '_' and '-', such as 2026-11-21")
    name = name or _next_number(store)
    values = config.model_dump(mode="json") | {"run": store.location(f"{SETS}/{name}")}
    values["dedup"]["index"] = config.dedup.index or store.location("index")
    mine = parse_config(values, "--new-only")  # a run with an index: what such runs may not do is checked again
    mine = mine.model_copy(update={"storage": config.storage})  # with the command of a key, which is written nowhere
    index = index_of(pin_operators(mine))
    assert index is not None
    return CorpusRun(store, mine, index, name, len(new_files(index, resolve_inputs(config))))


def _next_number(store: Store) -> str:
    """The number of a run that has not finished, or the one after the last."""
    listed = {entry["name"] for entry in shard_sets(store)}
    numbers = sorted(int(name) for name in _folders(store) if name.isascii() and name.isdecimal() and len(name) == 5)
    open_numbers = [number for number in numbers if f"{number:05d}" not in listed]
    return f"{open_numbers[0] if open_numbers else 1 + max(numbers, default=-1):05d}"


def _folders(store: Store) -> list[str]:
    return store.folders(SETS)


def _list_finished(addition: CorpusRun) -> None:
    """Bring the list up to date: every set that is part of the index stands in it, in the order of its segments."""
    known = {entry["name"]: entry for entry in shard_sets(addition.corpus)}
    found = dict(known)
    for name in _folders(addition.corpus):
        folder = open_store(addition.corpus.location(f"{SETS}/{name}"), addition.corpus.storage)
        if name in known or not folder.exists(STATE):
            continue
        _, own = pin_segments(addition.index, folder, save=False)
        if own is not None:
            found[name] = _entry(name, folder, own.number)
    if found.keys() != known.keys():
        listed = sorted(found.values(), key=lambda entry: int(entry["segment"]))
        content = {"format": CORPUS_FORMAT, "sets": listed, "totals": _totals(listed)}
        addition.corpus.replace(CORPUS, orjson.dumps(content, option=orjson.OPT_INDENT_2))


def _entry(name: str, folder: Store, segment: int) -> Json:
    path = f"{orjson.loads(folder.read(STATE))['shards']}/manifest.json"
    manifest = folder.read(path)
    splits: dict[str, Any] = orjson.loads(manifest)["shards"]["splits"]
    return {
        "name": name,
        "segment": segment,
        "manifest": f"{SETS}/{name}/{path}",
        "sha256": hashlib.sha256(manifest).hexdigest(),
        "splits": {
            split: {"documents": counts["documents"], "tokens": counts["tokens"], "shards": len(counts["shards"])}
            for split, counts in splits.items()
        },
    }


def relist(run: Store) -> str | None:
    """Bring a corpus up to date with one of its sets that has been made anew; what is to be said of it, or None where
    it is no set of a corpus, or the one that the corpus names.

    Raises:
        LeaseHeldError: a run is at work in the corpus.
    """
    above, _, name = run.root.rstrip("/").rpartition("/")
    root, _, sets = above.rpartition("/")
    if sets != SETS:
        return None
    store = open_store(root, run.storage)
    if all(entry["name"] != name or entry == _entry(name, run, entry["segment"]) for entry in shard_sets(store)):
        return None
    with hold_lease(store, "corpus"):
        listed = [_entry(name, run, e["segment"]) if e["name"] == name else e for e in shard_sets(store)]
        content = {"format": CORPUS_FORMAT, "sets": listed, "totals": _totals(listed)}
        store.replace(CORPUS, orjson.dumps(content, option=orjson.OPT_INDENT_2))
    return f"{store.location(CORPUS)} names the new set"


def _totals(listed: list[Json]) -> Json:
    totals: Json = {}
    for entry in listed:
        for split, counts in entry["splits"].items():
            mine = totals.setdefault(split, dict.fromkeys(counts, 0))
            for what, number in counts.items():
                mine[what] += number
    return totals


def is_unchanged(config: Config) -> bool:
    """Whether the latest finished run of this folder had these very inputs and settings (`compute` aside)."""
    store = open_store(config.run, config.storage)
    try:
        state = orjson.loads(store.read(STATE))
        numbers = set(state["files"])
        catalogue = orjson.loads(store.read("catalogue.json"))["files"]
    except (FileNotFoundError, ValueError, KeyError):
        return False
    path = config.dedup.index if config.dedup is not None else None
    listed = Listed.of(store, Index(path, config.storage).store if path is not None else None)
    if state.get("removals", "") != ("" if listed is None else listed.name):
        return False
    config = with_key(config)
    settings = [
        orjson.loads(orjson.dumps(c)) | dict.fromkeys(WITHOUT_RESULT) | {"encryption": c["storage"].get("encryption")}
        for c in (state["config"], pin_remote_files(config).model_dump(mode="json"))
    ]
    taken = {InputFile(**entry).identity for entry in catalogue if entry["number"] in numbers}
    inputs = resolve_inputs(config)
    there = {(source, path, look_at(path, config.storage)) for source, paths in inputs.items() for path in paths}
    return settings[0] == settings[1] and taken == there
