import os
import socket
from glob import glob

import pytest

from winnow.errors import InputError
from winnow.sources.catalogue import build_catalogue, list_inputs
from winnow.sources.inputs import list_paths
from winnow.storage.local_store import LocalStore


def column_to_numpy(files):
    return {os.path.basename(file.path): file.number for file in files}


def test_numbers_are_kept_and_never_given_again(tmp_path):
    store, data = LocalStore(str(tmp_path / "run")), tmp_path / "in"
    data.mkdir()
    for name in ("c.jsonl", "a.jsonl"):
        (data / name).write_text("x")
    patterns = {"web": [str(data)]}
    assert column_to_numpy(build_catalogue(store, list_inputs(patterns), save=True)) == {"a.jsonl": 0, "c.jsonl": 1}
    (data / "b.jsonl").write_text("y")
    assert column_to_numpy(build_catalogue(store, list_inputs(patterns), save=True)) == {
        "a.jsonl": 0,
        "c.jsonl": 1,
        "b.jsonl": 2,
    }
    (data / "a.jsonl").write_text("changed")  # another size: another file
    assert column_to_numpy(build_catalogue(store, list_inputs(patterns), save=True)) == {
        "c.jsonl": 1,
        "b.jsonl": 2,
        "a.jsonl": 3,
    }
    (data / "c.jsonl").unlink()
    assert column_to_numpy(build_catalogue(store, list_inputs(patterns), save=True)) == {"b.jsonl": 2, "a.jsonl": 3}
    (data / "a.jsonl").unlink()
    (data / "d.jsonl").write_text("new")  # the highest number is free, and was given
    assert column_to_numpy(build_catalogue(store, list_inputs(patterns), save=True)) == {"b.jsonl": 2, "d.jsonl": 4}


def test_numbers_do_not_follow_the_order_of_the_patterns(tmp_path):
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        (tmp_path / name).write_text("x")
    entries = [str(tmp_path / "c.jsonl"), f"{tmp_path}/[ab].jsonl"]
    assert list_inputs({"s": entries}) == list_inputs({"s": entries[::-1]}) == list_inputs({"s": [str(tmp_path)]})


def test_one_file_under_two_names_is_read_once_and_by_one_source(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text("x")
    (tmp_path / "linked").symlink_to(tmp_path / "in")
    names = [f"{tmp_path}/in/a.jsonl", f"{tmp_path}/linked/a.jsonl"]
    assert list_inputs({"s": [*names, f"{tmp_path}/in/*"]}) == {"s": names[:1]}
    with pytest.raises(InputError, match="belongs to two sources, 's' and 't'"):
        list_inputs({"s": names[:1], "t": names[1:]})


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


def locked(monkeypatch, name):
    """As if one folder could be entered, but not listed (root may list everything)."""
    listed = os.scandir

    def scandir(path):
        if os.path.basename(os.fspath(path)) == name:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)


