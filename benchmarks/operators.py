"""What operators cost in measure, on one core: nothing that an operator does itself, only being asked.

    python -m benchmarks.operators [CORPUS] [--mb 60] [--runs 5]
    python -m benchmarks.operators [CORPUS] [--mb 60] [--runs 3] --built-in [--model lid.176.ftz]

With ``--built-in``: Winnow's own operators by themselves on the same texts, each beside a yardstick of the same run.
``fasttext`` is asked for two models: one of two labels, 100 dimensions and 2,000,000 buckets of pairs of words, that
the fastText library trains on some of the texts, and ``--model``; its yardstick is that library on the same texts.

CORPUS is a folder of ``*.jsonl.zst`` files whose rows have a ``text``. One unit of so much text goes through the stage
``measure`` (read from JSONL, normalise, language, signals, MinHash, tables written), without operators and with each
of the sets below, in turns; the least processor time of the runs counts. ``share`` is of the time without operators;
what the machine's noise is worth shows the line ``none, again``. ``alone``: the operators by themselves on the unit's
texts (batches, checks of what comes back, the sample that is asked twice), of which what they do is most.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from benchmarks.measuring import add_corpus, batches, corpus_files, one_core, read_texts
from winnow.config.config import parse_config
from winnow.config.operators import pin_operators
from winnow.dedup.minhash_config import MinHashConfig
from winnow.engine.records import Unit
from winnow.engine.stage import run_unit
from winnow.operators.apply import Applier
from winnow.operators.chain import Chain
from winnow.operators.files import local_copy, publish
from winnow.operators.find import made_operator
from winnow.sources.catalogue import InputFile
from winnow.stages.ingest import measure, slices
from winnow.storage.local_store import LocalStore

SOURCE = """
import pyarrow.compute as pc
import winnow

@winnow.signal(needs=["text"])
def length(batch):
    return pc.utf8_length(batch["text"])

@winnow.signal
def length_of_all(batch):
    return pc.utf8_length(batch["text"])

@winnow.signal(needs=["text"])
def exclamations(batch):
    return pc.count_substring(batch["text"], "!")

@winnow.mapper(needs=["text"])
def same(batch):
    return batch["text"]

@winnow.mapper(needs=["text"])
def no_banner(batch):
    return pc.replace_substring(batch["text"], "We use cookies", "")

@winnow.filter(needs=["text"])
def long_enough(batch):
    return pc.greater(pc.binary_length(batch["text"]), 10)

@winnow.signal(needs=["text"])
def in_python(batch):
    return [text.count("!") for text in batch["text"].to_pylist()]
