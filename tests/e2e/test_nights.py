"""An index over several runs: nightly runs keep what one run of all would keep, and nothing breaks it."""

import logging
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import orjson
import pytest
import yaml
from typer.testing import CliRunner

from jobs.__main__ import app
from tests.support.configs import night_config
from tests.support.corpora import articles, real_lines, renamed, write_nights
from tests.support.finished import ledger
from winnow import schemas
from winnow.audit.verify.verify import recount
from winnow.config.config import parse_config
from winnow.engine.engine import StageFailedError
from winnow.engine.lease import hold_lease
from winnow.errors import ConfigError, LeaseHeldError, UnreadableShareError
from winnow.finished.earlier import EarlierDocument
from winnow.finished.explain import explain, find
from winnow.finished.story import LostDocument
from winnow.index.check import check_index
from winnow.index.folder import Index
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.stages.tables import list_column_to_2d, read_ipc, read_parquet
from winnow.storage.store import Store

REMOVED = (schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE)


def night(tmp_path: Path, number: int, files: list[Path], **sections):
    return parse_config(night_config(tmp_path / f"run-{number}", files, tmp_path / "index", **sections))


def kept(decisions: dict[str, dict]) -> set[str]:
    return {name for name, row in decisions.items() if row["outcome"] == schemas.KEPT}


def in_turn(tmp_path: Path, files: list[Path], **sections) -> dict[str, dict]:
    """All nights after each other; every decision by id."""
    decisions: dict[str, dict] = {}
    for number, file in enumerate(files):
        run(night(tmp_path, number, [file], **sections))
        decisions |= ledger(tmp_path / f"run-{number}")
    return decisions


def shard_hashes(folder: Path) -> list[str]:
    splits = load_run(str(folder)).manifest["shards"]["splits"]
    return [shard["sha256"] for split in splits.values() for shard in split["shards"]]


@pytest.fixture(scope="module")
def three_files(shared, tmp_path_factory) -> list[Path]:
    """A part of the shared corpus, 2,300 documents, over three nights."""
    return write_nights(tmp_path_factory.mktemp("nights"), real_lines(shared, 24), 3)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    """Two nights of made-up articles, where it does not matter what they say."""
    return write_nights(tmp_path_factory.mktemp("made"), renamed(articles(1, 60)), 2)


@pytest.fixture(scope="module")
def at_once(three_files, tmp_path_factory) -> Callable[[str], dict[str, dict]]:
    """Decisions of one run over all files, for a way to verify; made when they are first asked for."""
    folder = tmp_path_factory.mktemp("at-once")

    @cache
    def decisions(verify: str) -> dict[str, dict]:
        run(parse_config(night_config(folder / verify, three_files, None, dedup={"verify": verify})))
        return ledger(folder / verify)

    return decisions


@pytest.mark.slow
def test_ways_to_verify_differ_on_these_files(at_once):
    assert kept(at_once("estimate")) != kept(at_once("exact"))
    estimate, signature, exact = (
        {name: row["similarity"] for name, row in at_once(verify).items()}
        for verify in ("estimate", "signature", "exact")
    )
    assert signature not in (estimate, exact)


@pytest.mark.parametrize(
    ("verify", "compute"),
    [
        pytest.param("estimate", {}, id="estimate, one part", marks=pytest.mark.slow),
        pytest.param(
            "signature", {"unit_mb": 1, "partition_mb": 1}, id="signature, many parts", marks=pytest.mark.slow
        ),
        pytest.param("exact", {"unit_mb": 2, "partition_mb": 1}, id="exact"),
    ],
)
def test_three_nights_keep_what_one_run_keeps(three_files, at_once, tmp_path, verify, compute):
    decisions = in_turn(tmp_path, three_files, dedup={"verify": verify}, compute=compute)
    assert decisions.keys() == at_once(verify).keys()
    assert kept(decisions) == kept(at_once(verify))
    # the same keeper's verdict, too: similarity to the best-ranked kept document, and whether the texts are equal
    for name, row in at_once(verify).items():
        assert (decisions[name]["outcome"], decisions[name]["similarity"]) == (row["outcome"], row["similarity"])
    for_earlier = [row for row in decisions.values() if row["keeper"] is not None and row["keeper"] >= 1 << 63]
    assert len(for_earlier) > 12
    for number in range(len(three_files)):
        finished = load_run(str(tmp_path / f"run-{number}"))
        assert all(balance.expected == balance.found for balance in recount(finished))
    assert check_index(Index(str(tmp_path / "index"))) == []


