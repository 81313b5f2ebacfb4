"""Speed and cost of cutting repeated passages, stage by stage, on the shared corpus.

    python -m benchmarks.passages [--run FOLDER]

Runs in one process. What comes before the passages is computed once in FOLDER (a temporary one without it); the six
stages are then computed anew for each pair of L and k, over all documents that dedup keeps and over those that are
neither program text nor markup. Figures are processor time of the stages' records, of the second of two runs.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from tests.support.configs import corpus_config
from winnow.config.config import parse_config
from winnow.engine.records import total
from winnow.flow.records import RunRecords
from winnow.runs.run import run

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
STAGES = ("passage_anchors", "passage_shared", "passage_windows", "passage_repeats", "passage_spans", "passages")
EXCHANGED = (("passage_anchors", "anchors"), ("passage_shared", "shared"), ("passage_windows", "windows"))
PAIRS = ((50, 25), (100, 40))


def computed(folder: Path, words: int, gram: int, marks: float | None) -> RunRecords:
    """A run whose passages are computed anew."""
    for stage in STAGES:
        shutil.rmtree(folder / "work" / stage, ignore_errors=True)
    settings = {"words": words, "anchor_words": gram, "max_marks_per_word": marks}
    config = corpus_config(SHARED, folder, passages=settings, compute={"executor": "inline"})
    return run(parse_config(config)).run


def told(found: RunRecords, words: int, gram: int) -> None:
    """One table."""
    size, count = found.total("passage_anchors", "bytes"), found.total("passage_anchors", "words")
    print(f"\nL {words}, k {gram}: {size / 1e6:,.0f} MB of text, {count:,} words in {len(found.parts)} parts")
    print(f"{'stage':18}{'CPU s':>8}{'MB/s':>8}{'written':>10}{'peak MB':>9}")
    seconds = 0.0
    for stage in STAGES:
        records = found.of(stage)
        mine = sum(record.metrics["cpu_seconds"] for record in records)
        seconds += mine
        written = sum(output.bytes for record in records for output in record.outputs.values())
        peak = max(record.metrics["peak_memory_mb"] for record in records)
        print(f"{stage:18}{mine:8.2f}{size / 1e6 / max(mine, 1e-3):8.0f}{written / size:10.4f}{peak:9.0f}")
    print(f"{'all':18}{seconds:8.2f}{size / 1e6 / seconds:8.0f}")
    sent = {name: sum(r.outputs[name].bytes for r in found.of(stage)) / size for stage, name in EXCHANGED}
    sent["repeats"] = sum(record.outputs["repeats"].bytes for record in found.of("passage_repeats")) / size
    print("exchanged, bytes a byte of text: " + ", ".join(f"{name} {share:.4f}" for name, share in sent.items()))
    anchors, windows = found.total("passage_anchors", "anchors"), found.total("passage_windows", "windows")
    print(f"an anchor for every {count / anchors:.1f} words; windows compared {windows / count:.1%} of all words")
    spans = {name: total(found.of("passage_spans"), name) for name in ("repeated_words", "cut_documents", "passages")}
    print(
        f"words that stood before {spans['repeated_words'] / count:.2%}, in {spans['passages']:,} passages; "
        f"{spans['cut_documents']:,} documents cut, {found.total('passage_spans', 'short_documents'):,} left out"
    )


def main() -> None:
    """All pairs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, help="where the run is, and stays")
    given = parser.parse_args().run
    folder = given or Path(tempfile.mkdtemp(prefix="winnow-passages-"))
    try:
        for marks in (None, 0.8):
            computed(folder, 64, 32, marks)  # warm
            for words, gram in PAIRS:
                told(computed(folder, words, gram, marks), words, gram)
    finally:
        if given is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
