"""Shards in several formats, from the run's point of view: files, manifest, verify, resume, and the commands."""

import json
import shutil
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from jobs.shards import shown_text
from tests.support.commands import winnow
from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from winnow.audit.verify.verify import check_shards
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.finished.convert import convert
from winnow.finished.shards import read_stored, stored_shards
from winnow.flow.records import RunRecords
from winnow.runs.run import load_run_vocabulary, run
from winnow.runs.state import load_run
from winnow.shards.formats.formats import FORMATS
from winnow.shards.formats.raw import NAMES
from winnow.stages.shards.shard_set import described_formats, files_of

SHARDS = {"sequence_tokens": 63, "shard_tokens": 4000, "splits": {"val": 0.1}}


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "data"
    write_sample(folder, 40)
    return folder


def finish(sample: Path, folder: Path, **shards) -> RunRecords:
    context = run(parse_config(sample_config(sample, folder, shards=SHARDS | shards)))
    assert context.run.of("shards")
    return load_run(str(folder))


@pytest.fixture(scope="module")
def finished(sample, tmp_path_factory) -> RunRecords:
    return finish(sample, tmp_path_factory.mktemp("formats") / "run", formats=list(FORMATS))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def shard_folder(finished: RunRecords) -> Path:
    return finished.store.path(finished.shards)


def test_the_manifest_names_every_file_of_every_format(finished):
    found = {path for path in contents(shard_folder(finished)) if not path.endswith((*NAMES, "manifest.json"))}
    formats = described_formats(finished.manifest["shards"])
    assert list(formats) == ["parquet", "litdata", "mds", "raw"]
    named = [file["path"] for splits in formats.values() for split in splits.values() for file in files_of(split)]
    assert sorted(named) == sorted(found)
    assert check_shards(finished) == []
    sizes = {kind: [s["rows"] for s in splits["train"]["shards"]] for kind, splits in formats.items()}
    assert len(sizes["parquet"]) > 2
    assert all(rows == sizes["parquet"] for rows in sizes.values())


def test_the_parts_of_a_units_time_are_no_more_than_all_of_it(finished):
    records = [record for stage in finished.records.values() for record in stage]
    assert {name for record in records for name in record.metrics} >= {"seconds.read", "seconds.write_mds"}
    for record in records:
        parts = [seconds for name, seconds in record.metrics.items() if name.startswith("seconds.")]
        assert sum(parts) <= record.metrics["seconds"], record.stage


def test_splits_that_change_names_leave_the_published_set_alone(sample, tmp_path):
    """Of two splits of equal share the names may be exchanged: what is stored of them by number stays the same."""
    sets = {}
    for names in (("a", "b"), ("b", "a"), ("a", "b")):
        found = finish(sample, tmp_path / "run", formats=["mds", "litdata"], splits=dict.fromkeys(names, 0.2))
        assert check_shards(found) == []
        sets.setdefault(names, contents(shard_folder(found)))
        assert sets[names] == contents(shard_folder(found))
    assert len({str(files) for files in sets.values()}) == 2


def test_shard_tokens_is_a_limit_and_shards_are_even(finished):
    rows = [shard.entry["rows"] for shard in stored_shards(finished, "parquet", "train")]
    assert max(rows) * 64 <= 4000 + 64
    assert max(rows) - min(rows) <= 1


def test_every_format_holds_the_same_rows(finished):
    expected = [read_stored(finished, "parquet", shard) for shard in stored_shards(finished, "parquet")]
    for kind in ("raw", "mds", "litdata"):
        for shard, reference in zip(stored_shards(finished, kind), expected, strict=True):
            found = read_stored(finished, kind, shard)
            for a, b in zip(found[:3], reference[:3], strict=True):
                assert np.array_equal(a, b), (kind, shard.path)
            few = read_stored(finished, kind, shard, 3)
            assert np.array_equal(few.rows, reference.rows[:3])
            assert np.array_equal(few.pieces, reference.pieces[: reference.offsets[3]])