def test_no_split_is_straddled_over_nights_even_through_removed_documents(tmp_path):
    """b is removed for a; c, on the third night, is not like a and in many families meets it only through b."""
    files = [tmp_path / f"{name}.jsonl" for name in "abc"]
    families: list[list[str]] = [[], [], []]
    for number in range(40):
        words = [f"f{number}w{at}" for at in range(400)]
        new = [f"g{number}w{at}" for at in range(400)]
        families[0].append(" ".join(words))
        families[1].append(" ".join(words[:-32] + new[-32:]))  # similarity 0.85 to a
        families[2].append(" ".join(new[:49] + words[49:-32] + new[-32:]))  # 0.78 to b, 0.66 to a
    for file, texts in zip(files, families, strict=True):
        file.write_text("".join(line.replace('"d', f'"{file.stem}', 1) + "\n" for line in renamed(texts)))
    decisions = in_turn(tmp_path, files, shards={"sequence_tokens": 127, "splits": {"val": 0.5}})
    assert sum(decisions[f"b{number}"]["outcome"] in REMOVED for number in range(40)) > 30
    assert sum(decisions[f"c{number}"]["outcome"] == schemas.KEPT for number in range(40)) > 20
    splits = [{decisions[f"{n}{number}"]["split"] for n in "abc"} - {None} for number in range(40)]
    assert all(len(split) == 1 for split in splits)
    assert len(set().union(*splits)) == 2


def test_the_same_command_again_does_nothing_and_appends_nothing(files, tmp_path):
    in_turn(tmp_path, files)
    index = Index(str(tmp_path / "index"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "index").rglob("*") if path.is_file()}
    hashes = shard_hashes(tmp_path / "run-0")
    context = run(night(tmp_path, 0, files[:1]))  # never sees itself or the night after it
    assert all(summary.reused == summary.units for summary in context.engine.summaries)
    assert shard_hashes(tmp_path / "run-0") == hashes
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "index").rglob("*") if p.is_file()} == before
    assert [segment.against for segment in index.segments().values()] == [[], [0]]


def test_the_first_night_has_the_bytes_of_a_run_without_an_index(files, tmp_path):
    run(night(tmp_path, 0, files[:1]))
    run(parse_config(night_config(tmp_path / "alone", files[:1], None)))
    assert shard_hashes(tmp_path / "run-0") == shard_hashes(tmp_path / "alone")


def test_files_that_an_earlier_night_took_are_skipped(files, tmp_path):
    run(night(tmp_path, 0, files[:1]))
    link = tmp_path / "again.jsonl"
    link.symlink_to(files[0])
    context = run(night(tmp_path, 1, [link, files[1]]))
    assert context.index.skipped == [str(link)]
    assert load_run(str(tmp_path / "run-1")).manifest["books"]["records"] == len(ledger(tmp_path / "run-1"))
    assert len(ledger(tmp_path / "run-1")) == files[1].read_text().count("\n")
    context = run(night(tmp_path, 2, [link, files[1]]))
    assert context.run.files == []
    assert load_run(str(tmp_path / "run-2")).manifest["books"]["records"] == 0
    assert list(Index(str(tmp_path / "index")).segments()) == [0, 1]  # nothing new, nothing appended


@pytest.mark.parametrize(
    "sections",
    [
        {"dedup": {"minhash": {"num_perm": 128, "bands": 16, "rows": 8}}},
        {"dedup": {"minhash": {"ngram": 6}}},
        {"dedup": {"verify": "signature"}},
        {"dedup": {"lines": {}}},
        {"measure": {"normalise": {"lowercase": True}}},
        {"shards": {"seed": 8}},
        {"shards": {"splits": {"val": 0.3}}},
    ],
    ids=["num_perm", "ngram", "verify", "lines", "lowercase", "shards.seed", "shards.splits"],
)
def test_a_run_with_settings_that_do_not_compare_is_refused(tmp_path, sections, request):
    files = write_nights(tmp_path / "data", renamed(articles(1, 20)), 2)
    run(night(tmp_path, 0, files[:1]))
    with pytest.raises(ConfigError, match=request.node.callspec.id):
        run(night(tmp_path, 1, files[1:], **sections))
    assert not (tmp_path / "run-1").exists()


