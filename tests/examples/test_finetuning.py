"""The examples of masked pre-training and fine-tuning, each run shortly on shards of a real run."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

import winnow
from tests.support.configs import run_config, source_of
from tests.support.processes import command
from winnow.tokens.rank_files import parse_ranks
from winnow.tokens.training import tokenizer_json, train_ranks

torch = pytest.importorskip("torch", reason="torch is not installed (extra `gpu`)")
pytest.importorskip("transformers", reason="transformers is not installed (extra `encoder`)")
pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
GOOD, BAD = "good fine great lovely warm bright".split(), "bad poor awful dull cold grim".split()
OTHERS = "the film was a story of people in town who walk and talk about rain".split()


def example(name: str, *arguments: object, fails: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == (2 if fails else 0), done.stderr
    return done.stderr if fails else done.stdout


def review(draws: random.Random, positive: bool) -> str:
    return " ".join(draws.choices(OTHERS + (GOOD if positive else BAD) * 2, k=30))


@pytest.fixture(scope="module")
def reviews(tmp_path_factory) -> Path:
    """Labelled documents, told apart by their words, in the ids of a small vocab.txt."""
    folder = tmp_path_factory.mktemp("reviews")
    draws = random.Random(1)
    rows = [{"text": review(draws, n % 2 == 0), "opinion": ("positive", "negative")[n % 2]} for n in range(640)]
    (folder / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({*GOOD, *BAD, *OTHERS})]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    config = run_config(
        folder / "run",
        source_of(folder / "reviews.jsonl", label="opinion"),
        tokenise={"encoding": str(folder / "vocab.txt")},
        shards={"row": "document", "sequence_tokens": 40, "splits": {"val": 0.1, "test": 0.2}},
    )
    subprocess.run(command(config, folder / "c.yaml"), check=True, stdout=subprocess.DEVNULL)
    return folder


def test_a_pretrained_bert_becomes_a_classifier(reviews, tmp_path):
    told = example("pretrain_bert.py", reviews / "run", tmp_path / "bert", "--steps", 60, "--report", 20, "--batch", 16)
    losses = [float(found) for found in re.findall(r"^ +\d+ +[\d.]+ +([\d.]+) ", told, re.MULTILINE)]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    assert sorted(file.name for file in (tmp_path / "bert").iterdir()) == ["config.json", "model.safetensors"]

    told = example("finetune_classifier.py", reviews / "run", tmp_path / "bert", "--epochs", 2)
    assert float(re.search(r"accuracy +([\d.]+)", told).group(1)) > 0.95
    rows = re.search(r"\[\[ *(\d+) +(\d+)\]\n \[ *(\d+) +(\d+)\]\]", told).groups()
    assert sum(map(int, rows)) == 128  # every document of `test`, once
    assert "negative" in told
    assert "positive" in told

    wrong = example("finetune_classifier.py", reviews / "run", reviews, fails=True)
    assert "it holds no config.json" in wrong


def test_a_label_that_never_occurs_in_training_is_told(reviews, tmp_path):
    """By the summary and by the classifier, which is judged on it all the same."""
    rows = [json.loads(line) for line in (reviews / "reviews.jsonl").read_text().splitlines()[:160]]
    rows[0]["opinion"] = "unsure"  # of one document six tenths are nearer to one than to none
    (tmp_path / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = run_config(
        tmp_path / "run",
        source_of(tmp_path / "reviews.jsonl", label="opinion"),
        tokenise={"encoding": str(reviews / "vocab.txt")},
        shards={"row": "document", "sequence_tokens": 40, "splits": {"val": 0.1, "test": 0.6}},
    )
    run = winnow.run(config)
    splits = run.manifest["shards"]["splits"]
    assert splits["train"]["labels"][2] == 0
    assert "WARNING: split train has no document with label unsure" in run.summary()
    told = example("finetune_classifier.py", tmp_path / "run", "--new", "--epochs", 1)
    assert "WARNING: no training document has the class unsure" in told
    assert re.search(r"unsure +0.000 +0.000 +0.000 +1\n", told)


def chats(draws: random.Random) -> str:
    lines = []
    for _ in range(400):
        word = draws.choice(GOOD + BAD)
        question = f"is {word} good or bad in {' '.join(draws.choices(OTHERS, k=6))} ?"
        answer = f"it is {'good' if word in GOOD else 'bad'} {' '.join([word] * 3)}"
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        lines.append(json.dumps({"messages": messages}) + "\n")
    return "".join(lines)


def test_lora_learns_what_the_assistant_wrote(shared, tmp_path):
    pytest.importorskip("peft", reason="peft is not installed (extra `dev`)")
    (tmp_path / "chats.jsonl").write_text(chats(random.Random(2)))
    config = run_config(
        tmp_path / "run",
        source_of(tmp_path / "chats.jsonl", messages="messages"),
        dedup={"guard": "off"},
        tokenise={"encoding": str(shared / "vocab" / "gpt2-tokenizer.json")},
        shards={"row": "best_fit", "sequence_tokens": 64, "splits": {"val": 0.2}},
    )
    subprocess.run(command(config, tmp_path / "c.yaml"), check=True, stdout=subprocess.DEVNULL)

    def losses(told: str) -> tuple[float, float]:
        before, after = re.findall(r"^(?:before|after): +loss ([\d.]+)", told, re.MULTILINE)
        return float(before), float(after)

    told = example("finetune_chat.py", tmp_path / "run", "--new", tmp_path / "llama", "--steps", 12, "--batch", 4)
    _, base = losses(told)
    weights = (tmp_path / "llama" / "model.safetensors").read_bytes()
    told = example(
        "finetune_chat.py", tmp_path / "run", tmp_path / "llama", "--steps", 12, "--batch", 4,
        "--adapter", tmp_path / "adapter",
    )  # fmt: skip
    before, after = losses(told)
    assert before == pytest.approx(base, abs=1e-3)
    assert after < before
    assert (tmp_path / "llama" / "model.safetensors").read_bytes() == weights
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size < len(weights) / 4


def small_vocabulary(folder: Path, text: str) -> str:
    """A tokenizer.json of 300 tokens."""
    parsed = tokenizer_json(parse_ranks(train_ranks([text], 300, "o200k"), ""), "o200k")
    (folder / "tokenizer.json").write_bytes(parsed)
    return str(folder / "tokenizer.json")


def preferences(draws: random.Random) -> str:
    lines = []
    for _ in range(300):
        word = draws.choice(GOOD + BAD)
        right = "good" if word in GOOD else "bad"
        prompt = f"is {word} good or bad in {' '.join(draws.choices(OTHERS, k=6))} ?"
        pair = {"prompt": prompt, "chosen": f"it is {right} {word}", "rejected": f"no idea what {word} is"}
        lines.append(json.dumps(pair) + "\n")
    return "".join(lines)


def test_dpo_makes_the_chosen_answers_likelier(tmp_path):
    pytest.importorskip("trl", reason="trl is not installed (extra `dev`)")
    text = preferences(random.Random(2))
    (tmp_path / "pairs.jsonl").write_text(text)
    config = run_config(
        tmp_path / "run",
        source_of(tmp_path / "pairs.jsonl", prompt="prompt", chosen="chosen", rejected="rejected"),
        dedup={"guard": "off"},
        tokenise={"encoding": small_vocabulary(tmp_path, text)},
        shards={"row": "preference", "sequence_tokens": 80, "splits": {"val": 0.2}},
    )
    subprocess.run(command(config, tmp_path / "c.yaml"), check=True, stdout=subprocess.DEVNULL)
    few = ("--steps", 30, "--batch", 4, "--learning-rate", 1e-3, "--out", tmp_path / "dpo")
    told = example("finetune_dpo.py", tmp_path / "run", "--new", tmp_path / "llama", "--teach", 30, *few)
    found = re.findall(r"over rejected ([\d.-]+) nats, reward margin ([\d.-]+), accuracy ([\d.]+)", told)
    (likelier, margin, _), (likelier_now, margin_now, accuracy) = [tuple(map(float, row)) for row in found]
    assert margin == 0
    assert margin_now > 0.1
    assert likelier_now > likelier + 1
    assert accuracy > 0.9
    assert (tmp_path / "dpo" / "model.safetensors").is_file()

    told = example("finetune_dpo.py", tmp_path / "run", tmp_path / "llama", "--rank", 4, *few)
    assert (tmp_path / "dpo" / "adapter_model.safetensors").is_file()
    wrong = example("finetune_dpo.py", tmp_path / "run", tmp_path, fails=True)
    assert "it holds no config.json" in wrong


def test_a_share_of_tokens_is_masked_and_special_ones_never(monkeypatch):
    """80 % [MASK], 10 % another, 10 % as it was; the same for the same seed."""
    monkeypatch.syspath_prepend(EXAMPLES)
    masked = pytest.importorskip("pretrain_bert").masked
    ids = torch.randint(5, 1000, (64, 500), generator=torch.Generator().manual_seed(1))
    ids[:, 0], ids[:, -1] = 2, 3
    special = torch.tensor([0, 1, 2, 3, 4])
    seen, wanted = masked(ids, special, 1000, 4, torch.Generator().manual_seed(7))
    chosen = wanted != -100
    assert not chosen[:, 0].any()
    assert not chosen[:, -1].any()
    assert (wanted[chosen] == ids[chosen]).all()
    assert (seen[~chosen] == ids[~chosen]).all()
    assert float(chosen.float().mean()) == pytest.approx(0.15, abs=0.01)
    share = [float(part.float().mean()) for part in (seen[chosen] == 4, seen[chosen] == ids[chosen])]
    assert share == pytest.approx([0.8, 0.1], abs=0.02)
    assert (masked(ids, special, 1000, 4, torch.Generator().manual_seed(7))[0] == seen).all()
