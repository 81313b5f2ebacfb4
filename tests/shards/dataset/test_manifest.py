"""Manifests that are damaged, or written by somebody who wants other files read."""

import json
from collections.abc import Iterator

import numpy as np
import orjson
import pytest

from tests.support.shard_sets import numbered_rows, write_set
from winnow.errors import ShardError
from winnow.shards.dataset.picked_rows import PickedRows
from winnow.shards.dataset.stream import Source, positions_as_rows
from winnow.shards.manifest import parse_manifest
from winnow.storage.address import inside

ELSEWHERE = ("/etc/passwd", "../secret", "train/../../secret", "s3://bucket/secret", "..", "", "a\0b")


def read_all(folder, **options):
    source = Source(str(folder), **options).reader()
    return PickedRows(source, *positions_as_rows(source, np.arange(source.starts[-1]))).values()


def changed(value, place: tuple, new):
    """A copy of a JSON value with one place replaced, or removed where ``new`` is ``...``."""
    if not place:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    if len(place) == 1 and new is ...:
        del copied[place[0]]
    else:
        copied[place[0]] = changed(value[place[0]], place[1:], new)
    return copied


def places(value, place: tuple = ()) -> Iterator[tuple]:
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*place, key))


@pytest.mark.parametrize("path", ELSEWHERE)
@pytest.mark.parametrize(
    ("file_format", "place"),
    [
        ("raw", ("shards", "splits", "train", "shards", 0, "path")),
        ("raw", ("shards", "splits", "train", "shards", 0, "files", 0, "path")),
        ("parquet", ("shards", "splits", "train", "shards", 0, "path")),
    ],
)
def test_no_path_leaves_the_folder(tmp_path, file_format, place, path):
    folder = write_set(tmp_path / "set", {"train": [numbered_rows(4)]}, formats=(file_format,))
    (tmp_path / "secret").write_bytes(numbered_rows(4).tobytes())
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(changed(manifest, place, path)))
    with pytest.raises(ShardError, match=r"manifest\.json .*shards\.splits\.train\.shards\.0\..*path"):
        read_all(folder)
    whole = json.loads((folder / "manifest.json").read_text()) | whole_manifest()
    with pytest.raises(ValueError, match=r"shards\.splits\.train\.shards\.0\..*path"):
        parse_manifest(json.dumps(whole).encode())


def whole_manifest() -> dict:
    """What a run's manifest has besides."""
    books = {"records": 4, "outcomes": {"kept": 4}}
    return {"books": books, "sources": {}, "config": {}}


@pytest.mark.parametrize("file_format", ["parquet", "raw"])
def test_whatever_is_damaged_is_a_shard_error_that_names_the_field(tmp_path, file_format):
    rows = {"train": [numbered_rows(4), numbered_rows(3)], "val": [numbered_rows(2)]}
    folder = write_set(tmp_path, rows, formats=(file_format,), footers=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, shards in rows.items():
        manifest["shards"]["splits"][name]["rows"] = sum(map(len, shards))
    manifest["sources"] = {"web": {"licence": "MIT", "own_licences": False, "files": [[0, 3]]}}
    right = read_all(folder)
    damages = (..., None, -5, 1.5, "x", "", [], {}, True, 10**30, "../x", ["x"], {"x": 1}, float("nan"))
    for place in places(manifest):
        for damage in damages:
            if not place and damage is ...:
                continue
            told = json.dumps(changed(manifest, place, damage))
            (folder / "manifest.json").write_text(told)
            try:
                assert np.array_equal(read_all(folder), right), (place, damage)  # a field that reading does not need
            except ShardError as error:
                assert str(folder) in str(error), (place, damage)
            try:
                parse_manifest(told.encode())
            except ValueError as error:
                assert len(str(error)) < 300, (place, damage)


@pytest.mark.parametrize(
    ("place", "damage", "told"),
    [
        (
            ("rows",),
            -5,
            r"shards\.splits\.train\.shards\.0\.rows: -5 stands where a whole number of at least 0 belongs",
        ),
        (("rows",), "4", r"train\.shards\.0\.rows: '4' stands where"),
        (("rows",), True, r"train\.shards\.0\.rows: True stands where"),
        (("tokens",), 21, r"train\.shards\.0\.tokens: 21 do not fit 4 rows of 5"),
        (("sha256",), "zz", r"train\.shards\.0\.sha256: 'zz' stands where a sha256 of 64 hexadecimal digits belongs"),
        (("footer",), 7, r"train\.shards\.0\.footer: 7 stands where a section belongs"),
        (("bytes",), ..., r"train\.shards\.0: lacks 'bytes'"),
    ],
)
def test_the_field_is_named(tmp_path, place, damage, told):
    folder = write_set(tmp_path, {"train": [numbered_rows(4)]})
    manifest = json.loads((folder / "manifest.json").read_text())
    place = ("shards", "splits", "train", "shards", 0, *place)
    if place[-1] == "footer":
        manifest["shards"]["splits"]["train"]["shards"][0]["footer"] = {}
    (folder / "manifest.json").write_text(json.dumps(changed(manifest, place, damage)))
    with pytest.raises(ShardError, match=told):
        Source(str(folder)).reader()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000, b"null", b"[]", b'"x"'])
def test_what_is_no_manifest_at_all(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ShardError, match=r"manifest\.json"):
        Source(str(tmp_path)).reader()
    with pytest.raises(ValueError, match=r"."):
        parse_manifest(content)


def test_a_folder_or_a_file_in_its_place(tmp_path):
    (tmp_path / "manifest.json").mkdir()
    (tmp_path / "file").write_text("x")
    for location in (tmp_path, tmp_path / "file"):
        with pytest.raises(ShardError, match=r"manifest\.json"):
            Source(str(location)).reader()
    (tmp_path / "run").mkdir()
    for state in (b"{", b"[]", b"{}", b'{"shards": "../x"}', b'{"shards": 5}'):
        (tmp_path / "run" / "state.json").write_bytes(state)
        with pytest.raises(ShardError, match="does not exist; give the folder"):
            Source(str(tmp_path / "run")).reader()


def test_split_and_format_names_become_file_names(tmp_path):
    manifest = json.loads((write_set(tmp_path, {"train": [numbered_rows(4)]}) / "manifest.json").read_text())
    splits = manifest["shards"]["splits"]
    whole = manifest | whole_manifest()
    assert parse_manifest(orjson.dumps(with_counts(whole)))["format"]
    for place in ("splits", "formats"):
        harmful = changed(with_counts(whole), ("shards", place), {"../../out": splits})
        with pytest.raises(ValueError, match="is no name of a split or format"):
            parse_manifest(orjson.dumps(harmful))


def with_counts(manifest: dict) -> dict:
    counted = {"documents": 4, "tokens": 20, "rows": 4}
    splits = {name: split | counted for name, split in manifest["shards"]["splits"].items()}
    return changed(manifest, ("shards", "splits"), splits)


def test_paths_that_stay_inside():
    for path in ("a", "a/b", "./a", "a/..b", "a..", "...", "a b"):
        assert inside(path) == path