def test_an_index_of_bare_estimates_is_not_one_of_signature(tmp_path):
    """Indexes begun when `signature` was what `estimate` is now hold no sets to compare with."""
    files = write_nights(tmp_path / "data", renamed(articles(1, 20)), 2)
    run(night(tmp_path, 0, files[:1], dedup={"verify": "signature"}))
    header = tmp_path / "index" / "index.json"
    header.write_text(header.read_text().replace("signature, 3 standard errors", "signature"))
    with pytest.raises(ConfigError, match="the index has 'signature', this run 'signature, 3 standard errors'"):
        run(night(tmp_path, 1, files[1:], dedup={"verify": "signature"}))


def test_a_committed_run_cannot_change_what_it_kept(tmp_path):
    files = write_nights(tmp_path / "data", renamed(articles(1, 60)), 2)
    unguarded = {"guard": "off"}  # so that something goes that another threshold lets stay
    run(night(tmp_path, 0, files[:1], dedup=unguarded))
    other_rows = night_config(tmp_path / "run-0", files[:1], tmp_path / "index", dedup=unguarded)
    other_rows["shards"]["sequence_tokens"] = 63  # other shards of the same documents
    run(parse_config(other_rows))
    run(night(tmp_path, 0, files[:1], dedup=unguarded, compute={"executor": "inline", "partition_mb": 1}))
    hashes = shard_hashes(tmp_path / "run-0")
    with pytest.raises(ConfigError, match="winnow index drop"):
        run(night(tmp_path, 0, files[:1], dedup={"threshold": 1.0, "minhash": {"bands": 32, "rows": 8}}))
    with pytest.raises(ConfigError, match="folder of its own"):
        run(night(tmp_path, 0, files, dedup=unguarded))
    assert shard_hashes(tmp_path / "run-0") == hashes


def test_a_failed_first_night_pins_nothing(tmp_path):
    files = write_nights(tmp_path / "data", renamed(articles(1, 20)), 2)
    (tmp_path / "broken.jsonl").write_text("{\n" * 50)
    with pytest.raises(UnreadableShareError):
        run(night(tmp_path, 0, [tmp_path / "broken.jsonl"]))
    run(night(tmp_path, 1, files[:1], measure={"normalise": {"lowercase": True}}))
    with pytest.raises(ConfigError, match="lowercase"):
        run(night(tmp_path, 2, files[1:]))


def test_nights_of_other_sources_share_an_index_with_lines(tmp_path):
    files = write_nights(tmp_path / "data", renamed(articles(1, 20)), 2)
    for number, source in enumerate(("web", "forum")):
        config = night_config(tmp_path / f"run-{number}", files[number : number + 1], tmp_path / "index")
        config["sources"][0]["name"] = source
        config["dedup"]["lines"] = {"sources": [source]}
        run(parse_config(config))
    assert len(Index(str(tmp_path / "index")).segments()) == 2


def test_two_runs_of_one_index_do_not_overlap(tmp_path):
    files = write_nights(tmp_path / "data", renamed(articles(1, 20)), 1)
    index = Index(str(tmp_path / "index"))
    with hold_lease(index.store, "index"), pytest.raises(LeaseHeldError, match="the index belongs to process"):
        run(night(tmp_path, 0, files))
    assert index.segments() == {}


def crash(*_arguments):
    raise KeyboardInterrupt


