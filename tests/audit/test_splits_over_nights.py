"""Splits of a corpus that grows: the audit of the last night against plain Python over all nights."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.commands import winnow
from tests.support.configs import night_config
from tests.support.finished import alter_decisions
from tests.support.similarity import Truth, jaccard, shingles
from tests.support.specification import words
from winnow import schemas
from winnow.audit.earlier_runs import _is_segment
from winnow.audit.splits import audit_splits
from winnow.config.config import parse_config
from winnow.dedup.index import split_indexed_document
from winnow.index.folder import PIN
from winnow.runs.corpus import add_new_inputs
from winnow.runs.run import run
from winnow.runs.state import load_run

FAMILIES = 12


def write_families(folder: Path) -> list[Path]:
    """Three nights. a and b of a family are 0.60 alike, which often share no band; c is 0.82 like b and 0.73 like a."""
    nights: dict[str, list[str]] = {"a": [], "b": [], "c": []}
    for number in range(FAMILIES):
        one = [f"f{number}w{at}" for at in range(300)]
        other = [f"g{number}w{at}" for at in range(300)]
        nights["a"].append(" ".join(one))
        nights["b"].append(" ".join(one[:-73] + other[-73:]))
        nights["c"].append(" ".join(one[:-47] + other[-47:]))
        nights["c"].append(" ".join(other[:150]))
    files = []
    for name, texts in nights.items():
        files.append(folder / f"{name}.jsonl")
        lines = [json.dumps({"id": f"{name}{number}", "text": text}) for number, text in enumerate(texts)]
        files[-1].write_text("\n".join(lines) + "\n")
    return files


def finish_nights(folder: Path, files: list[Path], threshold: float) -> list[Path]:
    for number, file in enumerate(files):
        run(
            parse_config(
                night_config(
                    folder / f"run-{number}",
                    [file],
                    folder / "index",
                    dedup={"threshold": threshold},
                    shards={"sequence_tokens": 127, "splits": {"val": 0.4}},
                )
            )
        )
    return [folder / f"run-{number}" for number in range(len(files))]


class Everything:
    """Plain Python's view of the kept documents of all nights: split and shingles by night and number."""

    def __init__(self, folders: list[Path]) -> None:
        self.split, self.five, self.thirteen = {}, {}, {}
        for night, folder in enumerate(folders):
            truth = Truth(load_run(str(folder)))
            for doc, row in truth.decisions.items():
                if row["outcome"] == schemas.KEPT:
                    text = truth.texts[doc]
                    self.split[night, doc] = row["split"]
                    self.five[night, doc] = shingles(text)
                    self.thirteen[night, doc] = shingles(text, 13) if len(words(text)) >= 13 else set()

    def pairs_of(self, night: int) -> dict[tuple, float]:
        """Pairs between splits at 0.8 or more, of a night's documents with those of that night and earlier ones."""
        mine = [place for place in self.split if place[0] == night]
        seen = [place for place in self.split if place[0] <= night]
        alike = {
            tuple(sorted((a, b))): jaccard(self.five[a], self.five[b])
            for a in mine
            for b in seen
            if self.split[a] != self.split[b]
        }
        return {pair: similarity for pair, similarity in alike.items() if similarity >= 0.8}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_families(tmp_path_factory.mktemp("families"))


@pytest.fixture(scope="module")
def strict(files, tmp_path_factory):
    """A threshold over the pairs: who joins two earlier documents of different splits can follow one of them only."""
    return finish_nights(tmp_path_factory.mktemp("strict"), files, 0.9)


@pytest.fixture(scope="module")
def usual(files, tmp_path_factory):
    return finish_nights(tmp_path_factory.mktemp("usual"), files, 0.8)


