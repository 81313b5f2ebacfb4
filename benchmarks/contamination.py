"""What evaluation items are found of those planted into real documents, what is flagged in real text, and how fast.

    python -m benchmarks.contamination [CORPUS] [--evals EVALS] [--planted 320]

CORPUS is a folder of ``*.jsonl.zst`` files whose rows have a ``text``, EVALS one of evaluation sets. Items are planted
in several ways, each into a document of its own, drawn by a seed; beside our rule stand the usual ones, computed here
by brute force: a document is contaminated if it holds any run of 13, or of 8, words of an item.
"""

import argparse
import random
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.measuring import add_corpus, batches, corpus_files, median_seconds, one_core, read_texts
from winnow.text.contamination.find import Finder
from winnow.text.contamination.item_index import ItemIndex, Rule, build_index
from winnow.text.contamination.items import Items, read_items
from winnow.text.signals.signals import measure
from winnow.text.words import hash_words

SETS = (
    "gsm8k/test.jsonl",
    "hellaswag/hellaswag_1000_unique.jsonl",
    "humaneval/HumanEval.jsonl",
    "mbpp/mbpp.jsonl",
    "mmlu/mmlu_all.jsonl",
    "openbookqa/openbookqa.jsonl",
    "piqa/valid.jsonl",
    "truthfulqa/TruthfulQA.csv",
)
RULE = Rule(0.8, 0.7, 8, 10)
SEED = 17
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MARKS = str.maketrans(
    {'"': "«", "'": "’", ",": "、", ".": "。", "?": "？", "!": "！", "(": "[", ")": "]", "-": "–", ":": "："}
)


def read_sets(folder: Path) -> Items:
    """The eight sets."""
    items = Items()
    for name in SETS:
        read_items(items, folder / name, name.partition("/")[0], name)
    return items


def changed(text: str, every: int, rng: random.Random) -> str:
    """One word in ``every`` replaced by another."""
    words = re.split(r"(\s+)", text)
    for place in range(2 * rng.randrange(every), len(words), 2 * every):
        words[place] = "otherwise" if words[place].lower() != "otherwise" else "perhaps"
    return "".join(words)


def ways(question: str, answers: tuple[str, ...], rng: random.Random) -> dict[str, str]:
    """How an item may stand in a document."""
    whole = f"{question}\n{answers[0]}" if answers else question
    lettered = [f"({'ABCD'[n % 4]}) {answer}" for n, answer in enumerate(reversed(answers))]
    return {
        "verbatim": whole,
        "question only": question,
        "1 word in 15 changed": changed(whole, 15, rng),
        "1 word in 10 changed": changed(whole, 10, rng),
        "answers before the question, lettered": "\n".join([*lettered, question]),
        "other punctuation": whole.translate(_MARKS),
        "upper case": whole.upper(),
        "wrapped at 40 columns": "\n".join(textwrap.wrap(whole, 40)),
    }


def plant(items: Items, chosen: list[int], hosts: list[str], rng: random.Random) -> dict[str, list[str]]:
    """Documents by way, with an item in each."""
    found: dict[str, list[str]] = {}
    for item in chosen:
        host = hosts[rng.randrange(len(hosts))]
        at = host.find("\n", rng.randrange(len(host)))
        for way, text in ways(items.question[item], items.answers[item], rng).items():
            found.setdefault(way, []).append(
                f"{host[:at]}\n\n{text}\n\n{host[at:]}" if at >= 0 else f"{host}\n\n{text}"
            )
    return found