def test_a_crash_after_the_shards_is_healed_by_the_same_command(tmp_path, monkeypatch):
    files = write_nights(tmp_path / "data", renamed(articles(1, 60)), 2)
    run(night(tmp_path, 0, files[:1]))

    with monkeypatch.context() as patch:
        patch.setattr("winnow.index.join.IndexRun.append", crash)
        with pytest.raises(KeyboardInterrupt):
            run(night(tmp_path, 1, files[1:]))
    hashes = shard_hashes(tmp_path / "run-1")
    with monkeypatch.context() as patch:
        patch.setattr("winnow.index.folder.Index.commit", crash)
        with pytest.raises(KeyboardInterrupt):
            run(night(tmp_path, 1, files[1:]))
    index = Index(str(tmp_path / "index"))
    assert list(index.segments()) == [0]
    assert index.leftovers()
    run(night(tmp_path, 1, files[1:]))
    assert list(index.segments()) == [0, 1]
    assert index.leftovers() == []
    assert shard_hashes(tmp_path / "run-1") == hashes


def test_a_failed_run_leaves_the_index_alone_and_is_pinned_anew_when_others_went_on(tmp_path, monkeypatch):
    """1 fails, 0 runs, 1 goes on: it is then compared with 0, so that every segment knows all before it."""
    texts = [text for text in articles(1, 60) if text]
    files = [tmp_path / "0.jsonl", tmp_path / "1.jsonl"]
    for file in files:
        file.write_text("\n".join(renamed(texts)))
    index = Index(str(tmp_path / "index"))

    def fail(*_arguments):
        raise StageFailedError("shards", [], 1)

    with monkeypatch.context() as patch:
        patch.setattr("winnow.runs.run.save_state", fail)
        with pytest.raises(StageFailedError):
            run(night(tmp_path, 1, files[1:]))
    assert index.segments() == {}
    run(night(tmp_path, 0, files[:1]))
    run(night(tmp_path, 1, files[1:]))
    assert [segment.against for segment in index.segments().values()] == [[], [0]]
    assert kept(ledger(tmp_path / "run-1")) == set()


def test_why_names_the_keeper_of_an_earlier_night_and_verify_knows_it(files, tmp_path):
    in_turn(tmp_path, files, dedup={"verify": "estimate"})
    decisions = ledger(tmp_path / "run-1")
    earlier = ledger(tmp_path / "run-0")
    finished = load_run(str(tmp_path / "run-1"))
    name, row = next((n, r) for n, r in decisions.items() if r["keeper"] is not None and r["keeper"] >= 1 << 63)
    keeper = explain(finished, find(finished, name)[0]).keeper
    assert isinstance(keeper, EarlierDocument)
    assert earlier[keeper.id]["outcome"] == schemas.KEPT
    assert (keeper.source, keeper.run) == ("s", str(tmp_path / "run-0"))
    assert all(balance.expected == balance.found for balance in recount(finished))
    # verified similarity is that of the two texts' signatures
    signed = [signature_of(tmp_path / "run-1", name), signature_of(tmp_path / "run-0", keeper.id)]
    assert float(np.mean(signed[0] == signed[1])) == pytest.approx(row["similarity"])


def signature_of(folder: Path, name: str) -> np.ndarray:
    finished = load_run(str(folder))
    for part in finished.parts:
        ids = read_parquet(finished.store, part.documents, ["id"]).column("id").to_pylist()
        if name in ids:
            table = read_ipc(finished.store, part.signatures)
            return list_column_to_2d(table, "signature", 256)[ids.index(name)]
    raise LookupError(name)