def test_names_of_the_payload_are_links(finished):
    payload = next(shard_folder(finished).glob("raw/train/*.bin"))
    for suffix in NAMES:
        assert payload.with_suffix(suffix).samefile(payload)


DAMAGE = [
    "*.parquet",
    "raw/val/*.bin",
    "raw/train/*.idx",
    "raw/train/*.csv.gz",
    "mds/train/*.mds",
    "mds/val/index.json",
]


@pytest.mark.parametrize("pattern", [*DAMAGE, "raw/train/*.ds", "raw/train/*.npy", "litdata/train/*.bin"])
def test_verify_names_the_damaged_file_and_the_damage(finished, tmp_path, pattern):
    copy = tmp_path / "run"
    shutil.copytree(finished.store.root, copy)
    again = load_run(str(copy))
    assert check_shards(again) == []
    victim = sorted(shard_folder(again).glob(pattern))[-1]
    whole = victim.read_bytes()

    victim.write_bytes(whole[:-1])
    (fault,) = check_shards(again)
    assert victim.name in fault and f"cut; it has {len(whole) - 1:,} bytes, the manifest says {len(whole):,}" in fault

    middle = len(whole) // 2
    victim.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    (fault,) = check_shards(again)
    assert victim.name in fault and "altered; sha256 is" in fault

    victim.unlink()
    faults = check_shards(again)
    if pattern.endswith((".ds", ".npy")):
        assert faults == []  # other names of the payload are a convenience
    else:
        assert len(faults) == 1 and victim.name in faults[0] and "missing" in faults[0]


def test_unit_sizes_and_format_order_change_no_byte(finished, sample, tmp_path):
    config = sample_config(sample, tmp_path / "run", shards=SHARDS | {"formats": ["mds", "litdata", "raw", "parquet"]})
    config["compute"] |= {"unit_mb": 1, "partition_mb": 1}
    run(parse_config(config))
    again = load_run(str(tmp_path / "run"))
    expected, found = contents(shard_folder(finished)), contents(shard_folder(again))
    assert found.pop("manifest.json") != expected.pop("manifest.json")  # it holds the config, with its order of formats
    assert found == expected


