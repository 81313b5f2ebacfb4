"""What each step and operator adds to a whole run, with all that need no GPU switched on.

    python -m benchmarks.everything [CORPUS] [--evals FOLDER] [--work FOLDER] [--sample-mb 20]

CORPUS is a folder of ``*.jsonl.zst`` files whose rows have ``id`` and ``text``; each file is a source. In one process
(``executor: inline``, annotate mode), first a small run with everything on, which compiles the kernels and does not
count, then a plain run and one with everything on: line rules and boilerplate lines, `fasttext`, `perplexity` and
`pii`, a rule on a quantile, decontamination, passages, `select.semantic`, buckets, two phases, clean text, the page.
Models are trained on some of the texts. Processor seconds of stages are those of their records; of operators, of the
calls as the run makes them; ``the rest`` is what the process does besides. MB/s are of all text of the corpus.
Yardsticks of the same invocation: tiktoken and ftfy, one core, on an even sample.
"""

import argparse
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from benchmarks.contamination import SETS
from benchmarks.measuring import add_corpus, corpus_files, even_sample, one_core, read_records, read_texts, text_bytes
from benchmarks.yardsticks import SAMPLE_BYTES, work_of
from tests.support.everything import everything_config, plain_config, train_models
from winnow.config.config import parse_config
from winnow.engine.stage import peak_memory_mb
from winnow.operators.apply import Applier
from winnow.report.reports import write_reports
from winnow.runs.run import run

STEPS = {
    "boilerplate lines": r"lines|boilerplate.*",
    "decontaminate": r"evaluation_items|contamin.*|decontaminate",
    "pii, cut out of texts": r"redact.*",
    "passages": r"passage.*",
    "select.semantic": r"embed|assign|centres.*|semantic.*|select|scores|count",
    "buckets, mixtures of two phases": r"bucket.*|mixture.*|phase.*",
    "clean text": r"document_.*",
}
"""Stages of each step that is off by default."""
WARM = 50
"""Documents of each file in the run that does not count."""


def spent(config: dict[str, Any]) -> dict[str, float]:
    """Processor seconds of a run in this process, by stage, by operator and in all."""
    seconds: dict[str, float] = defaultdict(float)
    call = Applier.__call__

    def timed(self: Applier, batch: pa.RecordBatch) -> Any:
        started = time.process_time()
        try:
            return call(self, batch)
        finally:
            seconds[f"operator {self.operator.name}"] += time.process_time() - started

    Applier.__call__ = timed  # type: ignore[method-assign]
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        context = run(parse_config(config))
    finally:
        Applier.__call__ = call  # type: ignore[method-assign]
    seconds["in all"] = time.process_time() - cpu
    for stage, records in context.run.records.items():
        for record in records:
            seconds[stage] += record.metrics["cpu_seconds"]
            for name, value in record.metrics.items():
                if name in ("seconds.line rules", "seconds.remove lines"):
                    seconds[f"part {name.removeprefix('seconds.')}"] += value
    if config.get("report"):
        started = time.process_time()
        write_reports(context.run)
        seconds["the page"] = time.process_time() - started
    kept = context.run.totals(context.run.ledger_stage, "outcome").get("kept", 0)
    print(
        f"{Path(config['run']).name}: {time.perf_counter() - wall:.1f} s wall, {seconds['in all']:.1f} s CPU, "
        f"{kept:,} kept, peak {peak_memory_mb():,.0f} MB",
        flush=True,
    )
    return dict(seconds)


def told(plain: dict[str, float], whole: dict[str, float], size: int) -> None:
    """The table."""
    added, same = defaultdict[str, float](float), defaultdict[str, float](float)
    for name, seconds in whole.items():
        step = next((step for step, stages in STEPS.items() if re.fullmatch(stages, name)), None)
        if step:
            added[step] += seconds
        elif name.startswith(("operator ", "part ", "the page")):
            added[name] += seconds
        elif name != "in all":
            same[name] += seconds
    print("\n| adds | CPU s | MB/s |\n| --- | ---: | ---: |")
    for name, seconds in sorted(added.items(), key=lambda item: -item[1]):
        print(f"| {name} | {seconds:.2f} | {size / max(seconds, 1e-3) / 1e6:,.0f} |")
    print("\n| stage of both runs | plain, CPU s | everything on, CPU s |\n| --- | ---: | ---: |")
    for name, seconds in sorted(same.items(), key=lambda item: -item[1]):
        if max(seconds, plain.get(name, 0.0)) >= 0.05:
            print(f"| {name} | {plain.get(name, 0.0):.2f} | {seconds:.2f} |")
    print(f"| in all | {plain['in all']:.1f} | {whole['in all']:.1f} |")


def yardsticks(texts: list[str]) -> None:
    """Two libraries that nobody here wrote, on one core."""
    size = sum(len(text.encode()) for text in texts)
    calls: dict[str, Callable[[str], object]] = {name: work_of(name) for name in SAMPLE_BYTES}
    for name, call in calls.items():
        started = time.process_time()
        for text in texts:
            call(text)
        print(f"yardstick {name}: {size / (time.process_time() - started) / 1e6:.1f} MB/s a core")


def warm_files(files: list[Path], folder: Path) -> list[Path]:
    """The first documents of each file."""
    folder.mkdir()
    out = []
    for path in files:
        out.append(folder / path.name.replace(".zst", ""))
        rows = [row for _, row in zip(range(WARM), read_records(path), strict=False)]
        out[-1].write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return out


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--evals", type=Path, help="folder of the evaluation sets; `evals` beside CORPUS")
    parser.add_argument("--work", type=Path, help="folder for the runs, which need 4 GB; a temporary one")
    parser.add_argument("--sample-mb", type=float, default=20, help="text for the yardsticks")
    options = parser.parse_args()
    one_core()
    files = corpus_files(options.corpus)
    texts = pa.chunked_array([read_texts(path) for path in files]).combine_chunks()
    size, count = text_bytes(texts), len(texts)
    models, sample = (even_sample(texts, mb * 1e6).to_pylist() for mb in (8, options.sample_mb))
    del texts
    print(f"{count:,} documents, {size / 1e6:,.1f} MB")
    sets = [(options.evals or options.corpus.parent / "evals") / name for name in SETS]
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        operators = train_models(work, models)
        spent(everything_config(warm_files(files, work / "few"), work / "warm", operators, sets))
        plain = spent(plain_config(files, work / "plain"))
        whole = spent(everything_config(files, work / "everything", operators, sets))
    yardsticks(sample)
    told(plain, whole, size)


if __name__ == "__main__":
    main()