def winnow(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    logging.getLogger("winnow").handlers = []  # they write to the runner's stream, which is closed now
    return result.exit_code, result.output


def test_the_commands(tmp_path):
    texts = [text for text in articles(1, 60) if text]
    files = [tmp_path / f"{number}.jsonl" for number in range(3)]
    for number, file in enumerate(files):
        file.write_text("\n".join(renamed(texts + articles(number + 2, 10))))
    index = str(tmp_path / "index")
    assert winnow("index", "ls", index)[0] == 2
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(night_config(tmp_path / "run-0", files[:1], index)))
    assert winnow("plan", str(tmp_path / "c.yaml"))[0] == 0
    assert not Path(index).exists()
    for number, file in enumerate(files):
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(night_config(tmp_path / f"run-{number}", [file], index)))
        code, output = winnow("run", str(tmp_path / "c.yaml"))
        assert code == 0, output
    assert "of 2 earlier runs" in output
    report = tmp_path / "new" / "folder" / "dedup.json"
    assert winnow("audit", "dedup", str(tmp_path / "run-2"), "--json", str(report))[0] == 0
    assert orjson.loads(report.read_bytes())
    code, output = winnow("run", str(tmp_path / "c.yaml"), "--set", f"run={tmp_path}/run-3")
    assert (code, "nothing is new" in output) == (0, True)
    code, output = winnow("audit", "dedup", str(tmp_path / "run-3"))
    assert (code, "nothing to audit" in output) == (0, True)
    assert winnow("index", "drop", index, "\u00b2")[0] == 2
    assert winnow("index", "ls", str(files[0]))[0] == 2
    code, output = winnow(
        "run", str(tmp_path / "c.yaml"), "--set", f"run={tmp_path}/r", "--set", "dedup.minhash.seed=2"
    )
    assert (code, "dedup.minhash.seed: the index has 1, this run 2" in output) == (2, True)
    with hold_lease(Index(index).store, "index"):
        assert winnow("run", str(tmp_path / "c.yaml"), "--set", f"run={tmp_path}/r")[0] == 3
        assert winnow("index", "drop", index, "0")[0] == 3
    code, output = winnow("index", "ls", index)
    assert code == 0
    assert all(f"{tmp_path}/run-{number}" in output for number in range(3))
    assert winnow("index", "check", index) == (0, f"ok   3 segments, {sum_of_documents(index):,} documents\n")
    assert "kept by an earlier run" in winnow("why", "d0", str(tmp_path / "run-1"))[1]

    assert winnow("index", "drop", index, "run-7")[0] == 2
    code, output = winnow("index", "drop", index, "run-0")
    assert code == 0
    assert "segments 1, 2 were deduplicated against it" in output
    assert winnow("index", "check", index)[0] == 0
    assert "dropped" in winnow("index", "ls", index)[1]
    assert "no longer in the index" in winnow("why", "d0", str(tmp_path / "run-1"))[1]
    assert isinstance(explain_first(tmp_path / "run-1", "d0").keeper, LostDocument)
    assert winnow("verify", str(tmp_path / "run-1"))[0] == 0
    context = run(night(tmp_path, 1, files[1:2]))  # still a run that is done
    assert all(summary.reused == summary.units for summary in context.engine.summaries)

    (tmp_path / "c.yaml").write_text(yaml.safe_dump(night_config(tmp_path / "run-1", files[1:2], index)))
    code, output = winnow("run", str(tmp_path / "c.yaml"), "--set", "filter.mode=filter")
    assert (code, "segment 0 of the index" in output) == (2, True), output
    assert f"winnow index drop {index} 1" in " ".join(output.split())

    context = run(night(tmp_path, 0, files[:1]))  # goes back in, under a number of its own, behind the others
    assert context.index.pin.segment == 3
    assert [s.against for s in Index(index).segments().values()] == [[0], [0, 1], [1, 2]]
    assert winnow("index", "check", index)[0] == 0


def sum_of_documents(index: str) -> int:
    return sum(segment.documents for segment in Index(index).segments().values())


def explain_first(folder: Path, name: str):
    finished = load_run(str(folder))
    return explain(finished, find(finished, name)[0])


@pytest.mark.parametrize("output", ["bands", "links", "signatures", "documents"])
def test_check_sees_altered_and_missing_files(tmp_path, output):
    files = write_nights(tmp_path / "data", renamed(articles(1, 60)), 1)
    run(night(tmp_path, 0, files))
    index = Index(str(tmp_path / "index"))
    path = index.store.path(index.segments()[0].parts[0]["outputs"][output]["path"])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert ["altered" in fault for fault in check_index(index)] == [True]
    path.unlink()
    assert ["missing" in fault for fault in check_index(index)] == [True]


