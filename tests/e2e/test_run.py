"""The promises, on a small corpus: books close, same bytes, resume, explain."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ftfy import fix_text

from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from tests.support.processes import command, kill_when
from tests.support.small_work import many_partitions, many_units
from winnow import schemas
from winnow.audit.verify.verify import check_shards, recount
from winnow.config.config import parse_config
from winnow.errors import UnreadableShareError
from winnow.finished.explain import examples, explain, find
from winnow.runs.run import run
from winnow.runs.state import load_run


@pytest.fixture(scope="module")
def sample_records(tmp_path_factory) -> tuple[Path, dict[str, int]]:
    folder = tmp_path_factory.mktemp("sample") / "data"
    return folder, write_sample(folder)


@pytest.fixture(scope="module")
def sample(sample_records) -> Path:
    return sample_records[0]


@pytest.fixture(scope="module")
def reference(sample, tmp_path_factory):
    """One finished run, in this process."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    context = run(parse_config(sample_config(sample, folder)))
    return context, load_run(str(folder))


def shard_hashes(run_folder: Path) -> dict[str, str]:
    manifest = load_run(str(run_folder)).manifest
    return {s["path"]: s["sha256"] for split in manifest["shards"]["splits"].values() for s in split["shards"]}


def rows_of(finished, split: str) -> list[list[int]]:
    """Every row of a split with its padding cut off."""
    rows = []
    for shard in finished.manifest["shards"]["splits"][split]["shards"]:
        table = pq.read_table(finished.store.path(f"{finished.shards}/{shard['path']}"))
        for ids, lens in zip(table.column("input_ids").to_pylist(), table.column("doc_lens").to_pylist(), strict=True):
            rows.append(ids[: sum(lens)])
    return rows


def decisions(finished) -> list[dict]:
    paths = [record.outputs["decisions"].path for record in finished.of("decide")]
    return [row for path in paths for row in pq.read_table(finished.store.path(path)).to_pylist()]


def documents(finished) -> dict[int, dict]:
    paths = [part.documents["path"] for part in finished.parts]
    return {row["doc"]: row for path in paths for row in pq.read_table(finished.store.path(path)).to_pylist()}


def test_every_record_has_one_outcome(sample_records, reference):
    _, finished = reference
    expected = sample_records[1]
    books = finished.manifest["books"]
    assert books["records"] == sum(expected.values())
    assert sum(books["outcomes"].values()) == books["records"]
    assert books["outcomes"][schemas.UNREADABLE] == 2
    for outcome in (schemas.KEPT, schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE, schemas.EMPTY):
        assert books["outcomes"][outcome] > 0, outcome
    by_source = {name: sum(source["outcomes"].values()) for name, source in finished.manifest["sources"].items()}
    assert by_source == expected


def test_shards_decode_to_exactly_the_kept_documents(reference):
    _, finished = reference
    from winnow.runs.run import load_run_vocabulary

    vocabulary = load_run_vocabulary(finished.config)
    texts = documents(finished)
    for split in ("train", "val"):
        kept = Counter(
            texts[row["doc"]]["text"]
            for row in decisions(finished)
            if row["split"] == split and row["outcome"] == "kept"
        )
        stream = [token for row in rows_of(finished, split) for token in row]
        ends = np.flatnonzero(np.array(stream) == vocabulary.end_of_text)
        pieces = np.split(np.array(stream), ends + 1)
        assert len(pieces[-1]) == 0  # the stream ends with an end-of-text
        decoded = Counter(vocabulary.decode(piece[:-1]).decode() for piece in pieces[:-1])
        assert decoded == kept


def test_texts_are_what_ftfy_makes_of_the_input(sample, reference):
    _, finished = reference
    raw = {
        record["url"]: record["text"]
        for line in (sample / "web-0.jsonl").read_text().split("\n")
        if line.endswith("}")
        for record in [json.loads(line)]
        if isinstance(record["text"], str)
    }
    found = {row["id"]: row["text"] for row in documents(finished).values() if row["id"] in raw}
    assert found == {name: fix_text(text) for name, text in raw.items()}


def test_every_removed_document_has_a_kept_keeper_at_the_threshold(reference):
    _, finished = reference
    outcome = {row["doc"]: row for row in decisions(finished)}
    removed = [row for row in outcome.values() if row["outcome"] in (schemas.NEAR_DUPLICATE, schemas.EXACT_DUPLICATE)]
    texts = documents(finished)
    assert removed
    for row in removed:
        assert outcome[row["keeper"]]["outcome"] == schemas.KEPT
        assert row["similarity"] >= 0.8
        if row["outcome"] == schemas.EXACT_DUPLICATE:
            assert texts[row["doc"]]["text"] == texts[row["keeper"]]["text"]


def test_both_splits_have_documents(reference):
    """Which documents go together is for test_splits.py."""
    _, finished = reference
    assert {row["split"] for row in decisions(finished) if row["outcome"] == "kept"} == {"train", "val"}