@pytest.mark.parametrize("round_shingles", [None, 2000])
def test_the_last_night_against_plain_python(strict, round_shingles, monkeypatch):
    if round_shingles:
        monkeypatch.setattr("winnow.audit.splits.ROUND_SHINGLES", round_shingles)
    truth = Everything(strict)
    audit = audit_splits(load_run(str(strict[2])))
    expected = truth.pairs_of(2)
    assert expected and {night for pair in expected for night, _ in pair} == {1, 2}
    night = {str(folder): number for number, folder in enumerate(strict)}
    found = {tuple(sorted(((night[p.run], p.doc), (night[p.other_run], p.other)))): p.similarity for p in audit.pairs}
    assert found == pytest.approx(expected)
    assert (audit.pairs_count, audit.at_threshold) == (len(expected), 0)
    assert (audit.earlier_runs, audit.missing_runs) == (2, ())
    for earlier, overlap in zip((False, True), audit.overlaps, strict=True):
        mine = [p for p, split in truth.split.items() if split == "val" and (p[0] < 2) == earlier]
        train = [p for p, split in truth.split.items() if split == "train" and (p[0] == 2 or not earlier)]
        in_train = set().union(*(truth.thirteen[place] for place in train))
        assert overlap.split == ("val of earlier runs" if earlier else "val")
        assert overlap.documents == len(mine) > 0
        assert overlap.with_ngram.hits == sum(bool(truth.thirteen[place] & in_train) for place in mine)
        assert overlap.ngrams.of == sum(len(truth.thirteen[place]) for place in mine)
        assert overlap.ngrams.hits == sum(len(truth.thirteen[place] & in_train) for place in mine)
    assert audit.overlaps[1].with_ngram.hits > 0


def test_what_winnow_writes_shares_nothing_over_nights(usual):
    truth = Everything(usual)
    for number, folder in enumerate(usual):
        audit = audit_splits(load_run(str(folder)))
        assert audit.pairs_count == 0 == len(truth.pairs_of(number))
        assert audit.earlier_runs == number


def test_a_document_put_into_another_split_of_an_earlier_night_is_seen(usual, tmp_path):
    """What a document of night 3 was removed for is put into val, and the document made to stay."""
    copies = tmp_path / "moved"
    shutil.copytree(usual[0].parent, copies)
    last = load_run(str(copies / "run-2"))
    truth = Truth(last)
    doc = next(doc for doc, row in truth.decisions.items() if row["outcome"] == schemas.NEAR_DUPLICATE)
    part, keeper = split_indexed_document(truth.decisions[doc]["keeper"])  # one part a night, and all of it was kept
    first = load_run(str(copies / f"run-{part}"))
    assert jaccard(shingles(truth.texts[doc]), shingles(Truth(first).texts[keeper])) >= 0.8
    alter_decisions(first, keeper, split="val")
    alter_decisions(last, doc, outcome="kept", split="train")
    code, output = winnow("audit", "splits", str(copies / "run-2"), "--json", str(tmp_path / "a.json"))
    assert code == 1 and "of this run and of the 2 before it" in output
    figures = json.loads((tmp_path / "a.json").read_text())
    pair = next(pair for pair in figures["pairs"] if {pair["doc"], pair["other"]} == {doc, keeper})
    assert {pair["run"], pair["other_run"]} == {last.store.root, first.store.root}  # found where they were moved to
    assert {pair["split"], pair["other_split"]} == {"train", "val"}


def test_a_folder_that_is_gone_or_is_another_run_now_is_told(usual, files, tmp_path):
    shutil.copytree(usual[0].parent, tmp_path / "moved")
    for number in (0, 1):
        shutil.rmtree(tmp_path / "moved" / f"run-{number}")
    moved = [Path(str(folder) + "-away") for folder in usual[:2]]
    for folder, away in zip(usual[:2], moved, strict=True):
        folder.rename(away)
    try:
        run(parse_config(night_config(usual[0], files[:1], tmp_path / "other-index")))
        code, output = winnow("audit", "splits", str(tmp_path / "moved" / "run-2"))
        shutil.rmtree(usual[0])
    finally:
        for folder, away in zip(usual[:2], moved, strict=True):
            away.rename(folder)
    assert code == 0
    assert "NOT LOOKED AT: 2 earlier runs whose folders are gone" in " ".join(output.split())


def test_shard_sets_of_a_growing_corpus_know_each_other(files, tmp_path):
    (tmp_path / "in").mkdir()
    config = night_config(tmp_path / "corpus", [tmp_path / "in"], None, shards={"splits": {"val": 0.4}})
    for file in files:
        shutil.copy(file, tmp_path / "in")
        add_new_inputs(parse_config(config))
    sets = sorted((tmp_path / "corpus" / "sets").iterdir())
    audit = audit_splits(load_run(str(sets[2])))
    assert (audit.earlier_runs, audit.missing_runs, audit.pairs_count) == (2, (), 0)
    assert sum(audit.earlier_documents.values()) > FAMILIES


def test_a_damaged_pin_is_no_earlier_run(tmp_path):
    for content in ("[]", "7", "{", ""):
        (tmp_path / PIN).write_text(content)
        assert not _is_segment(str(tmp_path), 0, "some index")
