"""Documents that end their process: found by halving, named for good, left out by the units that read them."""

import os
import signal

import numpy as np
import pyarrow as pa
import pytest

from winnow.engine.quarantine import met_by, quarantine, quarantined_documents, release
from winnow.engine.records import Unit
from winnow.engine.stage import Workspace
from winnow.errors import QuarantineError, StorageError, SurroundingsError
from winnow.sources.records import BatchBuilder
from winnow.sources.slices import FileSlice
from winnow.stages.ingest.isolate import MOST_OF_A_BATCH, drop_quarantined, find_poison_rows, probe_in_child
from winnow.stages.ingest.slices import _with_quarantined, parse_quarantined
from winnow.storage.local_store import LocalStore

HERE = {"machine": "this one"}
MET = frozenset({met_by(HERE)})


def work(texts) -> None:
    for text in texts.to_pylist():
        if text == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "raise":
            raise KeyError("its text must not be told")
        if text == "storage":
            raise OSError("gone")


def test_documents_are_found_by_halving():
    texts = pa.array(["a", "kill", "b", "raise", "storage", "c", "kill"])
    killed = "fatal: ends its process (SIGKILL)"
    assert find_poison_rows(texts, work) == {1: killed, 3: "fatal: raises KeyError", 6: killed}
    assert find_poison_rows(texts.slice(4, 2), work) == {}
    assert find_poison_rows(texts.slice(0, 0), work) == {}


def test_what_ends_a_process_once_is_not_the_document(tmp_path):
    def work_that_is_killed_once_at_each(texts) -> None:
        met = tmp_path / "-".join(texts.to_pylist())
        if not met.exists():
            met.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    assert find_poison_rows(pa.array(["a", "b", "c"]), work_that_is_killed_once_at_each) == {}


@pytest.mark.slow  # a process a document
def test_where_all_fail_it_is_not_the_documents():
    assert find_poison_rows(pa.array(["raise"] * (MOST_OF_A_BATCH + 1)), work) == {}
    assert len(find_poison_rows(pa.array(["raise"] * MOST_OF_A_BATCH), work)) == MOST_OF_A_BATCH


def broken(texts) -> None:
    """A model that is cut short: no text can be worked on."""
    if len(texts):
        raise RuntimeError("expected value at line 1 column 1000")


def killed(texts) -> None:
    if len(texts):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("texts", [["one"], ["one", "two"]])
def test_what_a_good_document_does_not_survive_either_is_no_document(tmp_path, texts):
    batch = pa.record_batch({"text": pa.array(texts, pa.large_string()), "id": texts, "keep.#structure": texts})
    assert find_poison_rows(pa.array(texts), broken) == {}
    assert find_poison_rows(batch, lambda some: broken(some.column("text"))) == {}
    with pytest.raises(SurroundingsError, match=r"SIGKILL\), on a good document as well"):
        find_poison_rows(pa.array(texts), killed)
    # a structure is the document's own: the good one has none
    assert find_poison_rows(
        batch, lambda some: work(pa.array(["raise"] * (len(some) - some.column("keep.#structure").null_count)))
    ) == dict.fromkeys(range(len(texts)), "fatal: raises KeyError")


def test_what_broke_while_documents_were_looked_for_is_not_the_documents(tmp_path):
    def until_it_breaks(texts) -> None:
        if (tmp_path / "broken").exists():
            broken(texts)
        if "two" in texts.to_pylist():
            (tmp_path / "broken").touch()
            broken(texts)

    assert find_poison_rows(pa.array(["one", "two", "three", "four"]), until_it_breaks) == {}