@pytest.mark.parametrize("units", [False, True], ids=["few units", "many units"])
@pytest.mark.parametrize("partitions", [False, True], ids=["few partitions", "many partitions"])
def test_unit_and_partition_sizes_do_not_change_a_byte(reference, sample, tmp_path, monkeypatch, units, partitions):
    context, _ = reference
    if units:
        many_units(monkeypatch)
    if partitions:
        many_partitions(monkeypatch)
    compute = {"unit_mb": 1, "partition_mb": 1, "worker_memory_mb": 256}
    other = run(parse_config(sample_config(sample, tmp_path / "run", compute=compute)))
    assert (len(other.run.parts) > 10) == units and len(context.run.parts) == 1
    assert (len(other.run.of("keepers")) > 1) == partitions == (other.run.layout["partitions"] > 1)
    assert shard_hashes(tmp_path / "run") == shard_hashes(Path(context.config.run))


@pytest.mark.slow
def test_processes_do_not_change_a_byte(reference, sample, tmp_path, monkeypatch):
    monkeypatch.setattr("winnow.engine.engine.TINY_STAGE_BYTES", 0)  # every stage goes to the workers
    many_units(monkeypatch, 80_000)
    context, _ = reference
    other = run(parse_config(sample_config(sample, tmp_path / "run", compute={"executor": "processes", "workers": 2})))
    assert len(other.run.parts) > 3
    assert other.run.observed.executor == "2 processes of this machine (as the config says)"
    assert load_run(str(tmp_path / "run")).observed.executor == other.run.observed.executor
    assert shard_hashes(tmp_path / "run") == shard_hashes(Path(context.config.run))


def test_a_second_run_computes_nothing(reference, sample):
    context, finished = reference
    before = {path: path.stat().st_mtime_ns for path in Path(context.config.run).rglob("*.parquet")}
    again = run(parse_config(sample_config(sample, Path(context.config.run))))
    assert all(summary.reused == summary.units for summary in again.engine.summaries)
    assert {path: path.stat().st_mtime_ns for path in Path(context.config.run).rglob("*.parquet")} == before


def rerun(sample, tmp_path, **sections) -> dict[str, int]:
    """Units computed by each stage when a finished run is run again with other settings."""
    context = run(parse_config(sample_config(sample, tmp_path / "run", **sections)))
    return {s.name: s.units - s.reused for s in context.engine.summaries}


def test_a_changed_setting_computes_only_what_depends_on_it(sample, tmp_path):
    by_length = {"keep": ["longest", "first"]}  # keepers that do not depend on the number of failed rules
    rerun(sample, tmp_path, dedup=by_length)
    threshold = {"mode": "annotate", "gopher_quality": {"min_words": 60}}
    computed = rerun(sample, tmp_path, filter=threshold, dedup=by_length)
    assert computed["measure"] == 0
    assert computed["filter"] > 0
    assert computed["tokenise"] == 0  # in annotate mode the same documents survive
    shards = {"sequence_tokens": 63, "shard_mb": 1, "splits": {"val": 0.1}}
    computed = rerun(sample, tmp_path, filter=threshold, dedup=by_length, shards=shards)
    assert [name for name, units in computed.items() if units] == ["shards"]
    compute = {"worker_memory_mb": 512, "attempts": 2}
    computed = rerun(sample, tmp_path, filter=threshold, dedup=by_length, shards=shards, compute=compute)
    assert not any(computed.values())  # how it is computed names no work
    computed = rerun(sample, tmp_path, filter=threshold, dedup=by_length, shards=shards | {"seed": 8})
    assert [name for name, units in computed.items() if units] == ["decide", "shuffle", "layout", "shards"]
    seeded = {"filter": threshold, "shards": shards | {"seed": 8}}
    same_bands = by_length | {"threshold": 0.9, "minhash": {"bands": 32, "rows": 8}}
    computed = rerun(sample, tmp_path, **seeded, dedup=same_bands)
    assert computed["measure"] == computed["filter"] == computed["bands"] == computed["candidates"] == 0
    assert computed["keepers"] > 0
    computed = rerun(sample, tmp_path, **seeded, dedup=by_length | {"threshold": 0.7})
    assert computed["measure"] == computed["filter"] == 0  # other bands, of the same signatures
    assert computed["bands"] > 0


def test_a_new_input_leaves_the_published_shards_alone_until_its_own_are_there(tmp_path):
    write_sample(tmp_path / "data", 40)
    config = parse_config(sample_config(tmp_path / "data", tmp_path / "run"))
    run(config)
    before = load_run(str(tmp_path / "run"))
    (tmp_path / "data" / "notes" / "new.txt").write_text("Something else was written here. " * 30)
    run(config)
    assert check_shards(before) == []  # readers of the old set go on undisturbed
    after = load_run(str(tmp_path / "run"))
    assert after.shards != before.shards
    assert check_shards(after) == []


