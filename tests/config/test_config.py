import json

import pytest
import yaml

from winnow.config.config import parse_config
from winnow.config.load import load_config
from winnow.errors import ConfigError

MINIMAL = {"run": "runs/x", "sources": [{"name": "web", "path": "data/*.jsonl"}]}


def load(tmp_path, text: str, overrides=None):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return load_config(str(path), overrides)


def test_the_config_of_the_design_is_valid(tmp_path):
    config = load(
        tmp_path,
        """
run: s3://acme/runs/web-2026-11
sources:
  - {name: web,   path: "s3://acme/raw/web/**/*.jsonl.zst", text: text, id: url, licence: CC-BY-4.0}
  - {name: books, path: "s3://acme/raw/books/*.parquet", weight: 2.0}
measure: {normalise: {lowercase: false}}
filter:  {mode: filter, languages: [en, de, zh], gopher_quality: {min_words: 50}, fineweb: off}
dedup:   {threshold: 0.8, verify: signature, keep: [source_priority, highest_quality, longest, first]}
tokenise: {encoding: o200k_base}
select:  none
shards:  {row: concat, sequence_tokens: 4096, formats: [parquet], splits: {val: 0.005}, shard_mb: 256, seed: 7}
compute: {executor: ray, workers: auto, worker_memory_mb: 2048}
""",
    )
    assert config.filter.fineweb is None
    assert config.filter.gopher_quality.min_words == 50
    assert config.filter.languages == ("en", "de", "zh")
    assert config.sources[1].weight == 2.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filtr": {}}, "unknown setting 'filtr'; did you mean 'filter'?"),
        (
            {"filter": {"gopher_qualty": {}}},
            "filter.gopher_qualty: unknown setting 'gopher_qualty'; did you mean 'gopher_quality'?",
        ),
        (
            {"shards": {"shard_mb": "256"}},
            "shard_mb: expected a whole number of at least 1, not '256'; take the quotes away",
        ),
        ({"shards": {"splits": {"val": 1.5}}}, "share 1.5; it must lie between 0 and 1"),
        ({"shards": {"splits": {"a": 0.6, "b": 0.5}}}, "leave a share for train"),
        ({"dedup": {"minhash": {"bands": 64, "rows": 8}}}, r"64 x 8 = 512\) must not exceed num_perm"),
        (
            {"filter": {"languages": ["de", "english"]}},
            r"filter\.languages: .*'english', .*did you mean 'en' \(English\)\?",
        ),
        ({"filter": {"c4": {"languages": ["xq?"]}}}, r"filter\.c4\.languages: .*'xq\?', .*known: ace, af, "),
        (
            {"compute": {"unit_mb": 0}},
            r"1 mistake.*\n  compute.unit_mb: expected a whole number of at least 1, or auto, not 0$",
        ),
        (
            {"compute": {"gpus": True}},
            r"1 mistake.*\n  compute.gpus: expected a whole number of at least 0, or auto, not true$",
        ),
        (
            {"sources": [{"name": "web", "path": ["a", 3]}]},
            r"1 mistake.*\n  sources.0.path.1: expected text, or a list, each item text, not 3 there$",
        ),
        ({"filter": False}, r"filter: cannot be switched off; .* `filter: {mode: annotate}`$"),
        ({"filter": None}, r"filter: nothing stands below it; indent its settings"),
        ({"filter": {"c4": 3}}, r"filter.c4: expected settings, such as `c4: {.*: ...}`, or `off`, not 3$"),
        ({"shards": "off"}, r"shards: cannot be switched off; leave it out .*: row, "),
        ({"sources": ["x"]}, r"1 mistake.*\n  sources.0: expected settings .*\(name, path, .*, not 'x'$"),
        ({"sources": []}, "sources"),
        ({"shards": {"formats": []}}, "formats: must have at least 1 item"),
        (
            {"shards": {"formats": ["parqet"]}},
            r"1 mistake\(s\) in the config\n  shards.formats.0: 'parqet' is no known shard format; did you mean "
            r"'parquet'\? known here: parquet, raw, mds, litdata ",
        ),
        (
            {"sources": [MINIMAL["sources"][0] | {"format": "jsnol"}]},
            r"sources.0.format: 'jsnol' is no known input format; did you mean 'jsonl'\? known here: jsonl, parquet, ",
        ),
        ({"shards": {"compression": 7}}, r"shards.compression: expected 'none' or 'zstd', not 7$"),
        ({"sources": [MINIMAL["sources"][0] | {"formt": 1}]}, r"1 mistake\(s\) in the config\n  sources.0.formt"),
        ({"sources": [MINIMAL["sources"][0]] * 2}, "two sources are named 'web'"),
    ],
)
def test_mistakes_name_the_setting(changes, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(MINIMAL | changes)


def test_all_mistakes_are_listed_at_once():
    with pytest.raises(ConfigError) as error:
        parse_config(MINIMAL | {"shards": {"shard_mb": 0, "seed": -1}})
    assert "2 mistake(s)" in str(error.value)


def test_off_and_on():
    assert parse_config(MINIMAL | {"dedup": False}).dedup is None
    assert parse_config(MINIMAL | {"dedup": True}).dedup == parse_config(MINIMAL).dedup


def test_overrides(tmp_path):
    text = yaml.safe_dump(MINIMAL)
    config = load(tmp_path, text, ["shards.seed=9", "filter.c4=off", "sources.0.weight=0.5"])
    assert config.shards.seed == 9
    assert config.filter.c4 is None
    assert config.sources[0].weight == 0.5
    with pytest.raises(ConfigError, match=r"expected `section.setting=value`"):
        load(tmp_path, text, ["shards.seed"])
    with pytest.raises(ConfigError, match="unknown setting 'sead'; did you mean 'seed'"):
        load(tmp_path, text, ["shards.sead=9"])


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_config(str(tmp_path / "nowhere.yaml"))
    with pytest.raises(ConfigError, match="not readable as YAML"):
        load(tmp_path, "a: [")
    with pytest.raises(ConfigError, match="expected settings at the top level"):
        load(tmp_path, "- a")
    with pytest.raises(ConfigError, match=r"c\.yaml: is empty; .*`winnow init`"):
        load(tmp_path, "# nothing\n")


def test_a_setting_given_twice_is_refused(tmp_path):
    sources = "sources: [{name: web, path: data/*.jsonl}]\n"
    with pytest.raises(
        ConfigError, match=r"c\.yaml: 'run' is given in line 1 and again in line 3 of one section; keep"
    ):
        load(tmp_path, f"run: runs/x\n{sources}'run': runs/y\n")
    with pytest.raises(ConfigError, match="'seed' is given twice in line 3"):
        load(tmp_path, f"run: runs/x\n{sources}shards: {{seed: 1, seed: 1}}\n")
    with pytest.raises(ConfigError, match="--set .*'seed' is given twice in line 1"):
        load(tmp_path, f"run: runs/x\n{sources}", ["shards={seed: 1, seed: 2}"])


def test_merge_keys_may_repeat_a_setting(tmp_path):
    config = load(
        tmp_path,
        """
run: runs/x
sources:
  - &web {name: web, path: data/*.jsonl, weight: 0.5}
  - &books {<<: *web, name: books}
  - {<<: *books, name: news, weight: 0.25}
""",
    )
    assert [(source.name, source.weight) for source in config.sources] == [("web", 0.5), ("books", 0.5), ("news", 0.25)]


def test_a_file_where_the_run_folder_belongs_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    sources = "sources: [{name: web, path: data/*.jsonl}]"
    for run in ("file", "file/below/it"):
        with pytest.raises(
            ConfigError, match=rf"run: .*/{run}: .*/file is not a folder, and a run needs one; point `run`"
        ):
            load(tmp_path, f"run: {tmp_path}/{run}\n{sources}")
    assert load(tmp_path, f"run: {tmp_path}/new/folder\n{sources}").run.endswith("new/folder")


def test_the_schema_is_json():
    from winnow.config.config import Config

    schema = json.loads(json.dumps(Config.model_json_schema()))
    assert "sources" in schema["properties"]
