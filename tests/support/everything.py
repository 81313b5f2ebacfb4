"""A run over real text in which every step and operator is on that needs no GPU, and the models that it asks."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.configs import run_config, source_of
from tests.support.fasttext_models import library
from winnow.runs.train_ngrams import train_ngrams
from winnow.select.step_configs import ExamplesConfig

PROSE = ("07-eltec-eng", "08-pg-books", "09-imdb", "10-spamassassin")
"""Files of the shared corpus whose lines may go."""


def train_models(folder: Path, texts: list[str]) -> list[dict[str, Any]]:
    """Entries of ``measure.operators``: all that are built in, two of them with models trained on these texts."""
    (folder / "target.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    target = ExamplesConfig(path=(str(folder / "target.jsonl"),))
    train_ngrams(target, str(folder / "target.arpa"), "words", [1, 1, 2], 200_000, by_line=True)
    lines = [f"__label__{n % 2} {' '.join(text[:2000].split())}\n" for n, text in enumerate(texts)]
    (folder / "lines.txt").write_text("".join(lines))
    shape = {"dim": 100, "wordNgrams": 2, "bucket": 200_000, "epoch": 1, "thread": 1, "verbose": 0, "seed": 1}
    library().train_supervised(str(folder / "lines.txt"), **shape).save_model(str(folder / "two.bin"))
    return [
        {"use": "fasttext", "name": "good", "model": str(folder / "two.bin"), "label": "1"},
        {"use": "perplexity", "name": "target", "model": str(folder / "target.arpa"), "tokens": "words"},
        {"use": "pii", "max_spans": 200},
    ]


def plain_config(files: Iterable[Path], run: Path, **sections: Any) -> dict[str, Any]:
    """Each file is a source of its own; nothing beyond the default is on."""
    sources = [source_of(path, path.name.partition(".")[0], id="id") for path in files]
    return run_config(run, *sources, shards={"splits": {"val": 0.01}}, **sections)


def everything_config(
    files: Iterable[Path], run: Path, operators: list[dict[str, Any]], sets: Iterable[Path], **sections: Any
) -> dict[str, Any]:
    """The same with everything on.

    Args:
        files: JSON Lines with ``id`` and ``text``.
        run: folder of the run.
        operators: see :func:`train_models`.
        sets: of evaluation items.
        sections: of the config, in place of what stands here.
    """
    plain = plain_config(files, run)
    names = [source["name"] for source in plain["sources"]]
    prose = [name for name in names if name in PROSE]
    level = {"name": "level", "signal": "good", "quantiles": [0.2, 0.8], "names": ["low", "middle", "high"]}
    main = {"by": "level", "repeats": {"high": 2, "*": 1}}
    late = {"by": ["source", "level"], "weights": {names[0]: {"high": 2, "*": 1}, "*": 1}}
    return plain | {
        "measure": {
            "operators": operators,
            "line_rules": {
                "c4": {"terminal_punctuation": False}, "navigation": "on", "max_blank_lines": 2, "sources": prose
            },
        },
        "filter": {"mode": "annotate", "rules": [{"signal": "target", "max_quantile": 0.95, "by": "source"}]},
        "dedup": {"lines": {"sources": prose}},
        "decontaminate": {"sets": [str(path) for path in sets], "action": "span"},
        "passages": "on",
        "select": {"encoder": {"dimensions": 64}, "semantic": {"epsilon": 0.05}},
        "documents": {"formats": ["jsonl.zst"], "columns": ["id", "text", "good", "target"]},
        "report": True,
        "shards": {
            "splits": {"val": 0.01},
            "max_epochs": 100,
            "buckets": [level],
            "phases": [{"name": "main", "mixture": main}, {"name": "late", "mixture": late, "max_tokens": 100_000}],
        },
    } | sections  # fmt: skip