def test_new_files_keep_the_numbers_of_old_ones(tmp_path):
    write_sample(tmp_path / "data")
    config = parse_config(sample_config(tmp_path / "data", tmp_path / "run"))
    run(config)
    (tmp_path / "data" / "notes" / "000.txt").write_text("A new note, long after the others. " * 20)
    context = run(config)
    assert max(file.number for file in context.run.files if file.path.endswith("000.txt")) == len(context.run.files) - 1
    assert recount(load_run(str(tmp_path / "run"))) and not check_shards(load_run(str(tmp_path / "run")))


def test_why_tells_the_truth(reference):
    _, finished = reference
    by_doc = {row["doc"]: row for row in decisions(finished)}
    removed = next(examples(finished, schemas.NEAR_DUPLICATE))
    story = explain(finished, removed)
    assert story.outcome == schemas.NEAR_DUPLICATE
    assert story.keeper.doc == by_doc[removed]["keeper"]
    assert story.similarity == pytest.approx(by_doc[removed]["similarity"])
    assert story.places == ()
    assert find(finished, story.id) == [removed]


def test_why_names_the_rows_that_hold_the_document(reference):
    from winnow.runs.run import load_run_vocabulary

    _, finished = reference
    vocabulary = load_run_vocabulary(finished.config)
    kept = [row for row in decisions(finished) if row["outcome"] == "kept"]
    for row in kept[::7]:
        story = explain(finished, row["doc"])
        (place,) = story.places
        stream = [t for r in rows_of(finished, place.split)[place.first_row : place.last_row + 1] for t in r]
        assert story.text in vocabulary.decode(stream).decode("utf-8", "replace")
        assert place.shards


def test_failed_rules_are_in_the_ledger_in_both_modes(sample, tmp_path):
    context = run(parse_config(sample_config(sample, tmp_path / "run", filter={"mode": "filter"})))
    finished = load_run(context.config.run)
    filtered = next(examples(finished, schemas.FILTERED))
    story = explain(finished, filtered)
    assert story.failed_rules
    rows = {row["doc"]: row for row in decisions(finished)}
    assert rows[filtered]["rule"] == story.failed_rules[0].rule


def test_verify_finds_an_altered_and_a_missing_shard(sample, tmp_path):
    run(parse_config(sample_config(sample, tmp_path / "run")))
    finished = load_run(str(tmp_path / "run"))
    assert check_shards(finished) == []
    assert all(balance.expected == balance.found for balance in recount(finished))
    shards = [s["path"] for split in finished.manifest["shards"]["splits"].values() for s in split["shards"]]
    path = finished.store.path(f"{finished.shards}/{shards[0]}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    finished.store.path(f"{finished.shards}/{shards[1]}").unlink()
    faults = check_shards(finished)
    assert len(faults) == 2
    assert "altered" in faults[0]
    assert "missing" in faults[1]


def test_weights_make_copies_and_leave_out(sample, tmp_path):
    config = sample_config(sample, tmp_path / "run")
    config["sources"][0]["weight"] = 2.5
    config["sources"][1]["weight"] = 0.5
    finished = load_run(run(parse_config(config)).config.run)
    manifest = finished.manifest
    assert manifest["sources"]["books"]["outcomes"][schemas.SAMPLED_OUT] > 0
    assert schemas.SAMPLED_OUT not in manifest["sources"]["web"]["outcomes"]
    copies = sum(row["copies"] for row in decisions(finished))
    assert copies == sum(split["documents"] for split in manifest["shards"]["splits"].values())
    assert copies > manifest["books"]["outcomes"]["kept"]


def test_too_much_unreadable_input_stops_the_run(sample, tmp_path):
    config = sample_config(sample, tmp_path / "run", compute={"max_unreadable_share": 0.001})
    with pytest.raises(UnreadableShareError, match=r"2 of \d+ records") as told:
        run(parse_config(config))
    (table,) = (tmp_path / "run").glob("work/measure/*/*.unreadable.parquet")
    for row in pq.read_table(table).to_pylist():
        kind = row["reason"].split(":")[0]
        (line,) = [line for line in str(told.value).split("\n") if f" x {kind}, such as" in line]
        assert (
            row["path"] in line
            and row["reason"].split(": ", 1)[-1] in line
            and f"row {row['doc'] & 0xFFFFFFFF}:" in line
        )
    run(parse_config(sample_config(sample, tmp_path / "run")))  # a higher share goes on with what was read


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "processes", "ray"])
def test_kill_9_in_the_middle_and_the_same_command_again(reference, sample, tmp_path, executor):
    context, _ = reference
    run_folder = tmp_path / "run"
    line = command(sample_config(sample, run_folder, compute={"executor": executor, "unit_mb": 1}), tmp_path / "c.yaml")
    moments = ("work/measure/*/*.json", "work/bands/*/*.json", "work/tokenise/*/*.json")
    kills = [kill_when(line, lambda pattern=pattern: any(run_folder.glob(pattern))) for pattern in moments]
    assert any(kills)
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    assert shard_hashes(run_folder) == shard_hashes(Path(context.config.run))
    assert all(b.expected == b.found for b in recount(load_run(str(run_folder))))
    assert not list(run_folder.rglob(".draft-*"))