"""
SETS = {
    "none": [],
    "none, again": [],
    "a trivial signal": ["length"],
    "the same, all columns": ["length_of_all"],
    "a signal that searches": ["exclamations"],
    "a mapper that changes nothing": ["same"],
    "a mapper that searches": ["no_banner"],
    "a filter": ["long_enough"],
    "a signal in plain Python": ["in_python"],
    "six of them": ["length", "exclamations", "same", "no_banner", "long_enough", "in_python"],
}

_OFF = ("card", "iban", "ssn", "phone")
BUILT_IN: dict[str, dict[str, Any]] = {
    "pii, kinds that are on": {"use": "pii"},
    "pii, every kind": {"use": "pii", **dict.fromkeys(_OFF, True)},
}
PATTERNS = (
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,24}",
    r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b",
    r"\b[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,34}",
    *(rf"\b{prefix}[A-Z0-9]{{16}}\b" for prefix in ("AKIA", "ASIA")),
    *(rf"\bgh{letter}_[A-Za-z0-9]{{36}}" for letter in "pousr"),
    r"\bgithub_pat_[A-Za-z0-9_]{60}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{20}",
    r"\bAIza[A-Za-z0-9_-]{35}",
    r"\b[sr]k_live_[A-Za-z0-9]{16}",
    r"\bsk-[A-Za-z0-9_-]{40}",
    r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ",
    r"-----BEGIN [A-Z ]*PRIVATE KEY",
    r"\b[0-9]{13,19}\b|\b[0-9]{4}[ -][0-9]{4,6}[ -][0-9]{4,5}",
    r"\b[A-Z]{2}[0-9]{2}[A-Z0-9 ]{11,40}",
    r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b",
    r"\+[0-9][0-9 ().-]{7,}|\(?[0-9]{3}\)?[ .-][0-9]{3}[.-][0-9]{4}\b",
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--mb", type=float, default=60)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--built-in", action="store_true", help="the operators that come with Winnow, by themselves")
    parser.add_argument("--model", type=Path, help="a fastText model, such as lid.176.ftz")
    arguments = parser.parse_args()
    one_core()
    with tempfile.TemporaryDirectory() as folder:
        documents, size = write_corpus(arguments.corpus, arguments.mb * 1e6, Path(folder) / "in.jsonl")
        (Path(folder) / "ops.py").write_text(SOURCE)
        print(f"{documents:,} documents, {size / 1e6:,.0f} MB")
        if arguments.built_in:
            built_in(Path(folder), size, arguments.runs, arguments.model)
            return
        print(f"{'operators':<30} {'measure':>17} {'':>10} {'share':>8} {'alone':>10} {'share':>8}")
        works = {name: Work(Path(folder), names) for name, names in SETS.items()}
        for work in works.values():
            work.seconds()
        taken: dict[str, list[float]] = {name: [] for name in SETS}
        for _ in range(arguments.runs):
            for name, work in works.items():
                taken[name].append(work.seconds())
        base = min(taken["none"])
        for name, seconds in taken.items():
            took, alone = min(seconds), min(works[name].alone() for _ in range(3 * arguments.runs))
            print(
                f"{name:<30} {took:8.3f} s {size / took / 1e6:8.1f} MB/s {took / base - 1:+8.2%} "
                f"{alone * 1000:7.1f} ms {alone / base:8.2%}"
            )


def built_in(folder: Path, size: int, runs: int, model: Path | None) -> None:
    """Each operator alone (batches, checks, sample), and yardsticks, in turns; the least processor time counts."""
    texts = [orjson.loads(line)["text"] for line in (folder / "in.jsonl").read_bytes().splitlines()]
    calls: dict[str, Callable[[], object]] = {name: Work(folder, [], [entry]).alone for name, entry in BUILT_IN.items()}
    calls |= pii_yardsticks([text.encode() for text in texts])
    calls |= fasttext_calls(folder, texts, model)
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(runs + 1):
        for name, call in calls.items():
            started = time.process_time()
            alone = call()  # without making it, where it says so
            if turn:  # the first one compiles
                taken[name].append(alone if isinstance(alone, float) else time.process_time() - started)
    for name, seconds in taken.items():
        print(f"{name:<56} {min(seconds):8.3f} s {size / min(seconds) / 1e6:8.1f} MB/s")


def pii_yardsticks(texts: list[bytes]) -> dict[str, Callable[[], None]]:
    """Of `pii`: the set of patterns of google-re2 that tells which kinds a text may hold, and no more."""
    try:
        import re2
    except ImportError:
        print("google-re2 is not installed: no yardstick for pii")
        return {}
    options = re2.Options()
    options.never_capture = options.longest_match = True
    patterns = re2.Set.SearchSet(options)
    for pattern in PATTERNS:
        patterns.Add(pattern)
    patterns.Compile()

    def look() -> None:
        for text in texts:
            patterns.Match(text)

    return {f"yardstick: google-re2's Set, {len(PATTERNS)} patterns, alone": look}


def fasttext_calls(folder: Path, texts: list[str], given: Path | None) -> dict[str, Callable[[], object]]:
    """`fasttext` with a model of two labels and the one that was given, and the library with the same."""
    try:
        import fasttext
    except ImportError:
        print("fasttext-wheel is not installed: nothing of fasttext is measured")
        return {}
    lines = folder / "lines.txt"
    begun = [" ".join(text[:2000].split()) for text in texts[:: max(1, len(texts) // 2000)]]
    lines.write_text("".join(f"__label__{'yes' if n % 2 else 'no'} {text}\n" for n, text in enumerate(begun)))
    shape = {"dim": 100, "wordNgrams": 2, "bucket": 2_000_000, "epoch": 1, "thread": 1, "verbose": 0}
    fasttext.train_supervised(str(lines), **shape).save_model(str(folder / "two.bin"))
    calls: dict[str, Callable[[], object]] = {}
    for path in [folder / "two.bin", *([given] if given else [])]:
        library = fasttext.load_model(str(path))
        entry = {"use": "fasttext", "name": "model", "model": str(path.absolute()), "label": library.labels[0]}
        calls[f"fasttext, {path.name}, {len(library.labels)} labels"] = Work(folder, [], [entry]).alone
        calls[f"yardstick: the fastText library, {path.name}"] = lambda model=library: [  # type: ignore[misc]
            model.f.predict(text.replace("\n", " ") + "\n", 1, 0.0, "strict") for text in texts
        ]
    return calls


def write_corpus(corpus: Path, size: float, path: Path) -> tuple[int, int]:
    """So many bytes of text as JSONL, an equal share of each file; returns documents and bytes."""
    files = corpus_files(corpus)
    documents = written = 0
    with path.open("wb") as out:
        for number, file in enumerate(files):
            for text in read_texts(file).to_pylist():
                if written >= size * (number + 1) / len(files):
                    break
                out.write(orjson.dumps({"text": text}) + b"\n")
                documents, written = documents + 1, written + len(text.encode())
    return documents, written


class Work:
    """The stage with some operators, over the one file."""

    def __init__(self, folder: Path, names: list[str], others: Sequence[dict[str, Any]] = ()) -> None:
        operators = [*({"use": f"{folder}/ops.py:{name}"} for name in names), *others]
        config = pin_operators(
            parse_config(
                {
                    "run": str(folder / "run"),
                    "sources": [{"name": "s", "path": str(folder / "in.jsonl")}],
                    "measure": {"operators": operators},
                }
            )
        )
        self._store = LocalStore(str(folder / "run"))
        self._operators = config.measure.operators
        texts = [orjson.loads(line)["text"] for line in (folder / "in.jsonl").read_bytes().splitlines()]
        self._batches = [
            pa.record_batch({"text": batch, "id": pa.array(map(str, range(len(batch))))})
            for batch in batches(pa.array(texts, pa.large_string()))
        ]
        publish(self._store, config.measure.named_files)
        runtime = {"batch_bytes": 32_000_000, "part_bytes": 64_000_000}
        self._stage = measure.stage(config.measure, MinHashConfig(), None, runtime)
        path = folder / "in.jsonl"
        status = path.stat()
        file = InputFile(0, "s", str(path), status.st_size, status.st_mtime_ns)
        (unit,) = slices.plan_measure([file], {"s": config.sources[0]}, [], 1 << 60)
        self._unit: Unit = unit

    def alone(self) -> float:
        """Processor time of nothing but the operators."""
        local = partial(local_copy, self._store)
        appliers = [Applier(entry.found, made_operator(entry.found, local)) for entry in self._operators]
        chain = Chain(appliers, self._languages, lambda _name, _number: None)
        started = time.process_time()
        for batch in self._batches:
            chain(batch, np.arange(batch.num_rows, dtype=np.uint64))
        return time.process_time() - started

    def _languages(self, texts: pa.Array) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(texts), np.int16)), pa.array(["en"]))

    def seconds(self) -> float:
        """Processor time of one unit."""
        self._store.remove(self._stage.record_path(self._stage.key(self._unit)))
        started = time.process_time()
        run_unit(self._stage, self._unit, self._store)
        return time.process_time() - started


if __name__ == "__main__":
    pa.set_cpu_count(1)
    main()
