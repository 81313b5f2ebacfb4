"""Configs of small runs: what they share is said once, what a test is about stands in the test."""

from collections.abc import Iterable
from pathlib import Path


def source_of(path: object, name: str = "s", **more) -> dict:
    """One source: a path, or several."""
    paths = [str(one) for one in path] if isinstance(path, list | tuple) else str(path)
    return {"name": name, "path": paths, **more}


def run_config(run: object, *sources: dict, **sections) -> dict:
    """A whole run in this process, whose filter removes nothing; sections replace what stands here."""
    return {
        "run": str(run),
        "sources": list(sources),
        "filter": {"mode": "annotate"},
        "report": False,
        **sections,
        "compute": {"executor": "inline"} | sections.get("compute", {}),
    }


def unread_config(run: str = "/r", path: str = "/p/*.jsonl", **sections) -> dict:
    """A config of files that nobody reads: for what is decided from the config alone. All but these is the default."""
    return {"run": run, "sources": [source_of(path)], **sections}


def sample_config(folder: object, run: object, **sections) -> dict:
    """A run over the corpus of ``corpora.write_sample``."""
    compute = {"max_unreadable_share": 0.05} | sections.pop("compute", {})
    shards = sections.pop("shards", {"sequence_tokens": 127, "shard_mb": 1, "splits": {"val": 0.1}})
    return run_config(
        run,
        source_of([f"{folder}/web-0.jsonl", f"{folder}/web-*.zst"], "web", id="url"),
        source_of(f"{folder}/books.parquet", "books", text="body", id="id", licence="CC0-1.0"),
        source_of(f"{folder}/notes", "notes"),
        **sections,
        shards=shards,
        compute=compute,
    )


def files_config(inputs: Iterable[Path], run: Path, **dedup) -> dict:
    """A run in which each file is a source; in several units, if they have some megabytes."""
    sources = [source_of(path, path.stem, id="id") for path in inputs]
    compute = {"unit_mb": 4, "partition_mb": 1}
    return run_config(run, *sources, dedup=dedup, shards={"shard_mb": 16}, compute=compute)


def night_config(run: Path, files: list[Path], index: Path | None, **sections) -> dict:
    """One nightly run over an index; without one, a run that stands alone."""
    dedup = {"keep": ["first"], "index": None if index is None else str(index)} | sections.pop("dedup", {})
    shards = sections.pop("shards", {"sequence_tokens": 127, "splits": {"val": 0.1}})
    return run_config(run, source_of(list(files), id="id"), dedup=dedup, shards=shards, **sections)


def audited_config(documents: Path, run: Path, **sections) -> dict:
    """A run over the documents of ``corpora.write_documents``, with three splits."""
    shards = {"sequence_tokens": 127, "shard_mb": 1, "splits": {"val": 0.3, "test": 0.2}}
    return run_config(run, source_of(documents, "all", id="id"), **{"shards": shards} | sections)


def corpus_config(shared: Path, run: Path, **sections) -> dict:
    """A run over the whole shared corpus of real text, as a user starts it: ``compute`` is as given."""
    corpus = source_of(f"{shared}/corpus/[01]*.jsonl.zst", "corpus", id="id")
    return run_config(run, corpus, **sections) | {"compute": sections.get("compute", {})}
