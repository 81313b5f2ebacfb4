"""Run folders that are damaged, or written by somebody who wants other files read."""

import dataclasses
import json

import pytest

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from winnow.config.config import parse_config
from winnow.engine.records import Record
from winnow.errors import ConfigError
from winnow.index.folder import Index, Segment
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.runs.status import status_of


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    texts = [f"Document {n} says in so many words what no other of these documents says, {n * n}." for n in range(40)]
    (folder / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    run(parse_config(run_config(folder / "run", source_of(folder / "in.jsonl"), shards={"sequence_tokens": 31})))
    return folder / "run"


@pytest.fixture
def folder(finished):
    """The run, whole again afterwards."""
    files = {path: path.read_bytes() for path in finished.rglob("*.json")}
    yield finished
    for path, content in files.items():
        path.write_bytes(content)


def rewrite(path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("path", ["/etc/passwd", "../../in.jsonl", "s3://bucket/x", 7])
def test_no_path_of_a_state_or_record_leaves_the_folder(folder, path):
    state = folder / "state.json"
    whole = state.read_bytes()
    for change in (
        lambda content: content.update(shards=path),
        lambda content: content["records"]["measure"].__setitem__(0, path),
        lambda content: content["layout"]["exchange"]["extents"].update(path=path),
        lambda content: content["layout"]["exchange"].update(path=path),
    ):
        rewrite(state, change)
        with pytest.raises(ConfigError, match=r"leads out of its folder|is no path"):
            load_run(str(folder))
        for command in ("verify", "summary", "status"):
            code, told = winnow(command, str(folder))
            assert "Traceback" not in told
            assert code in (0, 1, 2)
        state.write_bytes(whole)
    record = next((folder / "work" / "decide").rglob("*.json"))
    rewrite(record, lambda content: content["outputs"]["decisions"].update(path=path))
    with pytest.raises(ConfigError, match=r"leads out of its folder|is no path"):
        load_run(str(folder))


def test_whatever_is_damaged_in_a_state_is_told(folder):
    state = folder / "state.json"
    whole = json.loads(state.read_text())
    for key in whole:
        for damage in (..., None, -5, "x", [], {}, ["x"], {"x": 1}, True):
            damaged = {name: value for name, value in whole.items() if name != key or damage is not ...}
            if damage is not ...:
                damaged[key] = damage
            state.write_text(json.dumps(damaged))
            try:
                load_run(str(folder))
            except ConfigError as error:
                assert str(folder) in str(error)
            status_of(str(folder))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"7", b'{"outputs": []}', b'{"outputs": {"a": 5}}', b'{"outputs": {}}']
)
def test_what_is_no_record_is_a_value_error(content):
    with pytest.raises(ValueError, match=r"."):
        Record.from_json(content)


def test_an_attempt_that_names_other_folders_is_none(folder):
    assert status_of(str(folder)).stages
    rewrite(folder / "attempt.json", lambda content: content["stages"][0].update(folder="../../.."))
    assert status_of(str(folder)).stages == []


def test_no_path_of_a_segment_leaves_the_index(tmp_path):
    (tmp_path / "index.json").write_text(json.dumps({"format": 1, "id": "0", "settings": {}}))
    part = {"part": 0, "rows": 1, "kept": 1, "outputs": {"documents": {"path": "/etc/passwd"}}}
    names = [field.name for field in dataclasses.fields(Segment)]
    record = dict.fromkeys(names, 0) | {"parts": [part], "files": []}
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "00000.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="leads out of its folder"):
        Index(str(tmp_path)).segments()
