"""What a run folder says of its latest finished run: written once it is out, read by every later question."""

from collections.abc import Iterator
from dataclasses import asdict

import orjson

from winnow.config.config import parse_config
from winnow.engine.engine import StageSummary
from winnow.engine.records import Record
from winnow.errors import ConfigError
from winnow.flow.context import RunContext
from winnow.flow.records import IndexFacts, Observations, RunRecords, VocabularyFacts
from winnow.flow.vocabulary_notes import token_name, vocabulary_warnings
from winnow.report.alarms import alarms_of
from winnow.runs.folder import OBSERVED, STATE, run_folder
from winnow.sources.catalogue import CATALOGUE, InputFile
from winnow.stages.shards.shards import written_columns
from winnow.storage.address import inside
from winnow.storage.store import Store


def note_facts(context: RunContext) -> None:
    """Leave in the records what later questions need of the vocabulary and of the index."""
    run, vocabulary, joined = context.run, context.vocabulary, context.index
    if vocabulary is not None:
        config = run.config
        columns = written_columns(config.shards, vocabulary, config.marks, labelled=config.labelled)
        run.vocabulary = VocabularyFacts(
            vocabulary.name,
            vocabulary.size,
            vocabulary.sha256,
            vocabulary.end_of_text,
            context.id_dtype.name,
            columns,
            token_name(vocabulary, vocabulary.first_token),
            token_name(vocabulary, vocabulary.end_of_text),
            vocabulary_warnings(config, vocabulary),
        )
    if joined is not None:
        run.index = IndexFacts(
            joined.index.path,
            joined.pin.segment,
            len(joined.pin.segments),
            joined.documents,
            len(joined.skipped),
            joined.listing,
        )


def save_state(run: RunRecords) -> None:
    """Record what belongs to this run. The one moment at which the new shard set becomes the current one."""
    state = {
        "config": run.config.model_dump(mode="json"),
        "files": [file.number for file in run.files],
        "shards": run.shards,
        "layout": run.layout,
        "found": run.found,
        "ledger": run.ledger_stage,
        "removals": run.removals,
        "index": None if run.index is None else asdict(run.index),
        "vocabulary": None if run.vocabulary is None else asdict(run.vocabulary),
        "records": {
            name: [f"work/{name}/{record.fingerprint}/{record.key}.json" for record in records]
            for name, records in run.records.items()
        },
    }
    run.store.replace(STATE, orjson.dumps(state, option=orjson.OPT_INDENT_2))


def save_observations(run: RunRecords) -> None:
    """What this run took, stage by stage, and its alarms."""
    observed = asdict(run.observed) | {"alarms": [asdict(alarm) for alarm in run.once(alarms_of)]}
    run.store.replace(OBSERVED, orjson.dumps(observed, option=orjson.OPT_INDENT_2))


def load_run(run: str) -> RunRecords:
    """Read a run folder.

    Raises:
        ConfigError: the folder is not there, or no run has finished in it.
    """
    store = run_folder(run)
    run = store.root
    if not store.exists(STATE):
        raise ConfigError(f"{run}: no run has finished here yet; finish it with `winnow run`")
    try:
        state = orjson.loads(store.read(STATE))
        numbers = set(state["files"])
        named = [state["shards"], *(path for paths in state["records"].values() for path in paths)]
        for path in [*named, *_paths_in(state["layout"])]:
            inside(path)
        catalogue = orjson.loads(store.read(CATALOGUE))["files"]
        config = parse_config({**state["config"], "run": run}, f"{run}/{STATE}")
        # who asks may reach the storage in another way; how things are encrypted there is the run's own
        kept = {name: getattr(config.storage, name) for name in ("encryption", "sse", "sse_kms_key_id")}
        store.storage = store.storage.model_copy(update=kept)
        return RunRecords(
            store,
            config,
            {stage: _read_records(store, paths) for stage, paths in state["records"].items()},
            [InputFile(**file) for file in catalogue if file["number"] in numbers],
            state["ledger"],
            state["layout"],
            None if state["index"] is None else IndexFacts(**state["index"]),
            None if state["vocabulary"] is None else VocabularyFacts(**state["vocabulary"]),
            state["shards"],
            _observations(store),
            state.get("found", {}),
            str(state.get("removals", "")),
        )
    except ConfigError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, FileNotFoundError) as error:
        raise ConfigError(
            f"{run}: {STATE} or a record under work/ is damaged or gone ({error}); run `winnow run` again: it computes "
            "what is missing"
        ) from error


def _paths_in(value: object) -> Iterator[str]:
    """Every `path` at any depth."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict) and "path" in value:
        yield value["path"]
    for item in inner:
        yield from _paths_in(item)


def _read_records(store: Store, paths: list[str]) -> list[Record]:
    records = []
    for path, data in zip(paths, store.read_all(paths), strict=True):
        if data is None:
            raise FileNotFoundError(f"{path} is gone")
        records.append(Record.from_json(data))
    return records


def _observations(store: Store) -> Observations:
    """Nothing where they are gone or damaged: no result depends on them."""
    try:
        observed = orjson.loads(store.read(OBSERVED))
        stages = tuple(StageSummary(**stage) for stage in observed["stages"])
        told = observed.get("executor", ""), observed.get("lineage_events", 0), observed.get("lineage_lost", 0)
        return Observations(observed["seconds"], observed["start_seconds"], stages, *told)
    except (ValueError, TypeError, KeyError, FileNotFoundError):
        return Observations()
