"""Line rules beside the signals of the same texts, in one run.

    python -m benchmarks.line_rules [CORPUS]

CORPUS is a folder of ``*.jsonl.zst`` files whose rows have a ``text``. Rates are megabytes of text a second of
processor time on one core, median of three runs.
"""

import argparse

from benchmarks.measuring import add_corpus, batches, corpus_files, median_seconds, one_core, read_texts
from winnow.text.line_rules.clean import LineCleaner
from winnow.text.line_rules.config import LineRulesConfig
from winnow.text.signals.signals import measure

RULES = {
    "C4's line rules": {"c4": "on"},
    "... without terminal punctuation": {"c4": {"terminal_punctuation": False}},
    "menus": {"navigation": "on"},
    "blank lines": {"max_blank_lines": 1},
    "C4's, menus and blank lines": {"c4": "on", "navigation": "on", "max_blank_lines": 1},
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    arguments = parser.parse_args()
    one_core()
    texts = [batch for path in corpus_files(arguments.corpus) for batch in batches(read_texts(path))]
    size = sum(batch.nbytes for batch in texts)
    print(f"{sum(len(batch) for batch in texts):,} documents, {size / 1e6:,.0f} MB")
    print("| what | MB/s a core | bytes that go |\n| --- | ---: | ---: |")
    for name, settings in RULES.items():
        clean = LineCleaner(LineRulesConfig.model_validate(settings))
        gone = sum(int(clean(batch).bytes.sum()) for batch in texts)
        spent = median_seconds(lambda clean=clean: [clean(batch) for batch in texts])
        print(f"| {name} | {size / spent / 1e6:,.0f} | {gone / size:.2%} |", flush=True)
    measure(texts[0].slice(0, 10))
    spent = median_seconds(lambda: [measure(batch) for batch in texts])
    print(f"| signals and words, for every run | {size / spent / 1e6:,.0f} | |")


if __name__ == "__main__":
    main()
