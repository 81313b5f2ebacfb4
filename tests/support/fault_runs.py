"""What the fault tests share: a corpus of several units a stage, its shards without faults, and runs with some."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from copy import copy
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import yaml

from tests.support.configs import sample_config, source_of
from tests.support.corpora import articles, write_sample
from tests.support.fault_hooks import environment
from tests.support.finished import shards_of, text_files_of
from winnow.audit.verify.verify import check_shards, recount
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.stages.removals.lists import RemovalList, hexadecimal, keys_of_ids

SELECT_STAGES = (
    *("embed", "centres", "assign"),
    *("semantic_links", "semantic_components", "semantic_candidates", "semantic_keepers"),
    *("quality_examples", "quality_embed", "quality_fit", "quality"),
    *("importance_target", "importance_counts", "importance_ratio", "importance"),
    *("scores", "prototype_clusters", "prototypes"),
    *("sample_draw", "sample_levels", "sample_ranges", "sample_limit", "sample_places", "sample", "select"),
)
STAGES = (
    "measure",
    "url_lists",
    "provenance",
    "filter",
    "parent_names",
    "parent_set",
    "family_members",
    "family_links",
    "bands",
    "index_links",
    "index_edges",
    "index_component_links",
    "index_large_star",
    "index_small_star",
    "index_component_ranges",
    "index_groups",
    "index_members",
    "edges",
    "components",
    "component_links",
    "large_star",
    "small_star",
    "component_ranges",
    "candidates",
    "index_candidates",
    "keepers",
    "decide",
    "evaluation_items",
    "contamination",
    "contamination_spans",
    "decontaminate",
    "contaminated_items",
    "redact_spans",
    "redact",
    "passage_anchors",
    "passage_shared",
    "passage_windows",
    "passage_repeats",
    "passage_spans",
    "passages",
    "tokenise",
    *SELECT_STAGES,
    "removals",
    "family_outcomes",
    "bucket_columns",
    "bucket_quantile_cuts",
    "buckets",
    "mixture_counts",
    "phase2_mixture_limits",
    "mixture",
    "shuffle",
    "layout",
    "shards",
    "document_shuffle",
    "document_shards",
)
PUBLISHED = {"document_shards": "documents"}
"""Folder that a stage publishes in, where it is not named like the stage."""
WITHOUT_FILES = ("phase2_mixture_limits", "sample_limit")
"""Stages whose records say all that they found."""
SELECT = {"encoder": {"dimensions": 32}, "semantic": {"epsilon": 0.05}}
SAMPLE = {
    "prototypes": {"drop_share": 0.1},
    "sample": {"target_tokens": 50_000, "cluster_temperature": 0.5},
}
MIXTURE = {
    "buckets": [{"name": "long", "signal": "words", "quantiles": [0.5], "names": ["short", "long"]}],
    "phases": [
        {"name": "main", "mixture": {"by": ["source", "long"], "weights": {"web": {"long": 2, "short": 1}, "*": 1}}},
        {"name": "late", "max_tokens": 20_000},
    ],
}
MIXTURE_STAGES = (
    "bucket_columns",
    "bucket_quantile_cuts",
    "buckets",
    "mixture_counts",
    "phase2_mixture_limits",
    "mixture",
)
FAMILY_STAGES = ("parent_names", "parent_set", "family_members", "family_links", "family_outcomes")
WEB_STAGES = ("url_lists", "provenance")
ROUND_STAGES = ("component_links", "large_star", "small_star", "component_ranges")
INDEX_STAGES = (
    "index_links",
    "index_edges",
    *(f"index_{stage}" for stage in ROUND_STAGES),
    "index_groups",
    "index_members",
    "index_candidates",
)
ITEM_STAGES = (
    "evaluation_items",
    "contamination",
    "contamination_spans",
    "decontaminate",
    "contaminated_items",
    "redact_spans",
    "redact",
    "passage_anchors",
    "passage_shared",
    "passage_windows",
    "passage_repeats",
    "passage_spans",
    "passages",
)


class Runs:
    """One corpus, and the bytes that every run over it must end with."""

    listed = b""
    """A list of removal requests that lies in every run folder."""
    index: Path | None = None
    """An index of earlier runs, of which every run has a copy of its own."""

    def __init__(self, folder: Path, documents: int = 900) -> None:
        self.data = folder / "data"
        write_sample(self.data, documents)
        compute, documents = {"unit_mb": 1, "partition_mb": 1}, {"formats": ["parquet", "jsonl.zst"]}
        self.config = sample_config(self.data, folder / "reference", compute=compute, documents=documents)
        self._compute_reference()

    def _compute_reference(self) -> None:
        run(parse_config(self._in(Path(self.config["run"]))))
        self.reference = shards_of(Path(self.config["run"])) | text_files_of(Path(self.config["run"]))

    def having(self, stage: str) -> "Runs":
        """These, or the same with settings that need the stage."""
        if stage in SELECT_STAGES:
            return self._selecting
        if stage in MIXTURE_STAGES:
            return self._mixing
        if stage in WEB_STAGES:
            return self._with_lists
        if stage in ROUND_STAGES:
            return self._in_rounds
        if stage in INDEX_STAGES:
            return self._with_index
        if stage in FAMILY_STAGES:
            return self._with_families
        if stage == "removals":
            return self._with_removals
        return self._with_items if stage in ITEM_STAGES else self

    @cached_property
    def _selecting(self) -> "Runs":
        """Also by quality and likeness to a target, for which there are a few examples."""
        offers = [f"Buy {number} now! Click here, only {number + 1} left. " * 9 for number in range(40)]
        for name, texts in (("good", articles(7, 60)), ("bad", offers)):
            rows = [json.dumps({"text": text}) + "\n" for text in texts]
            (self.data / f"{name}.jsonl").write_text("".join(rows))
        good, bad = (str(self.data / f"{name}.jsonl") for name in ("good", "bad"))
        quality = {"positive": good, "negative": bad, "threshold": 0.05, "temperature": 1.0}
        importance = {"target": good, "buckets": 64}
        return self._with("select", select=SELECT | SAMPLE | {"quality": quality, "importance": importance})

    @cached_property
    def _mixing(self) -> "Runs":
        return self._with("mixture", shards=self.config["shards"] | MIXTURE)

    @cached_property
    def _in_rounds(self) -> "Runs":
        rounds = self._with("rounds", dedup={"components": "rounds"})
        assert rounds.reference == self.reference
        return rounds

    @cached_property
    def _with_index(self) -> "Runs":
        """Its components go in rounds; two runs were there before, the second with duplicates of the first."""
        other, dedup = copy(self), {"components": "rounds", "keep": ["first"]}
        index = Path(f"{self.config['run']}-nights-index")
        for number, seed in enumerate((2, 8)):
            rows = [{"text": text} for text in [*articles(seed, 60), *articles(2, 60)[: 30 * number]]]
            path = self.data / f"night-{number}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            night = {"run": f"{self.config['run']}-night-{number}", "sources": [source_of(path, "night")]}
            run(parse_config(self.config | night | {"dedup": dedup | {"index": str(index)}}))
        other.index = index
        return other._with("index", dedup=dedup)

    @cached_property
    def _with_lists(self) -> "Runs":
        """A source of its own holds addresses, of which a list names one in five."""
        (self.data / "hosts.txt").write_text("blocked.example\n")
        rows = [
            {"url": f"https://{'blocked' if n % 5 == 0 else 'fine'}.example/{n}", "text": text}
            for n, text in enumerate(articles(4, 60))
        ]
        (self.data / "pages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        pages = source_of(self.data / "pages.jsonl", "pages", id="url")
        lists = self.config["filter"] | {"urls": {"domains": [str(self.data / "hosts.txt")]}}
        return self._with("lists", filter=lists, sources=[*self.config["sources"], pages])

    @cached_property
    def _with_families(self) -> "Runs":
        """A source of its own holds two texts of every tenth page of the web."""
        texts = articles(6, 180)
        rows = [{"of": f"web/{n // 2 * 10}", "text": text} for n, text in enumerate(texts)]
        (self.data / "made.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        made = source_of(self.data / "made.jsonl", "made", augmented_from="of")
        return self._with("families", sources=[*self.config["sources"], made])

    @cached_property
    def _with_items(self) -> "Runs":
        """Passages of the corpus are items, repeated, and a source of its own holds addresses beside some of them."""
        found = articles(1, 60)
        items = [" ".join(text.split()[20:60]) for text in found[:40:4]]
        (self.data / "items.jsonl").write_text("".join(json.dumps({"question": item}) + "\n" for item in items))
        texts = [f"{text} Write to p{n}@x.org. {items[n % 10]} {text[::-1]}" for n, text in enumerate(articles(5, 30))]
        (self.data / "mail.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        return self._with(
            "items",
            decontaminate={"sets": [str(self.data / "items.jsonl")], "action": "span", "span_characters": 20},
            measure={"operators": [{"use": "pii"}]},
            passages={"words": 30},
            sources=[*self.config["sources"], source_of(self.data / "mail.jsonl", "mail")],
        )

    @cached_property
    def _with_removals(self) -> "Runs":
        """A request lists every seventh page of the web."""
        ids = [f"web/{n}" for n in range(0, 900, 7)]
        keys = hexadecimal(keys_of_ids(pa.array(["web"] * len(ids)), pa.array(ids)))
        other = copy(self)
        other.listed = RemovalList(ids=tuple(sorted(keys))).to_json()
        return other._with("removals")

    def _in(self, folder: Path) -> dict:
        """The config of a run in this folder; what must be there before it begins is put there."""
        config = self.config | {"run": str(folder)}
        if self.listed:
            path = folder / "forget/001/list.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.listed)
        if self.index is not None:
            index = index_of(folder)
            if not index.exists():
                shutil.copytree(self.index, index)
            config["dedup"] = config["dedup"] | {"index": str(index)}
        return config

    def _with(self, name: str, **sections: object) -> "Runs":
        other = copy(self)
        other.config = self.config | sections | {"run": f"{self.config['run']}-{name}"}
        other._compute_reference()
        return other

    def line(self, folder: Path, executor: str = "inline", **compute: object) -> list[str]:
        """The command of a run in ``folder``/run."""
        folder.mkdir(parents=True, exist_ok=True)
        config = self._in(folder / "run")
        config["compute"] = config["compute"] | {"executor": executor, "workers": 2} | compute
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        return [sys.executable, "-m", "jobs", "run", str(folder / "config.yaml")]

    def holds(self, folder: Path) -> None:
        """The run in ``folder`` ended with the right bytes, closed books and nothing half written."""
        assert shards_of(folder / "run") | text_files_of(folder / "run") == self.reference
        finished = load_run(str(folder / "run"))
        assert check_shards(finished) == []
        assert all(balance.expected == balance.found for balance in recount(finished))
        for there in (folder / "run", index_of(folder / "run")):
            assert not list(there.rglob(".draft-*"))
            assert not (there / "lease.json").exists()


def index_of(folder: Path) -> Path:
    """Where the index of the run in this folder is, if it has one."""
    return folder.with_name(f"{folder.name}-index")


def started(line: list[str], marks: Path, *faults: dict, **variables: str) -> subprocess.Popen[str]:
    """The command, begun, with faults."""
    return subprocess.Popen(
        line,
        env=environment(marks, *faults) | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(line: list[str], marks: Path, *faults: dict, **variables: str) -> tuple[int, str]:
    """The command, run to its end, with faults: exit code and messages."""
    process = started(line, marks, *faults, **variables)
    _, messages = process.communicate(timeout=300)
    return process.returncode, messages


def wait_for(moment: Callable[[], bool], process: subprocess.Popen[str], timeout_s: float = 120) -> None:
    """Return at the moment; the process must be there until then."""
    deadline = time.monotonic() + timeout_s
    while not moment():
        assert process.poll() is None, "\n".join(pipe.read() for pipe in (process.stdout, process.stderr) if pipe)
        assert time.monotonic() < deadline
        time.sleep(0.01)
