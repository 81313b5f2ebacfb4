"""The same documents through Winnow and through other tools: speed a core, and what each decides.

    python -m benchmarks.peers [CORPUS] [--mb 6] [--peers-python PYTHON]

PYTHON, or the variable WINNOW_PEERS_PYTHON, is the interpreter of an environment with the other tools
(``pip install datatrove spacy nltk tokenizers ftfy datasketch tiktoken 'xxhash<4'``); it runs ``peers_worker.py``.
Every tool works on the same even sample of the corpus: ftfy's default repair, then datatrove's four filters, its
MinHash stage 1, a plain loop over datasketch and one over tiktoken, all on the repaired text. Rates are megabytes of
text a second of processor time, one core. Winnow's are the median of three; the other tools run once, as they are
slow, after a call that is not counted. Winnow's tokeniser remembers words, so it is timed twice: in a process that has
seen nothing, and in one that has seen other documents of the corpus, as nearly all units of a run are.
"""

import argparse
import json
import os
import subprocess
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa

from benchmarks.measuring import add_corpus, corpus_files, even_rows, median_seconds, one_core, read_texts, text_bytes
from winnow.dedup.bands import band_keys, group_edges
from winnow.dedup.config import DedupConfig
from winnow.dedup.minhash import signatures
from winnow.dedup.minhash_config import MinHashConfig
from winnow.text.language.config import LanguageConfig
from winnow.text.language.detect import LanguageIdentifier
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.normalise import Normaliser
from winnow.text.rules.config import RULE_NAMES, RulesConfig
from winnow.text.rules.rules import evaluate
from winnow.text.signals.signals import measure
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.tokeniser import Tokeniser

THRESHOLD = 0.8
RULE_SETS = ("gopher_quality", "gopher_repetition", "c4", "fineweb")
WORKER = Path(__file__).with_name("peers_worker.py")


def _tokenisers(seen: pa.LargeStringArray) -> list[Tokeniser]:
    """One for each call of ``median_seconds``, all having seen the same texts."""
    tokenisers = [Tokeniser(TokeniserConfig()) for _ in range(4)]
    for tokeniser in tokenisers:
        tokeniser.encode(seen)
    return tokenisers


class Winnow:
    """Winnow's own results on the documents, and its seconds."""

    def __init__(self, raw: pa.LargeStringArray, others: pa.LargeStringArray) -> None:
        as_ftfy = NormaliseConfig(fix_character_width=True, uncurl_quotes=True)
        normaliser, identifier = Normaliser(as_ftfy), LanguageIdentifier(LanguageConfig())
        self.minhash = DedupConfig().minhash
        self.texts = normaliser(raw).texts
        measured = measure(self.texts)
        self.words = measured.words
        self.languages = identifier(self.texts)
        self.failures = evaluate(measured.signals, self.languages, RulesConfig())
        self.signatures = signatures(self.words.hashes, self.words.offsets, self.minhash)
        few = pa.array(["A first call builds the tables."], pa.large_string())
        fresh, later = iter(_tokenisers(few)), iter(_tokenisers(others))
        self.seconds = {
            "fix text": median_seconds(lambda: normaliser(raw)),
            "rules": median_seconds(
                lambda: evaluate(measure(self.texts).signals, identifier(self.texts), RulesConfig())
            ),
            # the words are there already: the rules counted them
            "minhash": median_seconds(lambda: signatures(self.words.hashes, self.words.offsets, self.minhash)),
            "tokenise, fresh": median_seconds(lambda: next(fresh).encode(self.texts)),
            "tokenise": median_seconds(lambda: next(later).encode(self.texts)),
        }
        encoded = Tokeniser(TokeniserConfig()).encode(self.texts)
        self.tokens = [encoded.ids[first:last].tolist() for first, last in pairwise(encoded.offsets)]

    def kept(self, rule_set: str) -> np.ndarray:
        """bool[N]: documents that fail no rule of this set."""
        numbers = [number for number, name in enumerate(RULE_NAMES) if name.startswith(f"{rule_set}.")]
        kept = np.ones(len(self.texts), bool)
        kept[self.failures.row[np.isin(self.failures.rule, numbers)]] = False
        return kept

    def pairs(self) -> set[tuple[int, int]]:
        """Pairs that share a band with the first document that has it, and are alike enough."""
        rows = np.flatnonzero(np.diff(self.words.offsets))
        keys = band_keys(self.signatures[rows], self.minhash)
        docs = np.repeat(rows.astype(np.uint64), keys.shape[1])
        edges = group_edges(keys.reshape(-1), docs).astype(np.int64)
        alike = (self.signatures[edges[:, 0]] == self.signatures[edges[:, 1]]).mean(axis=1) >= THRESHOLD
        return {(min(edge), max(edge)) for edge in edges[alike].tolist()}


def run_worker(python: str, texts: list[str], minhash: MinHashConfig) -> dict:
    """What the other tools did with the texts."""
    vocabulary = Tokeniser(TokeniserConfig()).vocabulary
    settings = {
        "ngram": minhash.ngram,
        "num_perm": minhash.num_perm,
        "bands": minhash.bands,
        "rows": minhash.rows,
        "threshold": THRESHOLD,
        "pattern": vocabulary.pattern.regex,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "texts.json").write_text(json.dumps(texts))
        (folder / "settings.json").write_text(json.dumps(settings))
        (folder / "ranks.tiktoken").write_bytes(vocabulary.rank_file)
        threads = {
            "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "LOGURU_LEVEL": "WARNING",
        }
        subprocess.run([python, str(WORKER), name], check=True, env={**os.environ, **threads})
        return orjson.loads((folder / "result.json").read_bytes())


