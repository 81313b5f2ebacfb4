"""What operators cost in measure, on one core: nothing that an operator does itself, only being asked.

    python -m benchmarks.operators [CORPUS] [--mb 60] [--runs 5]
    python -m benchmarks.operators [CORPUS] [--mb 60] [--runs 3] --built-in [--model lid.176.ftz] [--classifier FOLDER]

With ``--built-in``: Winnow's own operators by themselves on the same texts, each beside yardsticks of the same run and
the figure that it must reach (``benchmarks/built_in_operators.py``).

CORPUS is a folder of ``*.jsonl.zst`` files whose rows have a ``text``. One unit of so much text goes through the stage
``measure`` (read from JSONL, normalise, language, signals, MinHash, tables written), without operators and with each
of the sets below, in turns; the least processor time of the runs counts. ``share`` is of the time without operators;
what the machine's noise is worth shows the line ``none, again``. ``alone``: the operators by themselves on the unit's
texts (batches, checks of what comes back, the sample that is asked twice), of which what they do is most.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from benchmarks.built_in_operators import all_calls
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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--mb", type=float, default=60)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--built-in", action="store_true", help="the operators that come with Winnow, by themselves")
    parser.add_argument("--model", type=Path, help="a fastText model of languages, such as lid.176.ftz")
    parser.add_argument("--classifier", type=Path, help="a folder for `use: classifier`; else one is made")
    parser.add_argument("--evals", type=Path, help="folder of the evaluation sets; `evals` beside CORPUS")
    arguments = parser.parse_args()
    one_core()
    with tempfile.TemporaryDirectory() as folder:
        documents, size = write_corpus(arguments.corpus, arguments.mb * 1e6, Path(folder) / "in.jsonl")
        (Path(folder) / "ops.py").write_text(SOURCE)
        print(f"{documents:,} documents, {size / 1e6:,.0f} MB")
        if arguments.built_in:
            built_in(Path(folder), size, arguments)
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


def built_in(folder: Path, size: int, arguments: argparse.Namespace) -> None:
    """Each operator alone (batches, checks, sample), and yardsticks, in turns; the least processor time counts."""
    texts = [orjson.loads(line)["text"] for line in (folder / "in.jsonl").read_bytes().splitlines()]
    calls = all_calls(folder, texts, size, lambda entry: Work(folder, [], [entry]).alone, arguments)
    taken: dict[str, list[float]] = {call.name: [] for call in calls}
    for turn in range(arguments.runs + 1):
        for call in calls:
            started = time.process_time()
            alone = call.work()  # without making it, where it says so
            if turn:  # the first one compiles
                taken[call.name].append(alone if isinstance(alone, float) else time.process_time() - started)
    print(f"{'':<62} {'seconds':>9} {'MB/s':>9}   notes")
    for call in calls:
        seconds = min(taken[call.name])
        print(f"{call.name:<62} {seconds:9.3f} {call.bytes / seconds / 1e6:9.1f}   {call.goal}")


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
        runtime = {"batch_bytes": 32_000_000, "part_bytes": 64_000_000, "text_compression": "lz4"}
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
