"""Small models, trained by the fastText library itself, and what the library says of texts."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

KNOWN = [f"w{n}" for n in range(200)] + ["été", "日本語", "ok,"]
ODD = ["</s>", "__label__a", "__label__none", "\t", "\x00", "\v", "neverseen", "É", "x", "語", "__label", "a\u2028b"]
PLAIN: dict[str, Any] = {"epoch": 12, "lr": 0.9, "dim": 10, "bucket": 3000, "thread": 1, "verbose": 0, "seed": 1}
KINDS: dict[str, dict[str, Any]] = {
    "two": {"labels": 2, "wordNgrams": 2},
    "two, quantised": {"labels": 2, "wordNgrams": 2, "quantise": {"dsub": 3}},
    "softmax": {"wordNgrams": 3, "minn": 2, "maxn": 4},
    "words alone": {},
    "hs": {"loss": "hs", "wordNgrams": 2, "minn": 1, "maxn": 3},
    "ova": {"loss": "ova", "wordNgrams": 2},
    "ns": {"loss": "ns"},
    "pruned": {"wordNgrams": 2, "minn": 2, "maxn": 3, "quantise": {"qnorm": True, "cutoff": 600}},
    "pruned, hs": {"loss": "hs", "minn": 2, "maxn": 3, "quantise": {"cutoff": 500, "dsub": 4}},
    "output quantised": {"labels": 300, "wordNgrams": 2, "quantise": {"qnorm": True, "qout": True, "dsub": 3}},
}


def library() -> Any:
    """The fastText library; a test that needs it is skipped without."""
    return pytest.importorskip("fasttext", reason="fasttext-wheel, the reference, is not installed")


def train(folder: Path, kind: str) -> str:
    """A model of a kind; its path."""
    path = folder / f"{kind.replace(', ', '-').replace(' ', '-')}.{'ftz' if 'quantise' in KINDS[kind] else 'bin'}"
    if path.exists():
        return str(path)
    settings = {**PLAIN, **KINDS[kind]}
    labels, quantise = settings.pop("labels", 5), settings.pop("quantise", None)
    draw, lines = random.Random(3), folder / f"{kind}.txt"
    with lines.open("w") as out:
        for n in range(900):
            label = n % labels
            words = draw.choices(KNOWN[label % 5 * 25 : label % 5 * 25 + 103], k=12)
            out.write(f"__label__{chr(97 + label) if labels < 26 else label} {' '.join(words)}\n")
    model = library().train_supervised(str(lines), **settings)
    if quantise is not None:
        model.quantize(input=str(lines), thread=1, verbose=0, **quantise)
    model.save_model(str(path))
    return str(path)


def odd_texts(number: int = 150) -> list[str]:
    """Texts of words that models know, and of what is easily got wrong."""
    draw = random.Random(4)
    texts = [" ".join(draw.choices([*KNOWN, *ODD], k=draw.randrange(25))) for _ in range(number)]
    return [*texts, "", "   ", "a", "</s>", "</s> w1", "__label__b w2", "w1\u00a0w2", "w3 " * 3000]


def asked(path: str, texts: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """The library's probabilities, a row a text; NaN where it says nothing."""
    model = library().load_model(path)
    out = np.full((len(texts), len(labels)), np.nan)
    for row, text in enumerate(texts):
        said = {label: value for value, label in predicted(model, text, -1)}
        out[row] = [said.get(label, np.nan) for label in labels]
    return out


def predicted(model: Any, text: str, number: int) -> list[tuple[float, str]]:
    """Probabilities and labels; the wrapper around this call fails with numpy 2."""
    found: list[tuple[float, str]] = model.f.predict(text + "\n", number, -1.0, "strict")
    return found
