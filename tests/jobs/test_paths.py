"""`~` and variables of the shell, in every path of a config and of the command line."""

import json
import os
import types
import typing

import pytest
import typer

from jobs.__main__ import app
from jobs.paths import settled
from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from winnow.config.config import Config, parse_config
from winnow.config.load import load_config
from winnow.errors import ConfigError
from winnow.section import Section, section_of
from winnow.shards.dataset.open_folder import open_folder
from winnow.storage.address import settled_path
from winnow.storage.config import PathSetting

NO_PATHS = {
    "endpoint", "region", "name", "text", "id", "licence", "separator", "messages", "prompt", "response",
    "pair",
    "label", "format", "first_token", "pattern", "end_of_text", "pinned", "signal", "by", "html", "tools",
    "field", "template_date", "sources.encoding", "sources.extract", "select.importance.target.encoding",
    "select.quality.positive.encoding", "select.quality.negative.encoding", "question", "answer", "http",
    "namespace", "job", "chosen", "rejected", "augmented_from", "key", "key_id", "sse_kms_key_id",
}  # fmt: skip
"""Settings of type text that no path can stand in."""
NO_PATH_PARAMETERS = {
    "overrides", "name", "text", "config", "node", "address", "env", "submission_id", "split", "source", "to",
    "executor", "rule", "outcome", "language", "settings", "log_format", "pattern", "formats", "columns",
    "documents", "recipe", "url_prefix", "match", "reason", "note", "key",
}  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def text_settings(section: type[Section], prefix: str = ""):
    for name, field in section.model_fields.items():
        if (inner := section_of(field.annotation)) is not None:
            yield from text_settings(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def test_every_setting_that_may_be_a_path_is_settled():
    marker = typing.get_args(PathSetting)[1]
    unsettled = []
    for name, field in text_settings(Config):
        origin = typing.get_origin(field.annotation)
        options = typing.get_args(field.annotation) if origin in (typing.Union, types.UnionType) else ()
        plain = field.annotation is str or str in options
        if plain and marker not in field.metadata and not {name, name.rpartition(".")[2]} & NO_PATHS:
            unsettled.append(name)
    assert unsettled == []


def test_paths_of_a_config_are_those_of_the_home_folder(home):
    (home / "chat.jinja").write_text("{% for m in messages %}{% generation %}{{ m }}{% endgeneration %}{% endfor %}")
    config = parse_config(
        {
            "run": "~/run",
            "sources": [
                {"name": "a", "path": ["~/in/*.jsonl", "s3://bucket/~/x"]},
                {"name": "b", "path": "~/in", "messages": "m", "chat_template": "~/chat.jinja"},
            ],
            "dedup": {"index": "~/index"},
            "tokenise": {"encoding": "~/v/tokenizer.json"},
            "select": {
                "encoder": {"model": "~/model"},
                "clusters": {"centres": "~/c.npy"},
                "quality": {"positive": "~/good.txt", "negative": ["~/bad.txt"]},
            },
            "measure": {"operators": [{"use": "~/ops.py:f"}]},
            "filter": {"urls": {"domains": "~/lists/hosts.txt", "words": ["~/lists/words.txt"]}},
            "storage": {"scratch": "~/scratch"},
        }
    )
    told = json.dumps(config.model_dump(mode="json"))
    assert told.count("~") == 1  # the one of the address, which is a key of a store
    assert told.count(str(home)) == 14
    assert parse_config(config.model_dump(mode="json")) == config


def test_settings_of_operators_may_be_paths_of_the_home_folder(home):
    (home / "model.json").write_text("{}")
    config = home / "c.yaml"
    config.write_text(
        "run: r\nsources: [{name: a, path: x}]\nmeasure:\n  operators:\n"
        "    - {use: '~/ops.py:f', model: ~/model.json, other: ~/ and so on, words: ~}\n"
    )
    entry = load_config("~/c.yaml").measure.operators[0]
    assert entry.use == f"{home}/ops.py:f"
    assert entry.settings == {"model": f"{home}/model.json", "other": "~/ and so on", "words": None}


def test_a_run_index_and_questions_in_the_home_folder(home):
    (home / "in.jsonl").write_text('{"text": "Some words that stand in no other text of this small corpus."}\n')
    config = run_config("~/run", source_of("~/in.jsonl"), dedup={"index": "~/index"})
    (home / "c.yaml").write_text(json.dumps(config))
    code, told = winnow("run", "~/c.yaml")
    assert code == 0, told
    assert winnow("status", "~/run")[0] == 0
    assert winnow("index", "ls", "~/index")[0] == 0
    assert winnow("audit", "dedup", "~/run", "--json=~/a/dedup.json", "--html=~/a/dedup.html")[0] == 0
    assert sorted(path.name for path in (home / "a").iterdir()) == ["dedup.html", "dedup.json"]
    assert os.listdir() == []
    assert open_folder("~/run/shards").location == f"{home}/run/shards"


def test_every_path_of_the_command_line_is_settled():
    def commands(group: typer.Typer):
        yield from (command.callback for command in group.registered_commands)
        for inner in group.registered_groups:
            yield from commands(inner.typer_instance)

    unsettled = []
    for command in commands(app):
        for name, hint in typing.get_type_hints(command, include_extras=True).items():
            kind, *infos = typing.get_args(hint) if typing.get_origin(hint) is typing.Annotated else (None,)
            is_text = kind in (str, str | None, list[str] | None) and name not in NO_PATH_PARAMETERS
            if is_text and infos[0].callback is not settled:
                unsettled.append(f"{command.__name__} {name}")
    assert unsettled == []


@pytest.mark.parametrize("path", ["~nobody-of-this-name/run", "$HOME/run", "in/${DATA}/x"])
def test_what_cannot_be_settled_is_refused(home, path):
    with pytest.raises(ConfigError, match=r"run: .*write the path out"):
        parse_config({"run": path, "sources": [{"name": "a", "path": "x"}]})
    code, told = winnow("status", path)
    assert (code, "write the path out" in told.replace("\n", " ").replace("│ ", "")) == (2, True)
    with pytest.raises(ConfigError, match="write the path out"):
        load_config(path)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("“/tmp/x”", "write straight ones, or none: /tmp/x$"),
        ("file:///tmp/x", "write the plain path /tmp/x$"),
        ("/tmp/a\0b", "holds a NUL character"),
        ("$HOME/x", "variables are replaced by a shell only"),
    ],
)
def test_what_is_probably_meant_is_told(path, told):
    for config in (
        {"run": path, "sources": [{"name": "a", "path": "x"}]},
        {"run": "x", "sources": [{"name": "a", "path": path}]},
        {"run": "x", "sources": [{"name": "a", "path": ["y", path]}]},
    ):
        with pytest.raises(ConfigError, match=told):
            parse_config(config)


def test_files_that_are_there_keep_their_names(home, monkeypatch):
    for name in ("~some-copy", "$HOME"):
        os.mkdir(name)
        assert settled_path(f"{name}/x") == f"{name}/x"
    assert settled_path("./~/x") == "./~/x"
    assert settled_path("prices/$a-$b.txt") == "prices/$a-$b.txt"
    monkeypatch.setenv("HOME", "")
    with pytest.raises(ValueError, match="no home folder"):
        settled_path("~/x")


def test_a_job_of_a_cluster_has_no_home_folder_of_ours(home):
    (home / "c.yaml").write_text("run: ~/run\nsources: [{name: a, path: /x}]\n")
    code, told = winnow("submit", str(home / "c.yaml"), "--address=http://127.0.0.1:1")
    assert code == 2
    assert "every path must be absolute, without ~" in told
    assert "run: ~/run" in told
