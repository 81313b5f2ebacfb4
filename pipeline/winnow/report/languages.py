"""What became of the documents of each language: exact, from two columns of every part's tables, read once.

No record counts this: it would grow with both, at every stage that decides. A run keeps the numbers in
``reports/languages.json``, so that what is asked later reads no table.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import orjson
import pyarrow as pa
from rich.console import RenderableType

from winnow.engine.records import Json, content_hash
from winnow.flow.records import RunRecords
from winnow.report.cross_tables import Crossed
from winnow.report.reports import FOLDER, Report
from winnow.schemas import KEPT, LEDGER_OUTCOMES
from winnow.shards.manifest import json_bytes
from winnow.stages.tables import read_parquet

LANGUAGES_SHOWN = 10
_AT_ONCE, _AT_ONCE_FROM_AFAR = 4, 16
"""Parts that are read at a time: from afar each takes some trips; here more threads only wait for Python's lock."""
_FILE = "languages.json"
_UNKNOWN = "unknown"
"""Stands for no language."""

Outcomes = dict[str, Counter[str]]
"""Documents by language and outcome, the most frequent language first."""


def outcomes_by_language(run: RunRecords) -> Outcomes:
    """Of all readable documents of a finished run.

    Raises:
        FileNotFoundError: nobody has counted them yet, and tables of the run are gone.
    """
    return run.once(_outcomes)


def _outcomes(run: RunRecords) -> Outcomes:
    try:
        known = orjson.loads(run.store.read(f"{FOLDER}/{_FILE}"))
        if known["of"] == _decisions(run):
            return _sorted({name: Counter(outcomes) for name, outcomes in known["outcomes"].items()})
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):  # not there, or no run wrote it
        pass
    found: Outcomes = {}
    at_once = _AT_ONCE_FROM_AFAR if run.store.is_remote else _AT_ONCE
    with ThreadPoolExecutor(at_once, thread_name_prefix="languages") as pool:
        for rows in pool.map(lambda number: _of_part(run, number), range(len(run.parts))):
            for row in rows:
                found.setdefault(row["language"] or _UNKNOWN, Counter())[row["outcome"]] += row["documents"]
    return _sorted(found)


def _of_part(run: RunRecords, number: int) -> list[Json]:
    """Documents of a part by language and outcome; its tables have the same documents in the same order."""
    decisions = run.ledger[number].outputs["decisions"].reference()
    columns = {
        "language": read_parquet(run.store, run.parts[number].signals, ["language"]).column(0),
        "outcome": read_parquet(run.store, decisions, ["outcome"]).column(0),
    }
    pairs = pa.table(columns).unify_dictionaries().combine_chunks().group_by(["language", "outcome"])
    rows: list[Json] = pairs.aggregate([([], "count_all")]).rename_columns([*columns, "documents"]).to_pylist()
    return rows


def _sorted(outcomes: Outcomes) -> Outcomes:
    return dict(sorted(outcomes.items(), key=lambda item: (-item[1].total(), item[0])))


def _decisions(run: RunRecords) -> str:
    """Names the tables that are counted by their content."""
    decided = [record.outputs["decisions"].hash for record in run.ledger]
    return content_hash([decided, [part.signals["hash"] for part in run.parts]])


def _as_json(run: RunRecords) -> bytes:
    return json_bytes({"of": _decisions(run), "outcomes": outcomes_by_language(run)})


REPORT = Report("languages", _FILE, _as_json)


def language_tables(run: RunRecords, *, whole: bool) -> Iterator[RenderableType]:
    """Documents of each language by outcome, and what shows all of it; nothing where none or one was found.

    Args:
        run: a finished run.
        whole: every language and outcome: as many tables beside one another as 80 columns need.
    """
    try:
        outcomes = outcomes_by_language(run)
    except FileNotFoundError as error:
        yield f"languages: not counted, because a table of the run is gone ({error})"
        return
    if len(outcomes) < 2:
        return
    names = list(outcomes)
    shown = names if whole or len(names) <= LANGUAGES_SHOWN else names[: LANGUAGES_SHOWN - 1]
    lines = [outcomes[name] for name in shown]
    rows = list(shown)
    if rest := names[len(shown) :]:
        rows.append(f"{len(rest):,} more")
        lines.append(sum((outcomes[name] for name in rest), Counter[str]()))
    whole_run = sum(outcomes.values(), Counter[str]())
    lines.append(whole_run)
    crossed = Crossed(
        "languages, in documents",
        "language",
        [*rows, "all"],
        {
            "in all": [f"{line.total():,}" for line in lines],
            "kept": [f"{line[KEPT]:,}" for line in lines],
            "of them": [f"{line[KEPT] / line.total():.1%}" for line in lines],
        },
        {
            name.replace("_", " "): [line[name] for line in lines]
            for name in LEDGER_OUTCOMES
            if name != KEPT and whole_run[name]
        },
    )
    yield from crossed.tables(whole=whole)
    if rest or not (whole or crossed.fits):
        yield f"{len(names):,} languages; all of them by outcome: winnow summary {run.config.run} --all"
