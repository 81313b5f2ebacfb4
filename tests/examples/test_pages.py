"""The pages on pre-training and fine-tuning: their configs are those of the examples, and they run as they stand."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

import winnow
from tests.examples.test_finetuning import BAD, GOOD, OTHERS, example, small_vocabulary

ROOT = Path(__file__).resolve().parents[2]
PAGES = [(ROOT / "docs" / f"{name}.md").read_text() for name in ("pretraining", "finetuning")]
SECTIONS = {
    name: text for page in PAGES for name, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", page, re.M | re.S)
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({*GOOD, *BAD, *OTHERS, *"abcdefghijklmnopqrstuvwxyz."})]


def blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", SECTIONS[section], re.M | re.S)


def test_the_configs_of_the_pages_are_those_of_the_examples():
    for section, text in SECTIONS.items():
        for name in re.findall(r"winnow run examples/(\w+)\.yaml", text):
            (config, *_) = blocks(section, "yaml")
            assert yaml.safe_load(config) == yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text()), name
    named = set(re.findall(r"(?<!tests/)examples/(\w+)\.py", "".join(PAGES)))
    assert named == {file.stem for file in (ROOT / "examples").glob("*.py")}


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.py")), ids=lambda file: file.name)
def test_examples_stay_short(file):
    assert len(file.read_text().splitlines()) < 250


def varied(value, number: int):
    """A record like one of the page's, with another text."""
    if isinstance(value, dict):
        return {key: varied(one, number) if key not in ("role", "opinion") else one for key, one in value.items()}
    if isinstance(value, list):
        return [varied(one, number) for one in value]
    draw = [OTHERS[(number * 7 + place * (number % 5 + 1)) % len(OTHERS)] for place in range(6)]
    return f"{value} {' '.join(draw)} {number}." if isinstance(value, str) else value


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bert-base-uncased-vocab.txt").write_text("\n".join(WORDS) + "\n")
    (tmp_path / "bert-base-cased-vocab.txt").write_text("\n".join(WORDS) + "\n")
    return tmp_path


def run_of(section: str, folder: Path, number: int = 0) -> winnow.Run:
    """A config of the page, over records like its own."""
    (config,) = blocks(section, "yaml")[number : number + 1]
    settings = yaml.safe_load(config)
    records = [json.loads(line) for block in blocks(section, "json") for line in block.splitlines()]
    lines = "".join(json.dumps(varied(records[n % len(records)], n)) + "\n" for n in range(120 if records else 0))
    (folder / settings["sources"][0]["path"]).write_text(lines)
    small_vocabulary(folder, lines)
    return winnow.run(settings | {"compute": {"executor": "inline"}, "dedup": {"threshold": 0.95}})


@pytest.mark.slow
@pytest.mark.parametrize("section", ["Conversations", "Preference pairs", "Classification"])
def test_a_task_runs_as_it_stands(section, here):
    for needed in ("torch", "transformers", "peft", "trl", "sklearn"):
        pytest.importorskip(needed)
    run = run_of(section, here)
    assert run.manifest["shards"]["splits"]["train"]["rows"] > 5
    (commands,) = blocks(section, "sh")
    for line in commands.splitlines():
        program, script, *arguments = shlex.split(line)
        if program == "winnow":
            continue
        few = [re.sub(r"^100$", "2", argument) for argument in arguments]
        if "--epochs" not in few:
            few += ["--batch", "4"]
        assert example(Path(script).name, *few)


@pytest.mark.slow
def test_pairs_with_a_rule_on_their_scores(here):
    """Three of four pairs stay: the operator of the page sees the fields that the source keeps."""
    program = next(block for block in blocks("Preference pairs", "python") if block.startswith("# margin.py"))
    (here / "margin.py").write_text(program)
    settings = yaml.safe_load(blocks("Preference pairs", "yaml")[1])
    (record,) = (json.loads(line) for line in blocks("Preference pairs", "json")[0].splitlines())
    prompt = {"role": "user", "content": record["prompt"]}
    lines = []
    for number in range(40):
        pair = {
            side: [prompt, {"role": "assistant", "content": f"{record[side]} {number}"}]
            for side in ("chosen", "rejected")
        }
        lines.append(json.dumps(pair | {"score_chosen": 8.0, "score_rejected": 7.9 if number % 4 == 0 else 5}) + "\n")
    (here / "preferences.jsonl").write_text("".join(lines))
    small_vocabulary(here, "".join(lines))
    more = {"run": "runs/scored", "tokenise": {"encoding": "tokenizer.json"}, "compute": {"executor": "inline"}}
    run = winnow.run(
        settings | more | {"shards": {"row": "preference", "sequence_tokens": 200, "splits": {}}, "dedup": "off"}
    )
    assert (run.outcomes["kept"], run.outcomes["filtered"]) == (30, 10)


@pytest.mark.slow
def test_the_windows_of_the_page(here):
    pytest.importorskip("torch")
    (here / "the-verdict.txt").write_text("I had always thought it rather a cheap story, and so it was. " * 5)
    settings = yaml.safe_load(blocks("Sliding windows", "yaml")[0])
    run = winnow.run(settings | {"compute": {"executor": "inline"}})
    names: dict = {}
    exec(blocks("Sliding windows", "python")[0], names)
    tokens = [*run.table("tokens").to_table().column("ids")[0].as_py(), run.manifest["vocabulary"]["end_of_text"]]
    book = [(tokens[i : i + 4], tokens[i + 1 : i + 5]) for i in range(0, len(tokens) - 4, 4)]
    found = [(one.tolist(), two.tolist()) for one, two in zip(names["inputs"], names["targets"], strict=True)]
    assert found == book[:8]