def test_check_sees_records_that_name_rows_beyond_their_part(tmp_path):
    files = write_nights(tmp_path / "data", renamed(articles(1, 60)), 1)
    run(night(tmp_path, 0, files))
    index = Index(str(tmp_path / "index"))
    path = index.store.path("segments/00000.json")
    record = orjson.loads(path.read_bytes())
    record["parts"][0] |= {"rows": 1, "kept": 1}
    path.write_bytes(orjson.dumps(record | {"documents": 1, "kept": 1}))
    faults = "\n".join(check_index(index))
    for expected in ("names rows beyond the 1", "links.arrow: names documents", "not one row for each of 1 kept"):
        assert expected in faults


def test_a_file_that_could_not_be_read_is_taken_by_a_later_night(tmp_path, monkeypatch):
    files = write_nights(tmp_path / "data", renamed(articles(1, 60)), 2)
    open_input = Store.open_input

    def no_permission(store, path):
        if path == str(files[1]):
            raise PermissionError(13, "Permission denied", path)
        return open_input(store, path)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "open_input", no_permission)
        run(night(tmp_path, 0, files, compute={"max_unreadable_share": 1.0}))
    assert [Path(file[0]).name for file in Index(str(tmp_path / "index")).segments()[0].files] == ["night-00.jsonl"]
    context = run(night(tmp_path, 1, files))
    assert [file.path for file in context.run.files] == [str(files[1])]


@pytest.mark.ray
@pytest.mark.slow
def test_ray_and_relative_paths_do_not_change_what_is_kept(three_files, at_once, tmp_path, local_ray, monkeypatch):
    monkeypatch.setattr("winnow.engine.engine.TINY_STAGE_BYTES", 0)  # every stage goes to the workers
    decisions: dict[str, dict] = {}
    for number, file in enumerate(three_files):
        config = night_config(tmp_path / f"run-{number}", [file], None, compute={"executor": "ray", "workers": 2})
        config["dedup"]["index"] = os.path.relpath(tmp_path / "index")
        run(parse_config(config))
        decisions |= ledger(tmp_path / f"run-{number}")
    assert kept(decisions) == kept(at_once("exact"))


@pytest.mark.slow
@pytest.mark.parametrize("verify", [pytest.param("signature", marks=pytest.mark.longest), "exact"])
def test_ten_nights_of_the_whole_corpus_keep_what_one_run_keeps(shared, tmp_path, verify):
    files = write_nights(tmp_path / "data", real_lines(shared, 1), 10)
    decisions = in_turn(tmp_path, files, dedup={"verify": verify})
    run(parse_config(night_config(tmp_path / "one", files, None, dedup={"verify": verify})))
    one = ledger(tmp_path / "one")
    assert len(one) == len(decisions) == 54_713
    assert kept(decisions) == kept(one)
    assert sum(row["keeper"] is not None and row["keeper"] >= 1 << 63 for row in decisions.values()) > 3_000


def test_a_pin_is_renewed_when_the_index_lost_a_segment_before_the_run_committed(tmp_path, monkeypatch):
    files = write_nights(tmp_path / "data", renamed(articles(1, 60)), 2)
    run(night(tmp_path, 0, files[:1]))

    with monkeypatch.context() as patch:
        patch.setattr("winnow.index.join.IndexRun.append", crash)
        with pytest.raises(KeyboardInterrupt):
            run(night(tmp_path, 1, files[1:]))
    index = Index(str(tmp_path / "index"))
    index.drop(0)
    run(night(tmp_path, 1, files[1:]))
    assert [segment.against for segment in index.segments().values()] == [[]]
    assert not any(
        row["keeper"] is not None and row["keeper"] >= 1 << 63 for row in ledger(tmp_path / "run-1").values()
    )


def test_a_folder_that_is_no_index_is_refused_and_left_alone(tmp_path):
    files = write_nights(tmp_path / "data", renamed(articles(1, 20)), 2)
    run(parse_config(night_config(tmp_path / "other", files[:1], None)))
    before = sorted((tmp_path / "other").rglob("*"))
    for folder in (tmp_path / "other", tmp_path / "run-0", tmp_path):
        with pytest.raises(ConfigError, match="a folder of its own"):
            run(parse_config(night_config(tmp_path / "run-0", files[1:], folder)))
        (tmp_path / "run-0").mkdir(exist_ok=True)
        (tmp_path / "run-0" / "state.json").write_text("{}")
    assert sorted((tmp_path / "other").rglob("*")) == before
