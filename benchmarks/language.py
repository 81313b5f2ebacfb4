"""Speed of language identification on one core, against py3langid in the same run, and equality on every
document.

    python -m benchmarks.language [CORPUS] [--verify]

CORPUS is a folder of ``*.jsonl.zst`` files whose rows have a ``text``. Times are process time, the median of 3; MB/s
counts whole documents, of which the first 2,000 characters are looked at. ``--verify`` asks py3langid for
every document (a minute for 50,000), otherwise for a sample.
"""

import argparse
import statistics
import time

import pyarrow as pa
from py3langid import langid

from benchmarks.measuring import add_corpus, corpus_files, one_core, read_texts
from winnow.text.language.config import LanguageConfig
from winnow.text.language.detect import LanguageIdentifier

SAMPLE = 200


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--verify", action="store_true")
    options = parser.parse_args()
    one_core()
    config = LanguageConfig()
    start = time.process_time()
    identifier = LanguageIdentifier(config)
    print(f"model loaded in {time.process_time() - start:.2f} s")
    start = time.process_time()
    identifier(pa.array(["compile"], pa.large_string()))
    print(f"first call (compiles once a machine) {time.process_time() - start:.2f} s")
    reference = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)

    print(f"{'file':24}{'documents':>10}{'MB':>8}{'us/doc':>8}{'MB/s':>8}{'py3langid us':>14}{'different':>10}")
    documents = compared = different = 0
    megabytes = spent = reference_spent = 0.0
    for file in corpus_files(options.corpus):
        column = read_texts(file)
        texts = column.to_pylist()
        if not texts:
            continue
        times = []
        for _ in range(3):
            start = time.process_time()
            labels = identifier(column)
            times.append(time.process_time() - start)
        seconds, mb = statistics.median(times), column.buffers()[2].size / 1e6
        names = labels.to_pylist()
        rows = range(0, len(texts), 1 if options.verify else max(1, len(texts) // SAMPLE))
        start = time.process_time()
        wrong = [row for row in rows if reference.classify(texts[row][: config.characters])[0] != names[row]]
        reference_seconds = time.process_time() - start
        name = file.name.removesuffix(".jsonl.zst")
        print(
            f"{name:24}{len(texts):10}{mb:8.1f}{seconds / len(texts) * 1e6:8.1f}{mb / seconds:8.0f}"
            f"{reference_seconds / len(rows) * 1e6:14.0f}{len(wrong):10}  {wrong[:5] or ''}"
        )
        documents += len(texts)
        compared += len(rows)
        different += len(wrong)
        megabytes, spent, reference_spent = (
            megabytes + mb,
            spent + seconds,
            reference_spent + reference_seconds,
        )
    print(
        f"{'all':24}{documents:10}{megabytes:8.1f}{spent / documents * 1e6:8.1f}{megabytes / spent:8.0f}"
        f"{reference_spent / compared * 1e6:14.0f}{different:10}  of {compared} compared"
    )


if __name__ == "__main__":
    main()