def test_what_is_lost_is_written_again_with_the_same_bytes(finished, sample, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(finished.store.root, copy)
    before = contents(shard_folder(finished))
    records = sorted(copy.glob("work/shards/*/*.json"))
    for record in records[::2]:
        record.unlink()
    folder = copy / finished.shards
    for pattern in ("*.parquet", "raw/train/*.idx", "mds/train/index.json", "litdata/val/*.bin"):
        next(folder.glob(pattern)).unlink()
    context = run(parse_config(sample_config(sample, copy, shards=SHARDS | {"formats": list(FORMATS)})))
    computed = {s.name: s.units - s.reused for s in context.engine.summaries if s.units > s.reused}
    assert set(computed) == {"shards", "shard_index"}
    assert contents(folder) == before


@pytest.fixture(scope="module")
def one_by_one(sample, tmp_path_factory) -> dict[str, RunRecords]:
    """A run for each format alone; they share all work but the shards."""
    folder = tmp_path_factory.mktemp("alone")
    made = {}
    for name in FORMATS:
        finish(sample, folder / "run", formats=[name])
        shutil.copytree(folder / "run", folder / name)
        made[name] = load_run(str(folder / name))
    return made


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_convert_gives_what_the_run_would_have_written(one_by_one, tmp_path, source, target):
    out = Path(convert(one_by_one[source], target, str(tmp_path / "out")))
    expected = contents(shard_folder(one_by_one[target]))
    assert contents(out) == expected  # the manifest, too


def test_convert_takes_columns_along_and_refuses_what_cannot_hold_them(sample, tmp_path):
    columns = {"columns": ["position_ids", "docs"], "row": "best_fit"}
    run_folder = tmp_path / "run"
    expected = finish(sample, run_folder, formats=["mds"], **columns | {"columns": ["position_ids"]})
    wanted = contents(shard_folder(expected))
    made = finish(sample, run_folder, formats=["parquet"], **columns)
    assert contents(Path(convert(made, "mds", str(tmp_path / "mds")))) == wanted
    with pytest.raises(ConfigError, match="position_ids"):
        convert(made, "raw", str(tmp_path / "raw"))
    with pytest.raises(ConfigError, match="do not say where documents begin"):
        finish(sample, run_folder, formats=["mds"], **columns | {"columns": ["position_ids"]})
        convert(load_run(str(run_folder)), "parquet", str(tmp_path / "back"))


@pytest.mark.parametrize(("row", "columns"), [("best_fit", ["loss_mask"]), ("window", [])])
def test_raw_rows_of_other_kinds_come_back(sample, tmp_path, row, columns):
    expected = finish(sample, tmp_path / "run", row=row, formats=["parquet"], columns=columns)
    wanted = contents(shard_folder(expected))
    made = finish(sample, tmp_path / "run", row=row, formats=["raw"], columns=columns)
    assert check_shards(made) == []
    assert contents(Path(convert(made, "parquet", str(tmp_path / "back")))) == wanted


def test_convert_refuses_a_damaged_shard_and_a_finished_folder(finished, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(finished.store.root, copy)
    code, output = winnow("shards", "convert", str(copy), "--format", "mds")
    assert code == 0 and f"{finished.shards}-mds" in output
    again = load_run(str(copy))
    assert check_shards(again) == []
    (copy / f"{finished.shards}-mds" / "mds" / "val" / "index.json").write_text("{}")
    assert ["index.json: cut" in fault for fault in check_shards(again)] == [True]
    (copy / f"{finished.shards}-mds" / "manifest.json").write_text("{")
    assert ["manifest.json: not readable" in fault for fault in check_shards(again)] == [True]
    code, output = winnow("shards", "convert", str(copy), "--format", "mds")
    assert code == 2 and "--out" in output
    code, output = winnow("shards", "convert", str(copy), "--format", "tar")
    assert code == 2 and "parquet, raw, mds, litdata" in output
    victim = sorted((copy / finished.shards).glob("train-*.parquet"))[1]
    victim.write_bytes(victim.read_bytes()[:-1])
    code, output = winnow("shards", "convert", str(copy), "--format", "mds", "--out", str(tmp_path / "out"))
    assert code == 1 and victim.name in output and "cut" in output
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("damage", ["cut", "emptied", "a list", "no shards", "no hash", "gone"])
def test_a_damaged_manifest_is_named_with_what_to_do(finished, tmp_path, damage):
    copy = tmp_path / "run"
    shutil.copytree(finished.store.root, copy)
    path = copy / finished.shards / "manifest.json"
    whole = orjson.loads(path.read_bytes())
    del whole["shards"]["splits"]["train"]["shards"][0]["sha256"]
    if damage == "gone":
        path.unlink()
    else:
        bare = {key: value for key, value in whole.items() if key != "shards"}
        others = {"emptied": b"{}", "a list": b"[]", "no shards": orjson.dumps(bare), "no hash": orjson.dumps(whole)}
        path.write_bytes(path.read_bytes()[:-50] if damage == "cut" else others[damage])
    told = "missing" if damage == "gone" else "damaged"
    commands = [("verify",), ("shards", "stats"), ("shards", "head"), ("status",), ("status", "--json")]
    for command in [*commands, ("why", "web/1")]:
        code, output = winnow(*command, str(copy))
        assert code == 1, (command, output)
        assert f"manifest.json: {told}" in output and "`winnow run` again" in output, (command, output)
        assert "a fault in winnow" not in output and "no shard set yet" not in output
        assert command != ("verify",) or "FAULT" in output
    if damage in ("cut", "gone"):
        run(finished.config.model_copy(update={"run": str(copy)}))
        assert path.read_bytes() == (shard_folder(finished) / "manifest.json").read_bytes()
        assert winnow("verify", str(copy))[0] == 0


def test_altered_piece_lengths_are_told_with_the_file(sample, tmp_path):
    made = finish(sample, tmp_path / "run", compression="none")
    victim = sorted(shard_folder(made).glob("train-*.parquet"))[1]
    group = pq.read_metadata(victim).row_group(0)
    chunk = next(c for c in map(group.column, range(group.num_columns)) if c.path_in_schema.startswith("doc_lens"))
    content = bytearray(victim.read_bytes())
    end = chunk.data_page_offset + chunk.total_compressed_size
    content[end - 2 : end] = b"\xff\xff"
    victim.write_bytes(content)
    for command in ("stats", "head"):
        code, output = winnow("shards", command, made.store.root, *(["--rows", "100000"] if command == "head" else []))
        assert code == 1 and victim.name in output and "`winnow verify`" in output, output
        assert "document pieces of row" in output and "a fault in winnow" not in output


@pytest.mark.parametrize("row", ["best_fit", "window"])
@pytest.mark.parametrize("kind", ["mds", "litdata"])
def test_rows_without_borders_can_be_looked_at(sample, tmp_path, row, kind):
    expected = finish(sample, tmp_path / "run", row=row, formats=["parquet"])
    wanted = json.loads(winnow("shards", "stats", expected.store.root, "--json")[1])
    first = read_stored(expected, "parquet", next(stored_shards(expected, "parquet", "train")), 1)
    made = finish(sample, tmp_path / "run", row=row, formats=[kind])
    code, output = winnow("shards", "stats", made.store.root, "--json")
    assert code == 0, output
    found = json.loads(output)
    assert found["sources"] == wanted["sources"]
    for name, split in found["splits"].items():
        keys = ("documents", "tokens", "rows", "fill")
        assert [split[key] for key in keys] == [wanted["splits"][name][key] for key in keys]
        assert split["pieces"] is None
    code, output = winnow("shards", "stats", made.store.root)
    assert code == 0 and f"{kind} files do not store where documents begin" in output
    assert "tokens of a document piece" not in output
    code, output = winnow("shards", "head", made.store.root, "--rows", "1", "--characters", "100000")
    text = shown_text(first.rows[0], load_run_vocabulary(made.config), 100_000)
    assert code == 0 and f"{kind} files do not store where documents begin" in output and text in output


def test_head_shows_pieces_as_text(finished):
    run_folder = finished.store.root
    code, output = winnow("shards", "head", run_folder, "--rows", "2")
    assert code == 0
    assert output.count("row 0 of train") == 1 and output.count("\nrow 1 of train") == 1
    shard = next(stored_shards(finished, "parquet", "train"))
    packed = read_stored(finished, "parquet", shard, 2)
    assert output.count("┌ piece") == len(packed.pieces)
    assert f"{packed.pieces[0]:,} tokens" in output
    splits = finished.manifest["shards"]["splits"]
    padded, missing = next((name, -s["tokens"] % 64) for name, s in splits.items() if s["tokens"] % 64)
    code, output = winnow("shards", "head", run_folder, "--split", padded, "--rows", "100000", "--characters", "9")
    assert code == 0 and output.count("padding:") == 1 and f"padding: {missing:,} tokens" in output
    assert output.count(f" of {padded}: ") == splits[padded]["rows"]
    code, output = winnow("shards", "head", run_folder, "--split", "dev")
    assert code == 2 and "train, val" in output


def test_head_escapes_what_a_terminal_would_obey():
    class Hostile:
        def decode(self, ids):
            return b"a\x1b]0;title\x07b\nc"

    text = shown_text(np.array([1]), Hostile(), 50)
    assert "\x1b" not in text and "\x07" not in text and "\n" not in text and "\\x1b" in text


def test_stats_add_up(finished):
    code, output = winnow("shards", "stats", finished.store.root, "--json")
    assert code == 0
    found = json.loads(output)
    train = found["splits"]["train"]
    packed = [read_stored(finished, "parquet", shard) for shard in stored_shards(finished, "parquet", "train")]
    lengths = np.concatenate([rows.pieces for rows in packed])
    assert train["pieces"] == len(lengths)
    assert train["tokens"] == lengths.sum()
    assert train["fill"] == pytest.approx(lengths.sum() / (train["rows"] * 64), abs=1e-6)
    assert train["piece_tokens"]["50%"] == np.quantile(lengths, 0.5, method="inverted_cdf")
    assert train["piece_tokens"]["100%"] == lengths.max() and train["piece_tokens"]["0%"] == lengths.min()
    documents = sum(split["documents"] for split in found["splits"].values())
    assert sum(source["documents"] for source in found["sources"].values()) == documents
    whole = sum(split["tokens"] for split in found["splits"].values())
    assert sum(source["tokens"] for source in found["sources"].values()) == whole
    size = {name: path.stat().st_size for name, path in files_on_disk(finished).items()}
    assert {file["path"]: file["bytes"] for file in found["files"]} == size
    code, output = winnow("shards", "stats", finished.store.root)
    assert code == 0
    for part in ("train", "litdata", "books", "pieces"):
        assert part in output, part


def files_on_disk(finished: RunRecords) -> dict[str, Path]:
    folder = shard_folder(finished)
    paths = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    return {name: p for name, p in paths.items() if not name.endswith((*NAMES, "manifest.json"))}


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ({"formats": ["raw", "parquet"], "compression": "zstd"}, "raw shards cannot be compressed"),
        ({"formats": ["litdata"], "compression": "zstd"}, "litdata shards cannot be compressed"),
        ({"formats": ["raw"], "columns": ["position_ids"]}, "raw shards have no place for position_ids"),
        ({"formats": ["litdata"], "columns": ["loss_mask"]}, "litdata shards have no place for loss_mask"),
        ({"formats": ["litdata"], "row": "document"}, "no place for attention_mask .*row: document"),
        ({"formats": ["mds"], "columns": ["docs"]}, "only parquet shards hold"),
        ({"formats": ["mds", "mds"]}, "name each one once"),
        ({"formats": []}, "at least 1"),
        ({"formats": ["tar"]}, "'tar' is no known shard format; known here: parquet, raw, mds, litdata"),
        ({"shard_mb": 100, "shard_tokens": 1000}, "one of the two"),
        ({"shard_tokens": 0}, "at least 1"),
    ],
)
def test_impossible_formats_are_refused(sample, tmp_path, shards, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(sample_config(sample, tmp_path / "run", shards=shards))


@pytest.mark.parametrize("shards", [{"shard_mb": 5000}, {"shard_tokens": 2_000_000_000}])
def test_shards_too_large_for_a_format_are_refused_before_any_work(sample, tmp_path, shards):
    config = parse_config(sample_config(sample, tmp_path / "run", shards={"formats": ["parquet", "mds"], **shards}))
    with pytest.raises(ConfigError, match="mds cannot hold a shard of .* 4 GiB"):
        run(config)
    assert not (tmp_path / "run" / "work").exists()


def test_ids_beyond_the_vocabulary_fail_the_shard(finished, sample, tmp_path):
    from winnow.engine.stage import Workspace
    from winnow.errors import FormatError
    from winnow.shards.formats.shard_format import ShardId
    from winnow.stages.shards.shard_files import write_rows

    shard = next(stored_shards(finished, "parquet"))
    packed = read_stored(finished, "parquet", shard)
    settings_of = {"vocabulary_size": int(packed.rows.max()), "formats": ["raw"], "compression": "none"}
    with pytest.raises(FormatError, match="the vocabulary ends at"):
        write_rows(Workspace(finished.store, "work", "x", settings_of), ShardId("x", "train", 0, 1), packed)
    assert not finished.store.exists("x")


def test_a_manifest_stays_readable_json(finished):
    manifest = orjson.loads((shard_folder(finished) / "manifest.json").read_bytes())
    assert manifest["shards"]["format"] == "parquet"
    assert set(manifest["shards"]["formats"]) == {"raw", "mds", "litdata"}