def print_speed(size: float, winnow: Winnow, peers: dict) -> None:
    """Each step, and all steps together."""
    taken = peers["seconds"]
    plain = {
        "fix text": taken.get("ftfy"),
        "minhash": taken.get("datasketch"),
        "tokenise, fresh": taken.get("tiktoken"),
        "tokenise": taken.get("tiktoken"),
    }
    datatrove = {
        **plain,
        "rules": sum(taken[name] for name in RULE_SETS) if "fineweb" in taken else None,
        "minhash": taken.get("datatrove minhash"),
    }
    titles = {
        "fix text": "fix text (ftfy)",
        "rules": "rules: all four sets",
        "minhash": f"MinHash {winnow.minhash.num_perm} (*)",
        "tokenise, fresh": "tokenise (tiktoken), fresh",
        "tokenise": "tokenise (tiktoken)",
    }
    print(f"\n{'MB/s, one core':30}{'Winnow':>9}{'datatrove':>11}{'ratio':>8}{'plain loop':>12}{'ratio':>8}")

    def cells(ours: float, theirs: float | None, width: int) -> str:
        if theirs is None:
            return f"{'-':>{width}}{'-':>8}"
        ratio = theirs / ours
        return f"{size / 1e6 / theirs:{width}.2f}{ratio:7.{0 if ratio > 10 else 1}f}x"

    for step, title in titles.items():
        ours = winnow.seconds[step]
        print(f"{title:30}{size / 1e6 / ours:9.1f}{cells(ours, datatrove[step], 11)}{cells(ours, plain.get(step), 12)}")
        for name in RULE_SETS if step == "rules" and datatrove[step] else ():
            print(f"{'  ' + name:30}{'':9}{size / 1e6 / taken[name]:11.2f}")
    steps = [step for step in titles if step != "tokenise, fresh"]
    ours = sum(winnow.seconds[step] for step in steps)
    if None not in datatrove.values():
        theirs = sum(datatrove[step] for step in steps)
        print(f"{'all steps (but fresh)':30}{size / 1e6 / ours:9.1f}{cells(ours, theirs, 11)}")
    print("(*) Winnow's rules and signatures share one split into words; it is counted with the rules")


def print_decisions(winnow: Winnow, peers: dict) -> None:
    """What each kept, and where the results must be equal, whether they are."""
    number = len(winnow.texts)
    if peers["kept"]:
        english = np.array([label == "en" for label in winnow.languages.to_pylist()])
        print(f"\n{'documents kept':30}{'Winnow':>9}{'datatrove':>11}{'agree':>9}{'of English':>12}")
        every = [np.ones(number, bool), np.ones(number, bool)]
        for name in (*RULE_SETS, "all four"):
            ours = every[0] if name == "all four" else winnow.kept(name)
            theirs = every[1] if name == "all four" else np.array(peers["kept"][name])
            every = [every[0] & ours, every[1] & theirs]
            same = ours == theirs
            print(f"{name:30}{ours.mean():9.1%}{theirs.mean():11.1%}{same.mean():9.1%}{same[english].mean():12.1%}")
        for error, times in peers["errors"].items():
            print(f"  datatrove raised on {times} documents: {error}")
    print()
    if "texts" in peers:
        same = sum(a == b for a, b in zip(winnow.texts.to_pylist(), peers["texts"], strict=True))
        print(f"repaired texts equal to ftfy's        {same:6,} of {number:,}")
    if "tokens" in peers:
        same = sum(a == b for a, b in zip(winnow.tokens, peers["tokens"], strict=True))
        print(f"token ids equal to tiktoken's         {same:6,} of {number:,}")
    if "pairs" in peers:
        ours, theirs = winnow.pairs(), {tuple(pair) for pair in peers["pairs"]}
        print(
            f"pairs alike by {THRESHOLD:.0%} or more           Winnow {len(ours):,} (with the first of a band), "
            f"datasketch {len(theirs):,} (all, its own words), both {len(ours & theirs):,}"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpus(parser)
    parser.add_argument("--mb", type=float, default=6.0, help="size of the sample")
    parser.add_argument("--peers-python", default=os.environ.get("WINNOW_PEERS_PYTHON"))
    arguments = parser.parse_args()
    one_core()
    columns = [texts for texts in map(read_texts, corpus_files(arguments.corpus)) if text_bytes(texts)]
    total = sum(map(text_bytes, columns))
    sampled = [even_rows(texts, text_bytes(texts) * arguments.mb * 1e6 / total) for texts in columns]
    raw = pa.concat_arrays([texts.take(pa.array(rows)) for texts, rows in zip(columns, sampled, strict=True)])
    rest = [np.setdiff1d(np.arange(len(texts)), rows) for texts, rows in zip(columns, sampled, strict=True)]
    others = pa.concat_arrays([texts.take(pa.array(rows[::8])) for texts, rows in zip(columns, rest, strict=True)])
    size = text_bytes(raw)
    print(
        f"{len(raw):,} documents, {size / 1e6:.1f} MB of text, evenly from {len(columns)} files; "
        f"{text_bytes(others) / 1e6:.0f} MB of others seen before"
    )
    winnow = Winnow(raw, others)
    peers: dict = {"seconds": {}, "kept": {}, "missing": [], "versions": {}}
    if arguments.peers_python:
        peers = run_worker(arguments.peers_python, raw.to_pylist(), winnow.minhash)
        names = ", ".join(f"{name} {number}" for name, number in peers["versions"].items())
        print(f"other tools: {names}, Python {peers['python']}")
    else:
        print("other tools: not installed, skipped; name their interpreter with --peers-python or WINNOW_PEERS_PYTHON")
    for missing in peers["missing"]:
        print(f"not installed, skipped: {missing}")
    print_speed(size, winnow, peers)
    print_decisions(winnow, peers)


if __name__ == "__main__":
    main()
