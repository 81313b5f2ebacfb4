"""How well quality heads tell real kinds of text apart, by encoder: AUC on held-out examples, and the fit's time.

    python -m benchmarks.quality [--corpus FOLDER] [--examples 400] [--encoder hashing] [--max-tokens 128]

Four distinctions in the test corpus: spam and wanted mail; praising and damning film reviews; the documentation of two
programs of one kind; and one source (film reviews) against all others. Examples are drawn evenly over the files.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard

from winnow.dedup.exact import text_hashes
from winnow.select.encoder import encoder_of, encoder_settings
from winnow.select.encoder_config import EncoderConfig
from winnow.select.quality import fit_head, usable_examples, validate
from winnow.select.vectors import has_vector, stored_vectors

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "corpus"
Wanted = Callable[[dict[str, str]], bool]
MAIL, FILMS = "10-spamassassin", "09-imdb"


def of_path(part: str) -> Wanted:
    """Records whose path holds ``part``."""
    return lambda record: part in record["path"]


def any_record(record: dict[str, str]) -> bool:
    """All of them."""
    return True


def english(record: dict[str, str]) -> bool:
    """Records in English."""
    return record.get("lang") == "en"


DISTINCTIONS: dict[str, tuple[list[tuple[str, Wanted]], list[tuple[str, Wanted]]]] = {
    "wanted mail / spam": ([(MAIL, of_path("-ham-"))], [(MAIL, of_path("data/spam-"))]),
    "praising / damning reviews": ([(FILMS, of_path("/pos"))], [(FILMS, of_path("/neg"))]),
    "etcd / Helm documentation": ([("02-etcd-website", english)], [("01-helm-www", english)]),
    "reviews / eight other sources": (
        [(FILMS, any_record)],
        [(name, any_record) for name in ("01-helm-www", "03-rust-book", "06-nltk-data", MAIL)]
        + [(name, any_record) for name in ("08-pg-books", "11-ruanyf-weekly", "13-amiga-docs", "14-code-dev")],
    ),
}


def texts(corpus: Path, sets: list[tuple[str, Wanted]], number: int) -> list[str]:
    """``number`` texts, as many from each file, spread evenly over it."""
    found = []
    for name, wanted in sets:
        with zstandard.open(corpus / f"{name}.jsonl.zst", "rt", encoding="utf-8") as file:
            all_of_it = [record["text"] for record in map(json.loads, file) if wanted(record)]
        share = min(len(all_of_it), number // len(sets))
        found += [all_of_it[n * len(all_of_it) // share] for n in range(share)]
    return found


def main() -> None:
    """Print one line a distinction and penalty."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=SHARED)
    parser.add_argument("--examples", type=int, default=400, help="of each class")
    parser.add_argument("--encoder", default="hashing")
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--l2", type=float, nargs="*", default=[1.0])
    parser.add_argument("--only", nargs="*", default=list(DISTINCTIONS), choices=list(DISTINCTIONS))
    options = parser.parse_args()
    config = EncoderConfig(model=options.encoder, max_tokens=options.max_tokens)
    encoder = encoder_of(encoder_settings(config, gpus=False), config.model)
    print(f"{options.encoder}, first {options.max_tokens} tokens, {options.examples} examples of each class")
    for name in options.only:
        good, bad = DISTINCTIONS[name]
        wanted, unwanted = (texts(options.corpus, sets, options.examples) for sets in (good, bad))
        both = pa.array([*wanted, *unwanted], pa.large_string())
        positive = np.arange(len(both)) < len(wanted)
        started = time.process_time()
        vectors = stored_vectors(encoder.embed(encoder.prepare(both)))
        embedding = time.process_time() - started
        usable = usable_examples(positive, text_hashes(both), has_vector(vectors), 0.25, 0)
        for l2 in options.l2:
            started = time.process_time()
            head, converged = fit_head(vectors[usable.training], positive[usable.training], l2)
            seconds = time.process_time() - started
            found = validate(head.judge(vectors[usable.validation]), positive[usable.validation])
            best = np.nanmax(np.where(found.recall >= 0.9, found.precision, np.nan))
            told = "" if converged else "  NOT CONVERGED"
            print(
                f"{name:30} l2 {l2:<6g} AUC {found.auc:.4f}  precision at recall 0.9: {best:.3f}   "
                f"embedding {len(both) / embedding:7,.0f} documents/s, fit {seconds * 1000:5.0f} ms of CPU{told}",
                flush=True,
            )


if __name__ == "__main__":
    main()
