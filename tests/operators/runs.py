"""Small runs with operators: a corpus, a config, a file of operators, and what came of it."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from tests.support.corpora import articles
from winnow.config.load import load_config
from winnow.flow.records import RunRecords
from winnow.runs.run import run
from winnow.runs.state import load_run

OFF = {"gopher_quality": "off", "gopher_repetition": "off", "c4": "off", "fineweb": "off"}


def write_input(folder: Path, texts: list[str], name: str = "web", **fields: list) -> None:
    rows = [
        {"id": f"{name}{n}", "text": text} | {field: values[n] for field, values in fields.items()}
        for n, text in enumerate(texts)
    ]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def corpus(folder: Path, number: int = 40) -> list[str]:
    """Different texts, with what the operators of the tests look for."""
    texts = [text for text in dict.fromkeys(articles(7, number)) if text.strip()]
    texts = [f"{text} {'!' * (n % 9)}{' lorem' if n % 7 == 0 else ''} number {n}" for n, text in enumerate(texts)]
    write_input(folder, texts)
    return texts


def config(folder: Path, operators: list, rules: list = (), name: str = "run", **sections) -> Path:
    values = {
        "run": str(folder / name),
        "sources": [{"name": "web", "path": str(folder / "web.jsonl"), "id": "id"}],
        "measure": {"operators": operators},
        "filter": {**OFF, "rules": list(rules), **sections.pop("filter", {})},
        "shards": {"sequence_tokens": 127},
        "report": False,
        **sections,
    }
    values["compute"] = {"executor": "inline", "attempts": 1, **sections.get("compute", {})}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def done(path: Path, *overrides: str):
    """The run's context and the run as it is read back."""
    context = run(load_config(str(path), list(overrides)))
    return context, load_run(context.config.run)


def computed(context) -> set[str]:
    return {summary.name for summary in context.engine.summaries if summary.units > summary.reused}


def signals(finished: RunRecords) -> dict[str, dict]:
    """Text and signals by id."""
    rows = {}
    for part in finished.parts:
        documents = pq.read_table(finished.store.path(part.documents["path"])).to_pylist()
        table = pq.read_table(finished.store.path(part.signals["path"])).to_pylist()
        rows |= {d["id"]: {"text": d["text"], **s} for d, s in zip(documents, table, strict=True)}
    return rows


def failures(finished: RunRecords) -> dict[str, dict[str, tuple[float, float]]]:
    """By id: rule -> (value, threshold)."""
    names = {row["doc"]: name for name, row in signals(finished).items()}
    found: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in names.values()}
    for record in finished.of("filter"):
        for row in pq.read_table(finished.store.path(record.outputs["failures"].path)).to_pylist():
            found[names[row["doc"]]][row["rule"]] = (row["value"], row["threshold"])
    return found


def shards(finished: RunRecords) -> list[str]:
    return [s["sha256"] for split in finished.manifest["shards"]["splits"].values() for s in split["shards"]]
