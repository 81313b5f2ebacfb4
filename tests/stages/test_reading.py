"""Documents of a unit's slices: small files share batches, and every document still knows its file."""

import json

import pytest

from winnow import schemas
from winnow.engine.executors.execute import attempt
from winnow.engine.records import Unit
from winnow.engine.stage import Stage, Workspace
from winnow.sources.catalogue import InputFile
from winnow.sources.source import SourceConfig
from winnow.stages.ingest.reading import Documents, read_documents
from winnow.stages.ingest.slices import plan_measure
from winnow.storage.local_store import LocalStore

FILES = 40


def _unit(tmp_path, quarantined: dict[int, str] | None = None) -> Unit:
    sources = {name: SourceConfig(name=name, path="-") for name in ("one", "two")}
    files = []
    for number in range(FILES):
        path = tmp_path / f"{number:02d}.jsonl"
        path.write_text(f"{json.dumps({'text': f'text {number}'})}\nbad\n{json.dumps({'text': f'more {number}'})}\n")
        source = "one" if number < 25 else "two"
        files.append(InputFile(number, source, str(path), path.stat().st_size, 1))
    (unit,) = plan_measure(files, sources, [], 1_000_000, quarantined)
    return unit


def _read(tmp_path, unit: Unit, batch_bytes: int = 1 << 20) -> tuple[list[Documents], list[tuple[str, int]]]:
    store, told = LocalStore(str(tmp_path / "run")), []
    batches: list[Documents] = []

    def work(unit: Unit, workspace: Workspace) -> None:
        def note(part, _source, batch):
            told.extend((part.path, bad.row) for bad in batch.unreadable)

        batches.extend(read_documents(unit, workspace, note))

    stage = Stage("test", 1, {}, work, {"batch_bytes": batch_bytes})
    result = attempt(stage, unit, store)
    assert not hasattr(result, "message"), result
    return batches, told


@pytest.mark.parametrize("batch_bytes", [1, 200, 1 << 20])
def test_small_files_of_a_source_share_batches(tmp_path, batch_bytes):
    unit = _unit(tmp_path)
    batches, told = _read(tmp_path, unit, batch_bytes)
    assert [doc for batch in batches for doc in batch.docs.tolist()] == [
        number << 32 | row for number in range(FILES) for row in (0, 2)
    ]
    texts = [text for batch in batches for text in batch.texts.to_pylist()]
    assert texts == [f"{word} {number}" for number in range(FILES) for word in ("text", "more")]
    assert list(dict.fromkeys(batch.source.name for batch in batches)) == ["one", "two"]
    assert [row for _, row in told] == [1] * FILES
    if batch_bytes == 1 << 20:
        assert [len(batch.docs) for batch in batches] == [50, 30]
    assert batches[0].ids[0].as_py().startswith("one:") and batches[0].ids[0].as_py().endswith("00.jsonl:0")


def test_documents_that_cannot_be_worked_on_are_listed_with_their_files(tmp_path):
    batch = _read(tmp_path, _unit(tmp_path))[0][0]
    found = batch.unreadable({3: "b", 2: "a", 49: "c"})
    listed = [(part.file, [(bad.row, bad.reason) for bad in records]) for part, records in found]
    assert listed == [(1, [(0, "a"), (2, "b")]), (24, [(2, "c")])]


def test_quarantined_documents_are_left_out_of_shared_batches(tmp_path):
    batches, told = _read(tmp_path, _unit(tmp_path, {7 << 32 | 2: "fatal: of this test"}))
    assert 7 << 32 | 2 not in [doc for batch in batches for doc in batch.docs.tolist()]
    assert sum(len(batch.docs) for batch in batches) == 2 * FILES - 1 and len(told) == FILES + 1
    assert schemas.split_document_number(int(batches[0].docs[-1])) == (24, 2)


def test_a_unit_that_fails_while_it_reads_names_file_and_row(tmp_path, monkeypatch):
    unit = _unit(tmp_path)
    path = unit.inputs["slices"][5]["path"]

    class Failing:
        def __init__(self, file):
            self._file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._file.close()

        def seek(self, *where):
            return self._file.seek(*where)

        def read(self, size=-1):
            if self._file.tell() >= 8:
                raise TimeoutError(110, "Connection timed out")
            return self._file.read(min(size, 8))

    whole = LocalStore.open_input

    def opened(store, name):
        return Failing(whole(store, name)) if name == path else whole(store, name)

    monkeypatch.setattr(LocalStore, "open_input", opened)

    def work(unit: Unit, workspace: Workspace) -> None:
        list(read_documents(unit, workspace, lambda *_: None))

    failure = attempt(Stage("test", 1, {}, work, {"batch_bytes": 100}), unit, LocalStore(str(tmp_path / "run")))
    assert "Connection timed out" in failure.message and f"while reading {path} from row 0 on" in failure.message