@pytest.mark.parametrize("path", ["", "locked", "**/*.jsonl", "*/*.jsonl", "locked/*.jsonl", "**"])
def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch, path):
    for name in ("a.jsonl", "open/b.jsonl", "locked/c.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    locked(monkeypatch, "locked")
    with pytest.raises(InputError, match=r"/locked: this folder cannot be listed \(Permission denied\).*readable"):
        list_paths(str(tmp_path / path))
    assert list_paths(str(tmp_path / "open")) == [str(tmp_path / "open/b.jsonl")]
    assert list_paths(str(tmp_path / "locked/c.jsonl")) == [str(tmp_path / "locked/c.jsonl")]


def test_a_path_that_cannot_be_reached_is_named(tmp_path, monkeypatch):
    def stat(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr("pathlib.Path.stat", stat)
    with pytest.raises(InputError, match=r"a\.jsonl: cannot be looked at \(Permission denied\)"):
        list_paths(str(tmp_path / "a.jsonl"))


def test_linked_folders_are_searched_once(tmp_path):
    for name in ("in/b/x.jsonl", "in/y.jsonl", "elsewhere/deep/z.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "in/a").symlink_to(tmp_path / "in/b")  # before it in order, and yet b's files keep their names
    (tmp_path / "in/b/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/far").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "elsewhere")
    names = ["b/x.jsonl", "far/deep/z.jsonl", "y.jsonl"]
    assert list_paths(str(tmp_path / "in")) == [str(tmp_path / "in" / name) for name in names]
    by_glob = list_inputs({"web": [str(tmp_path / "in/**/*.jsonl")]})["web"]
    assert sorted(map(os.path.realpath, by_glob)) == sorted(os.path.realpath(tmp_path / "in" / n) for n in names)


@pytest.mark.parametrize("path", ["", "*.jsonl", "**", "gone.jsonl"])
def test_a_link_to_nothing_is_called_one(tmp_path, path):
    (tmp_path / "a.jsonl").write_text("x")
    (tmp_path / "gone.jsonl").symlink_to(tmp_path / "nowhere.jsonl")
    with pytest.raises(InputError, match=r"gone\.jsonl: a link to .*nowhere\.jsonl, which does not exist"):
        list_paths(str(tmp_path / path))


PATTERNS = """* ** *.x a* [ab] ? .* a//* a/* */* */b **/b
**/*.x a/**/*.x **/a/** **/**/*.x */**/a* */ a/../* **/.h/* *//b.x""".split()


def files_of(path):
    """A file itself, all files below a folder."""
    if os.path.isfile(path):
        yield path
    for folder, folders, files in os.walk(path, followlinks=True):
        folders[:] = [name for name in folders if name[0] != "."]
        yield from (os.path.join(folder, name) for name in files if name[0] != ".")


@pytest.mark.parametrize("rooted", [True, False])
def test_globs_name_what_the_standard_library_names(tmp_path, monkeypatch, rooted):
    for name in ("a/b/c.x", "a/b.x", "a/a/a.x", "b", "c.x", "d/b", ".h/e.x", "a/.h/f.x", "d/.g.x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "d/link").symlink_to(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    for pattern in PATTERNS:
        whole = f"{tmp_path}//{pattern}" if rooted else pattern
        expected = {os.path.normpath(file) for path in glob(whole, recursive=True) for file in files_of(path)}
        try:
            assert set(map(os.path.normpath, list_paths(whole))) == expected, pattern
        except InputError:
            assert not expected, pattern


@pytest.mark.parametrize("path", ["", "**", "**/*.jsonl", "*/*.jsonl", "link"])
def test_what_runs_write_is_no_input(tmp_path, path):
    for name in ("a/a.jsonl", "run/b.jsonl", "run/work/c.jsonl", "run.jsonl", "running/d.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    run = str(tmp_path / "run")
    every = list_inputs({"s": [str(tmp_path / path)]})["s"]
    assert any("/run/" in name for name in every)
    left = [name for name in every if "/run/" not in name]
    assert list_inputs({"s": [str(tmp_path / path)]}, None, [f"{run}/", str(tmp_path / "none")])["s"] == left


@pytest.mark.parametrize("path", ["run", "run/work", "run/**/c.jsonl", "run/work/c.jsonl", "run/*/c.jsonl"])
def test_a_path_that_leads_into_a_run_folder_is_taken_at_its_word(tmp_path, path):
    (tmp_path / "run/work").mkdir(parents=True)
    (tmp_path / "run/work/c.jsonl").write_text("x")
    run = str(tmp_path / "run")
    assert list_paths(str(tmp_path / path), None, [run]) == [f"{run}/work/c.jsonl"]


@pytest.mark.parametrize("path", ["", "**/*.jsonl"])
def test_nothing_but_a_run_folder_is_told_as_that(tmp_path, path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/c.jsonl").write_text("x")
    with pytest.raises(InputError, match=r"/run, which winnow writes, is not looked at"):
        list_paths(str(tmp_path / path), None, [str(tmp_path / "run")])


def spark(root):
    """What Spark and Delta leave."""
    names = ("b.parquet/part-0.parquet", "b.parquet/_SUCCESS", "b.parquet/_metadata", "b.parquet/._SUCCESS.crc")
    more = ("a.parquet", "t/lang=de/x.parquet", "t/_delta_log/0.json", "t/_temporary/0/y.parquet", "t/_committed_12")
    for name in (*names, *more):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


SPARK = {
    "*.parquet": ["a.parquet", "b.parquet/part-0.parquet"],
    "b.parquet": ["b.parquet/part-0.parquet"],
    "b.*": ["b.parquet/part-0.parquet"],
    "t": ["t/lang=de/x.parquet"],
    "t/*": ["t/lang=de/x.parquet"],
    "t/lang=*": ["t/lang=de/x.parquet"],
    "**/*.parquet": ["a.parquet", "b.parquet/part-0.parquet", "t/lang=de/x.parquet"],
    "**": ["a.parquet", "b.parquet/part-0.parquet", "t/lang=de/x.parquet"],
    "*": ["a.parquet", "b.parquet/part-0.parquet", "t/lang=de/x.parquet"],
    "t/_delta_log/*": ["t/_delta_log/0.json"],
    "b.parquet/_m*": ["b.parquet/_metadata"],
}


@pytest.mark.parametrize("pattern", SPARK)
def test_a_folder_that_a_glob_meets_is_read_and_notes_of_its_writer_are_not(tmp_path, pattern):
    spark(tmp_path)
    assert list_paths(f"{tmp_path}/{pattern}") == [f"{tmp_path}/{name}" for name in SPARK[pattern]]


@pytest.mark.parametrize("path", ["", "*", "pipe", "**", "**/pipe"])
@pytest.mark.parametrize("kind", ["a pipe", "a socket"])
def test_what_is_no_file_is_refused_by_name(tmp_path, path, kind, monkeypatch):
    (tmp_path / "a.jsonl").write_text("x")
    monkeypatch.chdir(tmp_path)
    if kind == "a pipe":
        os.mkfifo("pipe")
    else:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("pipe")
    with pytest.raises(InputError, match=rf"pipe: {kind}.*, which is no file"):
        list_paths(str(tmp_path / path))
    assert list_paths(str(tmp_path / "*.jsonl")) == [str(tmp_path / "a.jsonl")]
    with pytest.raises(InputError, match="/dev/null: a device, which is no file"):
        list_paths("/dev/null")


@pytest.mark.parametrize("path", ["", "*", "**/*.jsonl"])
@pytest.mark.parametrize("name", [b"caf\xe9.jsonl", b"d\xfcnn/a.jsonl"])
def test_a_name_that_is_not_utf_8_is_refused_by_name(tmp_path, path, name):
    place = os.path.join(os.fsencode(tmp_path), name)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "w") as file:
        file.write("x")
    with pytest.raises(InputError, match=r"(caf\\xe9|d\\xfcnn).*: the name is not UTF-8.*rename it") as refused:
        list_paths(str(tmp_path / path))
    str(refused.value).encode()


def test_a_list_in_quotes_and_brackets_in_names(tmp_path):
    (tmp_path / "in [v1]").mkdir()
    (tmp_path / "in [v1]/a.jsonl").write_text("x")
    with pytest.raises(InputError, match=r"a list stands without quotes around it: path: \[/data/in\]"):
        list_paths('["/data/in"]')
    for pattern in ("/data/{a,b}.jsonl", "/data/{a,b}/*.jsonl"):
        with pytest.raises(InputError, match=r"\{a,b\} is not expanded here: write a list of paths"):
            list_paths(pattern)
    for pattern in ("in [v1]", "in [v1]/*.jsonl", "in [v1]/*", "in [[]v1]/*"):
        assert list_paths(f"{tmp_path}/{pattern}") == [f"{tmp_path}/in [v1]/a.jsonl"]
