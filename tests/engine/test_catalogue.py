import os

import pytest

from pipeline.engine.catalogue import build_catalogue, list_inputs
from pipeline.engine.inputs import InputError, list_paths
from pipeline.engine.local_store import LocalStore


def numbers(files):
    return {os.path.basename(file.path): file.number for file in files}


def test_numbers_are_kept_and_never_given_again(tmp_path):
    store, data = LocalStore(str(tmp_path / "run")), tmp_path / "in"
    data.mkdir()
    for name in ("c.jsonl", "a.jsonl"):
        (data / name).write_text("x")
    patterns = {"web": [str(data)]}
    assert numbers(build_catalogue(store, list_inputs(patterns), save=True)) == {"a.jsonl": 0, "c.jsonl": 1}
    (data / "b.jsonl").write_text("y")
    assert numbers(build_catalogue(store, list_inputs(patterns), save=True)) == {
        "a.jsonl": 0,
        "c.jsonl": 1,
        "b.jsonl": 2,
    }
    (data / "a.jsonl").write_text("changed")  # another size: another file
    assert numbers(build_catalogue(store, list_inputs(patterns), save=True)) == {
        "c.jsonl": 1,
        "b.jsonl": 2,
        "a.jsonl": 3,
    }
    (data / "c.jsonl").unlink()
    assert numbers(build_catalogue(store, list_inputs(patterns), save=True)) == {"b.jsonl": 2, "a.jsonl": 3}


def test_looking_only_writes_nothing(tmp_path):
    (tmp_path / "a.jsonl").write_text("x")
    store = LocalStore(str(tmp_path / "run"))
    assert len(build_catalogue(store, {"web": [str(tmp_path / "a.jsonl")]}, save=False)) == 1
    assert not (tmp_path / "run").exists()


def test_files_folders_and_globs(tmp_path):
    for name in ("x/a.jsonl", "x/y/b.jsonl", "x/.hidden/c.jsonl", "x/.d.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    root = str(tmp_path / "x")
    both = [f"{root}/a.jsonl", f"{root}/y/b.jsonl"]
    assert list_paths(root) == both
    assert list_paths(f"{root}/**/*.jsonl") == both
    assert list_paths(both[0]) == both[:1]


@pytest.mark.parametrize("path", ["nowhere.jsonl", "nowhere/*.jsonl"])
def test_a_missing_path_is_named(tmp_path, path):
    with pytest.raises(InputError, match="nowhere"):
        list_paths(str(tmp_path / path))


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no files"):
        list_paths(str(tmp_path))


def test_a_file_cannot_have_two_sources(tmp_path):
    (tmp_path / "a.jsonl").write_text("x")
    path = str(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="two sources, 'one' and 'two'"):
        list_inputs({"one": [path], "two": [path]})