def test_documents_are_quarantined_for_what_they_were_met_with(tmp_path):
    store = LocalStore(str(tmp_path))
    there = {"machine": "another"}
    for surroundings in (HERE, there):
        with pytest.raises(QuarantineError):
            quarantine(store, {7: f"on {surroundings['machine']}"}, surroundings)
    assert quarantined_documents(store, MET) == {7: "on this one"}
    assert quarantined_documents(store, frozenset({met_by({"machine": "a third"})})) == {}
    assert release(store, lambda _doc, by: by not in MET) == {7: "on another"}
    assert quarantined_documents(store, MET) == {7: "on this one"}
    assert release(store, lambda doc, _by: doc == 8) == {}
    assert release(store, lambda doc, _by: doc == 7) == {7: "on this one"}
    assert quarantined_documents(store, MET) == {}


def test_found_documents_are_named_in_the_run_folder(tmp_path):
    store = LocalStore(str(tmp_path))
    workspace = Workspace(store, "work/tokenise/f", "0", {})
    docs, texts = np.array([7, 1 << 40], np.uint64), pa.array(["fine", "raise"])
    probe_in_child(workspace, docs, texts, work)  # a first attempt does not look
    workspace.isolate = HERE
    with pytest.raises(QuarantineError, match=r"1 documents are quarantined \(fatal: raises KeyError in tokenise\)"):
        probe_in_child(workspace, docs, texts, work)
    with pytest.raises(QuarantineError):
        quarantine(store, {3: "another"}, HERE)
    with pytest.raises(QuarantineError):
        quarantine(store, {3: "the first reason stays"}, HERE)
    assert list(quarantined_documents(store, MET).items()) == [
        (3, "another"),
        (1 << 40, "fatal: raises KeyError in tokenise"),
    ]
    entry = tmp_path / "quarantine" / f"{3:020d}-{met_by(HERE)}.json"
    entry.write_text("{")
    with pytest.raises(StorageError, match=r"quarantine/0+3-\w+\.json in .*: damaged"):
        quarantined_documents(store, MET)
    for damaged in ('{"doc": 7, "reason": "a"}', '{"doc": "3", "reason": "a"}', '{"doc": 3, "reason": 1}'):
        entry.write_text(damaged)
        with pytest.raises(StorageError, match="damaged"):
            quarantined_documents(store, MET)


def test_a_batch_without_them():
    builder = BatchBuilder(("kept",))
    for row, text in enumerate(("zero", "one", "two")):
        builder.add(row + 5, text, f"id{row}", [str(row)], 4)
    batch = builder.take(12)
    where = FileSlice(path="p", file=2, source="s", format="jsonl", size=12, start=3)
    assert drop_quarantined(batch, where, {}) is batch
    assert drop_quarantined(batch, where, {5: "of another file", 2 << 32 | 9: "beyond"}) is batch
    left = drop_quarantined(batch, where, {2 << 32 | 6: "why"})
    assert left.rows.tolist() == [5, 7]
    assert left.texts.to_pylist() == ["zero", "two"]
    assert left.ids.to_pylist() == ["id0", "id2"]
    assert left.keep["kept"].to_pylist() == ["0", "2"]
    (bad,) = left.unreadable
    assert (bad.row, bad.reason, bad.bytes, bad.id, bad.position) == (6, "why", 3, "id1", 3)


def test_only_the_units_that_read_them_change():
    def slice_(file: int, first_row: int) -> dict:
        return {"file": file, "first_row": first_row}

    units = [
        Unit(0, {"slices": [slice_(1, 0), slice_(2, 0)]}, 1),
        Unit(1, {"slices": [slice_(2, 100)]}, 1),
        Unit(2, {"slices": [slice_(2, 200), slice_(5, 0)]}, 1),
    ]
    quarantined = {2 << 32 | 100: "b", 2 << 32 | 199: "c", 5 << 32 | 8: "d"}
    quarantined |= {1 << 31: "of no file", 4 << 32: "of one that is no input any more", 9 << 32 | 8: "of another one"}
    changed = _with_quarantined(units, quarantined)
    assert changed[0] is units[0]
    assert parse_quarantined(changed[1]) == {2 << 32 | 100: "b", 2 << 32 | 199: "c"}
    assert parse_quarantined(changed[2]) == {5 << 32 | 8: "d"}
    assert changed[1].inputs["slices"] == units[1].inputs["slices"]
