"""Every example of the README is run, or, where it needs a cluster, taken by the parser that would get it."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import typer
import yaml

import winnow
from jobs.__main__ import app
from tests.support.archives import page, write_archive
from tests.support.commands import winnow as command
from tests.support.corpora import articles
from winnow.config.load import load_config

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SECTIONS = dict(re.findall(r"^##+ (.*?)\n(.*?)(?=^##+ |\Z)", README, re.MULTILINE | re.DOTALL))
FIRST = README[: README.index("\n## ")]
TASKS = ("A web crawl", "Fine-tuning data", "Night after night", "On a cluster", "Reading shards")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def write_lines(path: Path, records: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def inline(config: str, name: str) -> None:
    """The config as a file, for a machine of the tests."""
    Path(name).write_text(yaml.safe_dump(yaml.safe_load(config) | {"compute": {"executor": "inline"}}))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The first run of the README, and the folder that it was made in."""
    folder = tmp_path_factory.mktemp("readme")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        texts = articles(3, 300)
        write_lines(folder / "docs" / "a.jsonl", [{"id": str(n), "text": text} for n, text in enumerate(texts)])
        (config,) = blocks(FIRST, "yaml")
        assert len(config.strip().splitlines()) == 4
        inline(config, "first.yaml")
        names: dict = {}
        exec(blocks(SECTIONS["In Python"], "python")[0], names)
        yield folder, names


def test_the_first_screen_has_install_config_command_result_and_picture():
    beginning = "\n".join(FIRST.splitlines()[:36])
    for needed in (
        "pip install",
        "```yaml",
        "winnow run first.yaml",
        "runs/first/reports/report.html",
        "docs/report.png",
    ):
        assert needed in beginning
    assert all(len(line) <= 120 for line in README.splitlines())
    assert (ROOT / "docs" / "report.png").stat().st_size < 150_000


def test_the_first_run_and_its_python(first, monkeypatch):
    folder, names = first
    monkeypatch.chdir(folder)
    assert names["tokens"].shape == (2, 1024)
    assert names["story"].outcome in names["run"].outcomes
    assert names["page"].html.startswith("<!doctype html>")
    assert winnow.open("runs/first").summary() == names["run"].summary()
    assert Path("runs/first/reports/report.html").is_file()


def test_reading_shards(first, monkeypatch):
    folder, _ = first
    monkeypatch.chdir(folder)
    (code,) = blocks(SECTIONS["Reading shards"], "python")
    names: dict = {}
    exec(code, names)
    assert names["tokens"].shape == names["targets"].shape == (4, 1024)
    assert names["samples"] == 4 * len(names["data"]) > 4


def test_the_operator_and_the_rules(first, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,), (config,) = (blocks(SECTIONS["Your own code"], language) for language in ("python", "yaml"))
    (tmp_path / "my_ops.py").write_text(code)
    base = yaml.safe_load((first[0] / "first.yaml").read_text())
    base["sources"][0]["path"] = f"{first[0]}/docs/*.jsonl"
    Path("first.yaml").write_text(yaml.safe_dump(base | yaml.safe_load(config) | {"report": False}))
    run = winnow.run("first.yaml")
    assert "exclamation_share" in run.table("signals").schema.names
    assert "my_ops" not in sys.modules


def test_there_is_a_whole_example_for_each_task():
    for task in TASKS:
        assert blocks(SECTIONS[task], "python" if task == "Reading shards" else "yaml"), task


@pytest.mark.slow
def test_a_web_crawl(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crawl").mkdir()
    write_archive(tmp_path / "crawl" / "a.warc.gz", [page(n, 40) for n in range(20)])
    Path("blocked-hosts.txt").write_text("blocked.example\n")
    inline(blocks(SECTIONS["A web crawl"], "yaml")[0], "crawl.yaml")
    run = winnow.run("crawl.yaml")
    assert sum(run.outcomes.values()) == 20
    assert list(Path("runs/crawl").rglob("*.jsonl.zst"))


@pytest.mark.slow
def test_fine_tuning_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    talks = [
        [{"role": "user", "content": text[:200]}, {"role": "assistant", "content": text}] for text in articles(1, 40)
    ]
    write_lines(tmp_path / "chat" / "a.jsonl", [{"messages": talk} for talk in talks])
    write_lines(
        tmp_path / "qa.jsonl", [{"question": f"What is {n}?", "answer": f"{n} is a number."} for n in range(20)]
    )
    inline(blocks(SECTIONS["Fine-tuning data"], "yaml")[0], "chat.yaml")
    run = winnow.run("chat.yaml")
    assert "loss_mask" in run.manifest["shards"]["columns"]
    _, targets = next(iter(run.dataset("train", batch_size=1)))
    assert (targets == -100).any() and (targets >= 0).any()


@pytest.mark.slow
def test_night_after_night(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inline(blocks(SECTIONS["Night after night"], "yaml")[0], "nightly.yaml")
    (line,) = re.findall(r"^winnow run .*--new-only.*$", README, re.MULTILINE)
    for night in ("21", "22"):
        texts = [{"id": f"{night}-{n}", "text": text} for n, text in enumerate(articles(int(night), 60))]
        write_lines(tmp_path / "raw" / f"{night}.jsonl", texts)
        code, told = command(*shlex.split(line.replace("2026-11-21", f"2026-11-{night}"))[1:])
        assert code == 0, told
    (call,) = re.findall(r"`(winnow\.ShardDataset\(.*?\))`", SECTIONS["Night after night"])
    data = eval(call.replace("512", "2"), {"winnow": winnow})
    assert data.state_dict()["sets"] == 2
    assert next(iter(data))[0].shape == (2, 1024)


def test_commands_and_options_are_those_of_the_program(tmp_path, monkeypatch):
    """Each line that begins with `winnow` is taken by the parser: the command is there, and so are its options."""
    monkeypatch.chdir(tmp_path)
    Path("web.yaml").write_text(blocks(SECTIONS["On a cluster"], "yaml")[0])
    load_config("web.yaml")
    lines = re.findall(r"^winnow .*$", README, re.MULTILINE) + re.findall(r"`(winnow [a-z][^`]*)`", README)
    assert len(lines) > 12
    program = typer.main.get_command(app)
    for line in lines:
        name, *rest = shlex.split(line)[1:]
        known = program.commands[name]
        options = {option for parameter in known.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in rest if word.startswith("--")} <= options, line


def test_what_a_cluster_would_cost(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("web.yaml").write_text(blocks(SECTIONS["On a cluster"], "yaml")[0])
    (line,) = re.findall(r"^winnow plan .*--cluster.*$", README, re.MULTILINE)
    code, told = command(*shlex.split(line)[1:])
    assert code == 0, told
    assert "c7a.16xlarge" in told


def test_links_lead_somewhere():
    for path in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / path).exists(), path