def gram_keys(words: NDArray[np.uint64], offsets: NDArray[np.int64], size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Keys of all runs of ``size`` words that lie in one text, and the texts that they lie in."""
    text = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    starts = np.arange(len(words))
    starts = starts[starts + size <= offsets[text + 1]] if len(words) else starts
    keys = np.zeros(len(starts), np.uint64)
    for j in range(size):
        keys = keys * _STEP + words[starts + j]
    return keys, text[starts]


def any_run(size: int, items: Items) -> Callable[[pa.Array], NDArray[np.bool_]]:
    """The rule: a text that holds any run of ``size`` words of an item's question and answer."""
    texts = [f"{q}\n{a}" for q, answers in zip(items.question, items.answers, strict=True) for a in answers or ("",)]
    table = np.unique(gram_keys(*hash_words(pa.array(texts, pa.large_string())), size)[0])

    def flagged(column: pa.Array) -> NDArray[np.bool_]:
        keys, text = gram_keys(*hash_words(column), size)
        found = np.zeros(len(column), bool)
        found[text[np.isin(keys, table)]] = True
        return found

    return flagged


def local_coverage(index: ItemIndex) -> Callable[[pa.Array], NDArray[np.bool_]]:
    """Ours."""
    finder = Finder(index, RULE)

    def flagged(column: pa.Array) -> NDArray[np.bool_]:
        found = np.zeros(len(column), bool)
        found[finder(column).text] = True
        return found

    return flagged


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--evals", type=Path, help="folder of the evaluation sets; `evals` beside CORPUS")
    parser.add_argument("--planted", type=int, default=320)
    arguments = parser.parse_args()
    one_core()
    items = read_sets(arguments.evals or arguments.corpus.parent / "evals")
    index, about = build_index(items)
    short = int((about.longest < RULE.min_words).sum())
    print(
        f"{len(items):,} items of {len(items.sets)} sets, {short:,} too short to test, {len(index.item):,} with answers"
    )
    rules = {
        "local coverage": local_coverage(index),
        "any 13-gram": any_run(13, items),
        "any 8-gram": any_run(8, items),
    }
    files = {path.name: batches(read_texts(path)) for path in corpus_files(arguments.corpus)}

    names = list(files)
    hosts = [
        text for name in names[:4] for text in files[name][0].slice(0, 300).to_pylist() if 500 < len(text) < 20_000
    ]
    column = pa.array(hosts, pa.large_string())
    held = np.any([rule(column) for rule in rules.values()], axis=0)  # so that all that is found was planted
    hosts = [text for text, there in zip(hosts, held, strict=True) if not there]
    rng, sets = random.Random(SEED), np.array(items.set)
    tested = np.flatnonzero(about.longest >= RULE.min_words)
    drawn = {
        "drawn from all items": rng.sample(tested.tolist(), arguments.planted),
        "as many of each set": [
            n
            for number in range(len(items.sets))
            for n in rng.sample(tested[sets[tested] == number].tolist(), arguments.planted // len(items.sets))
        ],
    }
    for how, chosen in drawn.items():
        print(f"\nrecall of {len(chosen)} planted items that are not too short, {how}")
        print(f"{'':<40}" + "".join(f"{name:>16}" for name in rules))
        for way, texts in plant(items, chosen, hosts, rng).items():
            column = pa.array(texts, pa.large_string())
            print(f"{way:<40}" + "".join(f"{rule(column).mean():16.2f}" for rule in rules.values()))

    print("\ndocuments of real text that are flagged")
    print(f"{'':<32}{'documents':>10}" + "".join(f"{name:>16}" for name in rules))
    total = np.zeros(1 + len(rules), np.int64)
    for name, texts in files.items():
        flags = [sum(int(rule(batch).sum()) for batch in texts) for rule in rules.values()]
        total += (row := np.array([sum(map(len, texts)), *flags]))
        print(f"{name[:31]:<32}{row[0]:>10,}" + "".join(f"{number:>16,}" for number in row[1:]))
    print(f"{'all':<32}{total[0]:>10,}" + "".join(f"{number:>16,}" for number in total[1:]))

    sample = [batch for texts in list(files.values())[:5] for batch in texts]
    megabytes = sum(batch.nbytes for batch in sample) / 1e6
    finder = Finder(index, RULE)
    steps: dict[str, Callable[[pa.Array], object]] = {
        "words alone": hash_words,
        "contamination": finder,
        "signals": measure,
    }
    print(f"\nMB/s of {megabytes:,.0f} MB")
    for name, step in steps.items():
        print(f"{name:<16}{megabytes / median_seconds(lambda step=step: [step(batch) for batch in sample]):8.0f}")


if __name__ == "__main__":
    main()
