"""A run folder that lives on: other units, other files, other weights, damage, and what must still hold."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import articles
from winnow import schemas
from winnow.audit.verify.verify import check_shards, check_work, recount
from winnow.config.config import parse_config
from winnow.engine import engine as engine_module
from winnow.engine.lease import LEASE, hold_lease
from winnow.errors import LeaseHeldError
from winnow.finished.explain import explain, find, unreadable
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.storage.local_store import LocalStore
from winnow.storage.store import Store


def write(path: Path, seed: int, count: int) -> None:
    texts = articles(seed, count)
    path.write_text("".join(json.dumps({"id": f"{path.stem}{n}", "text": t}) + "\n" for n, t in enumerate(texts)))


def config(folder: Path, *paths: Path, **compute):
    sections = {"shards": {"sequence_tokens": 127}, "compute": {"unit_mb": 1, **compute}}
    return parse_config(run_config(folder / "run", source_of(paths, id="id"), **sections))


def hashes(finished) -> list[str]:
    splits = finished.manifest["shards"]["splits"]
    return [shard["sha256"] for split in splits.values() for shard in split["shards"]]


def holds(folder: Path):
    finished = load_run(str(folder / "run"))
    assert check_shards(finished) == []
    assert check_work(finished, hashes=True) == []
    assert all(balance.expected == balance.found for balance in recount(finished))
    return finished


@pytest.mark.slow
def test_unit_sizes_back_and_forth_in_one_folder(tmp_path):
    files = [tmp_path / f"{name}.jsonl" for name in "abcd"]
    for seed, path in enumerate(files):
        write(path, seed, 400 + 200 * (seed == 2))
    run(config(tmp_path, *files))
    before = hashes(holds(tmp_path))
    for unit_mb in (2, 1, 3):
        run(config(tmp_path, *files, unit_mb=unit_mb))
        assert hashes(holds(tmp_path)) == before


def test_units_that_grow_with_the_corpus_change_no_byte(tmp_path, monkeypatch):
    files = [tmp_path / f"{name}.jsonl" for name in "abcd"]
    for seed, path in enumerate(files):
        write(path, seed, 700)
    run(config(tmp_path, *files))
    before = hashes(holds(tmp_path))
    parts = {}
    for units in (1_000_000, 2):
        monkeypatch.setattr("winnow.engine.work_sizes.SMALLEST_UNIT_MB", 1)
        monkeypatch.setattr("winnow.engine.work_sizes.MOST_UNITS", units)
        context = run(config(tmp_path, *files, unit_mb="auto", partition_mb="auto"))
        parts[units] = len(context.run.parts)
        assert hashes(holds(tmp_path)) == before
    assert parts[2] < parts[1_000_000]


def test_files_leave_and_come(tmp_path):
    files = {name: tmp_path / f"{name}.jsonl" for name in "abcde"}
    for seed, path in enumerate(files.values()):
        write(path, seed, 150)
    run(config(tmp_path, files["a"], files["b"], files["c"]))
    context = run(config(tmp_path, files["c"], files["d"], files["e"]))
    finished = holds(tmp_path)
    assert find(finished, "a5") == []
    (doc,) = find(finished, "d5")
    assert explain(finished, doc).id == "d5"
    assert [part.first_doc for part in context.run.parts] == sorted(part.first_doc for part in context.run.parts)


def test_a_worker_that_dies_brings_no_records_of_other_inputs(tmp_path, monkeypatch):
    for seed, name in enumerate("ab"):
        write(tmp_path / f"{name}.jsonl", seed, 60)
    run(config(tmp_path, tmp_path / "a.jsonl"))
    calls = []

    def dies_once(stage, units, root, _compute, **_more):
        calls.append(stage.name)
        if len(calls) == 1:
            raise RuntimeError("a worker died")
        return engine_module.run_inline(stage, units, root)

    monkeypatch.setattr(engine_module, "run_on_ray", dies_once)
    monkeypatch.setattr(engine_module, "connect_ray", lambda *_: None)
    monkeypatch.setattr(engine_module, "prestart_workers", lambda *_: None)
    monkeypatch.setattr(engine_module, "TINY_STAGE_BYTES", 0)
    run(config(tmp_path, tmp_path / "b.jsonl", executor="ray"))
    finished = holds(tmp_path)
    assert find(finished, "a5") == []
    assert finished.manifest["books"]["records"] == len(articles(1, 60))


def test_a_new_source_does_not_read_the_old_ones_again(tmp_path):
    write(tmp_path / "a.jsonl", 0, 700)  # over 1 MB: units of its own
    write(tmp_path / "b.jsonl", 1, 60)
    settings = config(tmp_path, tmp_path / "a.jsonl").model_dump(mode="json")
    old_units = len(run(parse_config(settings)).run.of("measure"))
    settings["sources"].append({"name": "t", "path": str(tmp_path / "b.jsonl"), "id": "id"})
    context = run(parse_config(settings))
    assert old_units > 1
    assert {s.name: s.reused for s in context.engine.summaries}["measure"] >= old_units - 1  # the last unit takes b in
    holds(tmp_path)


def test_no_duplicate_makes_room_for_a_document_that_is_sampled_out(tmp_path):
    for name in ("low", "high"):
        write(tmp_path / f"{name}.jsonl", 1, 200)
    sources = [
        {"name": "low", "path": str(tmp_path / "low.jsonl"), "id": "id", "weight": 0.3},
        {"name": "high", "path": str(tmp_path / "high.jsonl"), "id": "id"},
    ]
    settings = config(tmp_path, tmp_path / "low.jsonl").model_dump(mode="json") | {"sources": sources}
    run(parse_config(settings))
    finished = holds(tmp_path)
    rows = {}
    for decided in finished.of("decide"):
        table = pq.read_table(finished.store.path(decided.outputs["decisions"].path))
        rows |= {row["doc"]: row for row in table.to_pylist()}
    removed = [row for row in rows.values() if row["keeper"] is not None]
    assert removed
    assert {rows[row["keeper"]]["outcome"] for row in removed} == {schemas.KEPT}
    assert finished.manifest["sources"]["low"]["outcomes"][schemas.SAMPLED_OUT] > 100


def test_one_file_under_several_spellings_counts_once(tmp_path, monkeypatch):
    write(tmp_path / "a.jsonl", 1, 40)
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "a.jsonl")
    monkeypatch.chdir(tmp_path)
    spellings = [Path("a.jsonl"), Path("./a.jsonl"), tmp_path / "a.jsonl", tmp_path / "link.jsonl"]
    run(config(tmp_path, *spellings))
    assert holds(tmp_path).manifest["books"]["records"] == len(articles(1, 40))


def test_why_speaks_of_the_finished_run_while_another_one_has_failed(tmp_path):
    write(tmp_path / "a.jsonl", 1, 60)
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"id": "nothing", "text": null}\n')
    run(config(tmp_path, tmp_path / "a.jsonl", max_unreadable_share=1.0))
    finished = load_run(str(tmp_path / "run"))
    (doc,) = find(finished, "a3")
    before = explain(finished, doc)
    settings = config(tmp_path, tmp_path / "a.jsonl", max_unreadable_share=0.0).model_dump(mode="json")
    settings["shards"]["sequence_tokens"] = 16
    with pytest.raises(RuntimeError, match="cannot be read"):
        run(parse_config(settings))
    finished = load_run(str(tmp_path / "run"))
    assert explain(finished, doc) == before
    assert [record.reason.split(":")[0] for record in unreadable(finished, "nothing")] == ["null text"]
    assert unreadable(finished, "l") == []
    assert len(unreadable(finished, "a.jsonl")) == 1


def test_why_tells_of_a_file_that_is_whole_and_of_none_that_it_does_not_know(tmp_path):
    write(tmp_path / "a.jsonl", 1, 60)
    run(config(tmp_path, tmp_path / "a.jsonl"))
    code, told = winnow("why", "a.jsonl", str(tmp_path / "run"))
    assert code == 0 and f"{tmp_path}/a.jsonl: a file of this run, of which nothing is unreadable" in told
    assert winnow("why", "l", str(tmp_path / "run"))[0] == winnow("why", "b.jsonl", str(tmp_path / "run"))[0] == 2


def test_a_file_that_a_passing_fault_hid_is_read_by_the_same_command(tmp_path, monkeypatch):
    write(tmp_path / "a.jsonl", 1, 60)
    write(tmp_path / "b.jsonl", 2, 60)
    open_input = Store.open_input

    def no_permission(store, path):
        if path == str(tmp_path / "b.jsonl"):
            raise PermissionError(13, "Permission denied", path)
        return open_input(store, path)

    settings = config(tmp_path, tmp_path / "a.jsonl", tmp_path / "b.jsonl", max_unreadable_share=1.0)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "open_input", no_permission)
        run(settings)
    assert holds(tmp_path).manifest["books"]["outcomes"]["unreadable"] == 1
    run(settings)
    assert holds(tmp_path).manifest["books"]["outcomes"]["unreadable"] == 0


def test_books_of_a_wrong_kind_of_file_do_not_depend_on_unit_size(tmp_path):
    import gzip

    write(tmp_path / "a.jsonl", 1, 100)
    (tmp_path / "b.jsonl").write_bytes(gzip.compress(os.urandom(2_500_000)))
    for unit_mb in (1, 64):
        run(
            config(
                tmp_path / str(unit_mb),
                tmp_path / "a.jsonl",
                tmp_path / "b.jsonl",
                unit_mb=unit_mb,
                max_unreadable_share=1.0,
            )
        )
        books = holds(tmp_path / str(unit_mb)).manifest["books"]
        assert books["outcomes"][schemas.UNREADABLE] == 1


def test_damaged_records_and_listings_heal(tmp_path):
    write(tmp_path / "a.jsonl", 1, 60)
    settings = config(tmp_path, tmp_path / "a.jsonl")
    run(settings)
    before = hashes(holds(tmp_path))
    for pattern in ("work/filter/*/*.json", "work/tokenise/*/*.json"):
        next((tmp_path / "run").glob(pattern)).write_text("{half a rec")
    for listing in (tmp_path / "run").rglob("*.listing"):
        listing.write_bytes(b"")
    (tmp_path / "run" / LEASE).write_text("not json")
    run(settings)
    assert hashes(holds(tmp_path)) == before


def test_verify_sees_altered_work(tmp_path):
    write(tmp_path / "a.jsonl", 1, 60)
    run(config(tmp_path, tmp_path / "a.jsonl"))
    finished = holds(tmp_path)
    path = next((tmp_path / "run").rglob("*.tokens.arrow"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert [fault.split(": ")[1][:7] for fault in check_work(finished, hashes=True)] == ["altered"]
    path.write_bytes(data[:-1])
    assert ["cut or grown" in fault for fault in check_work(finished, hashes=False)] == [True]


def test_a_run_that_stood_still_does_not_take_the_folder_back(tmp_path):
    code = (
        "import sys, time; import winnow.engine.lease as l; from winnow.storage.local_store import LocalStore\n"
        "l.RENEW_EVERY_S = 0.1; l.EXPIRES_AFTER_S = 0.5\n"
        f"with l.hold_lease(LocalStore({str(tmp_path)!r})) as lease:\n"
        "    print('held', flush=True); sys.stdin.readline()\n"
        "    try: lease.check(); print('mine', flush=True)\n"
        "    except l.LeaseHeldError: print('lost', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    os.kill(process.pid, signal.SIGSTOP)
    store = LocalStore(str(tmp_path))
    for _ in range(100):
        try:
            with hold_lease(store) as lease:
                os.kill(process.pid, signal.SIGCONT)
                process.stdin.write(b"\n")
                process.stdin.flush()
                assert process.stdout.readline() == b"lost\n"
                process.wait()
                lease.check()  # still ours, though the other one has left
                assert store.exists(LEASE)
            break
        except LeaseHeldError:
            import time

            time.sleep(0.05)
    else:
        pytest.fail("the lease was never free")


def test_a_run_folder_below_its_source_is_not_read(tmp_path):
    write(tmp_path / "a.jsonl", 1, 60)
    values = config(tmp_path, tmp_path).model_dump(mode="json")
    values["sources"][0] |= {"path": str(tmp_path), "format": "jsonl"}  # the suffix decides nothing
    values["dedup"]["index"] = str(tmp_path / "index")
    run(parse_config(values))
    before = hashes(holds(tmp_path))
    context = run(parse_config(values))
    assert not sum(summary.units - summary.reused for summary in context.engine.summaries)
    assert hashes(holds(tmp_path)) == before
