"""Every step and operator at once over real text: the same bytes from any executor, units and kills."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.corpora import documents_of, write_part
from tests.support.everything import everything_config, train_models
from tests.support.finished import shards_of, text_files_of
from tests.support.processes import command, kill_when
from winnow.audit.verify.verify import check_shards, recount
from winnow.flow.flow import balances
from winnow.flow.records import RunRecords
from winnow.runs.state import load_run

pytestmark = pytest.mark.slow
SIZES = {"01-helm-www": 1e6, "07-eltec-eng": 2e6, "09-imdb": 1e6, "11-ruanyf-weekly": 5e5, "14-code-dev": 5e5}
SETS = ("gsm8k/test.jsonl", "humaneval/HumanEval.jsonl")
SMALL = {"unit_mb": 1, "partition_mb": 1}
FOOTER = "This is one of the many pages of our club."
DONE = {
    "boilerplate_set": "lines",
    "measure": "line_rules/07-eltec-eng/bytes",
    "filter": "failed/max_target",
    "contamination_spans": "cut_documents",
    "redact_spans": "spans/pii.email",
    "passage_spans": "cut_documents",
    "semantic_keepers": "removed",
    "shuffle": "phase_documents/late",
    "document_shuffle": "documents",
}
"""A counter of each step, which is above 0 where the step has found something."""
MOMENTS = ("measure", "passage_spans", "shards")
"""Stages in whose middle the command is killed."""


class Corpus:
    """Some real documents, a few of them with an evaluation item, an address and a footer; and models."""

    def __init__(self, shared: Path, folder: Path) -> None:
        self.folder = folder
        self.sets = [shared / "evals" / name for name in SETS]
        texts = [row["text"] for row in documents_of(shared / "corpus" / "09-imdb.jsonl.zst")]
        item = json.loads(self.sets[0].read_text().splitlines()[0])["question"]
        rows = [{"id": str(n), "text": f"{FOOTER}\n{texts[9000 + n]} {item} Write to a{n}@x.org."} for n in range(9)]
        self.files = [*write_part(shared, folder / "data", SIZES), folder / "planted.jsonl"]
        self.files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.operators = train_models(folder, texts[:2000:4])

    def line(self, name: str, **compute: object) -> list[str]:
        """The command of a run of that name."""
        given = {"compute": compute, "dedup": {"lines": {"max_documents": 5, "sources": ["planted"]}}}
        config = everything_config(self.files, self.folder / name, self.operators, self.sets, **given)
        return command(config, self.folder / f"{name}.yaml")

    def finished(self, name: str, **compute: object) -> RunRecords:
        """The run, done by the command, with books that close and files that are whole."""
        done = subprocess.run(self.line(name, **compute), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found = load_run(str(self.folder / name))
        assert check_shards(found) == []
        assert [str(each) for each in (*balances(found), *recount(found)) if each.expected != each.found] == []
        return found

    def bytes_of(self, name: str) -> dict[str, str]:
        """Hashes of its shards and of its clean text."""
        return shards_of(self.folder / name) | text_files_of(self.folder / name)


@pytest.fixture(scope="module")
def corpus(shared, tmp_path_factory) -> Corpus:
    made = Corpus(shared, tmp_path_factory.mktemp("real"))
    made.finished("inline", executor="inline")
    return made


def test_every_step_has_something_to_do(corpus):
    found = load_run(str(corpus.folder / "inline"))
    assert [stage for stage, counter in DONE.items() if not found.total(stage, counter)] == []


def test_other_units_on_one_worker(corpus):
    small = corpus.finished("one", executor="processes", workers=1, **SMALL)
    assert len(small.parts) > len(load_run(str(corpus.folder / "inline")).parts)
    assert corpus.bytes_of("one") == corpus.bytes_of("inline")


def test_two_workers_killed_in_the_middle(corpus):
    line, run = corpus.line("killed", executor="processes", workers=2, **SMALL), corpus.folder / "killed"
    for stage in MOMENTS:
        assert kill_when(line, lambda stage=stage: any(run.glob(f"work/{stage}/*/*.json"))), stage
    corpus.finished("killed", executor="processes", workers=2, **SMALL)
    assert corpus.bytes_of("killed") == corpus.bytes_of("inline")
