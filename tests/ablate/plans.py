"""A plan of two arms over two made-up languages, small enough for seconds."""

import json
from pathlib import Path

import numpy as np

LANGUAGES = ("ka", "su")


def sentences(language: str, seed: int, documents: int) -> list[str]:
    """Documents of sentences whose words are of one language: each word is followed by one of four."""
    fixed = np.random.default_rng(LANGUAGES.index(language))
    letters = {"ka": list("abcdefg"), "su": list("mnopqrs")}[language]
    words = ["".join(fixed.choice(letters, fixed.integers(3, 8))) for _ in range(60)]
    after = fixed.integers(0, 60, (60, 4))
    rng = np.random.default_rng([seed, *language.encode()])
    found = []
    for _ in range(documents):
        at, text = int(rng.integers(60)), []
        for _ in range(int(rng.integers(60, 160))):
            text.append(words[at])
            at = int(after[at, rng.integers(4)])
        found.append(" ".join(text) + ".")
    return found


def write_texts(path: Path, texts: list[str], **fields: list[str]) -> Path:
    rows = [
        {"id": f"{path.stem}-{n}", "text": text, **{k: v[n] for k, v in fields.items()}} for n, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_plan(folder: Path, **sections) -> Path:
    """The plan, its base, sources and held-out text; sections replace what stands in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for language in LANGUAGES:
        write_texts(folder / f"{language}.jsonl", sentences(language, 1, 150))
    held = {language: sentences(language, 2, 12) for language in LANGUAGES}
    kinds = [language for language in LANGUAGES for _ in range(12)]
    write_texts(folder / "held.jsonl", held["ka"] + held["su"], kind=kinds)
    base = {
        "run": "unused",
        "sources": [{"name": n, "path": str(folder / f"{n}.jsonl"), "id": "id"} for n in LANGUAGES],
        "filter": {"mode": "annotate"},
        "dedup": "off",
        "shards": {"sequence_tokens": 32, "shard_mb": 1, "splits": {"val": 0.1}},
        "report": False,
    }
    (folder / "base.yaml").write_text(json.dumps(base))
    plan = {
        "ablation": str(folder / "ablation"),
        "base": str(folder / "base.yaml"),
        "vocabulary": {"size": 300, "sample_mb": 1},
        "arms": [{"name": "both"}, {"name": "ka_alone", "settings": {"shards.mixture": {"ka": 1, "su": 0}}}],
        "model": {"layers": 1, "width": 32, "heads": 2},
        "train": {"tokens": 16_000, "seeds": 3, "batch_tokens": 256, "learning_rate": 0.01},
        "evaluate": {"sets": [{"name": "held", "path": str(folder / "held.jsonl"), "by": "kind", "kb": 10}]},
        "compute": {"executor": "inline"},
    }
    path = folder / "plan.yaml"
    path.write_text(json.dumps({**plan, **sections}))
    return path
