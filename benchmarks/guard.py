"""What each part of `dedup.guard` costs in removals and saves in content, on a finished run.

    python -m benchmarks.guard RUN [--sample 2000] [--json FILE]

RUN is the folder of a finished run with `dedup.verify: exact` and a guard that refuses nothing, so that its tables hold
what every text says::

    dedup: {guard: {script: false, language: false, min_containment: 0, keeper_not_shorter: false}}

Keepers are chosen anew from its candidates for each setting; nothing else of the run is done again. Columns of the
first table, of near-duplicates (exact ones lose nothing and are the same in all rows):

- lost: word 3-grams of a removed text that its keeper lacks, in the mean, the median and at most; `lossless` = none;
- script, language: removals across scripts, and across languages where both are sure;
- shorter: removals whose keeper has fewer characters.

The second: *similar* pairs are those of true Jaccard similarity >= the threshold, found by exact search of a sample
against all documents; of these, *contained* ones are in one script and language and the other holds >= 95 % of the
word 3-grams of one of the two. Recall: of sampled documents in such a pair, those that are removed, or of which such a
twin is. Precision: of the removals of a setting, those that are such pairs.

The third: whether the keeper is the one that holds most. Every removed document is compared with all kept ones of
similarity >= the threshold; `first` is the recorded keeper, the best-ranked one that the guard allows. And what other
orders of `dedup.keep` remove and lose.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from winnow.audit.documents import dedup_of, draw
from winnow.audit.exact_search import SetIndex, join_sets, shingles_of, take_sets
from winnow.dedup.guard import CONTENT_WORDS
from winnow.dedup.guard_config import GuardConfig
from winnow.dedup.index import is_indexed
from winnow.flow.records import RunRecords
from winnow.looking.texts import texts_of
from winnow.runs.state import load_run
from winnow.stages.dedup import keepers
from winnow.text.words import hash_words

OFF = {"script": False, "language": False, "min_containment": 0.0, "keeper_not_shorter": False}
CONTAINED = 0.95
ALL = {"script": True, "language": True, "keeper_not_shorter": True}
SETTINGS: dict[str, dict[str, Any]] = {
    "off": OFF,
    "script": OFF | {"script": True},
    "language": OFF | {"language": True},
    **{
        f"containment {share:g}": OFF | {"min_containment": share}
        for share in (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
    },
    "not shorter": OFF | {"keeper_not_shorter": True},
    "script, language, not shorter": ALL | {"min_containment": 0.0},
    **{f"all, containment {share:g}": ALL | {"min_containment": share} for share in (0.85, 0.9, 0.95)},
    "the default": {},
    "the default, templates kept": {"templates": "keep"},
    "off, templates kept": OFF | {"templates": "keep"},
}


class Removals(NamedTuple):
    """Near-duplicates that a setting removes, and what its guard kept."""

    doc: NDArray[np.uint64]
    keeper: NDArray[np.uint64]
    lost: NDArray[np.int64]
    containment: NDArray[np.float64]
    across_scripts: NDArray[np.bool_]
    across_languages: NDArray[np.bool_]
    shorter: NDArray[np.bool_]
    exact: NDArray[np.uint64]
    """Exact duplicates."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--sample", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    run = load_run(str(options.run))
    found = {}
    for name, setting in SETTINGS.items():
        started = time.process_time()
        found[name] = removals(run, GuardConfig(**setting))
        print(f"{name}: {time.process_time() - started:.1f} s", flush=True)
    print_losses(found)
    pairs = similar_pairs(run, options.sample)
    print_quality(found, *pairs)
    print_changes(found["off"], found["the default"])
    for name in ("off", "the default"):
        print_choice(run, name, found[name])
    print_orders(run)
    if options.json:
        listed = {name: {k: v.tolist() for k, v in r._asdict().items()} for name, r in found.items()}
        options.json.write_bytes(orjson.dumps(listed))


def listing_of(run: RunRecords) -> dict[str, Any]:
    """Where the run's candidates are listed."""
    entries = [record.outputs["candidates"].reference() for record in run.of("candidates")]
    entries += [record.outputs["candidates"].reference() for record in run.of("index_candidates")]
    content = orjson.dumps(entries)
    run.store.replace("audit/guard-candidates.json", content)
    return {"path": "audit/guard-candidates.json"}


def removals(run: RunRecords, guard: GuardConfig, keep: tuple[str, ...] = ()) -> Removals:
    """What a guard lets go; ``keep`` instead of the run's order of keepers."""
    config = dedup_of(run)
    settings = {
        "threshold": config.threshold,
        "keep": list(keep or config.keep),
        "segment": 0,
        "verify": config.verify,
        "guard": guard.model_dump(),
    }
    listing = listing_of(run)
    pieces = []
    for partition in range(len(run.of("keepers"))):
        columns, decided, sizes = keepers.decide_members(run.store, listing, partition, settings)
        gone = np.flatnonzero((decided.keeper >= 0) & ~is_indexed(columns["doc"]))
        near = gone[~decided.exact[gone]]
        by = decided.keeper[near]
        script, language = columns["script"], columns["language"]
        pieces.append(
            Removals(
                columns["doc"][near],
                columns["doc"][by],
                decided.lost[near],
                1.0 - decided.lost[near] / np.maximum(sizes[near], 1),
                (script[near] != script[by]) & (script[near] > 0) & (script[by] > 0),
                (language[near] != language[by]) & (language[near] > 0) & (language[by] > 0),
                columns["text_characters"][by] < columns["text_characters"][near],
                columns["doc"][gone[decided.exact[gone]]],
            )
        )
    return Removals(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


def print_losses(found: dict[str, Removals]) -> None:
    """The first table."""
    print(
        "\nguard                          removed  exact  lost: mean  median   most  lossless  least held  "
        "script  language  shorter"
    )
    for name, r in found.items():
        n = max(len(r.doc), 1)
        print(
            f"{name:30} {len(r.doc):7,} {len(r.exact):6,} {r.lost.mean() if len(r.doc) else 0:11.1f} "
            f"{np.median(r.lost) if len(r.doc) else 0:7.0f} {r.lost.max(initial=0):6,} {(r.lost == 0).sum() / n:9.1%} "
            f"{r.containment.min(initial=1.0):11.3f} {r.across_scripts.sum():7,} {r.across_languages.sum():9,} "
            f"{r.shorter.sum() / n:8.1%}"
        )


def similar_pairs(run: RunRecords, sample: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.bool_]]:
    """Documents [P], their twins [P] of true similarity >= threshold and other text, and whether one is contained.

    Every sampled document is compared with all that took part in dedup.
    """
    config = dedup_of(run)
    chosen = draw(run, lambda rows: rows.passed, sample, 1)
    everything = draw(run, lambda rows: rows.passed, 1 << 40, 1)
    sampled, pieces = [], []
    for docs, texts in texts_of(run, chosen):
        sampled.append(docs)
        pieces.append(shingles_of(hash_words(texts), config.minhash.ngram))
    own = np.concatenate(sampled)
    index = SetIndex(join_sets(pieces))
    left, right = [], []
    for docs, texts in texts_of(run, everything):
        for pairs in index.search(shingles_of(hash_words(texts), config.minhash.ngram), config.threshold):
            left.append(own[pairs.indexed])
            right.append(docs[pairs.row])
    a, b = np.concatenate(left), np.concatenate(right)
    a, b = a[a != b], b[a != b]
    return a, b, contained_pairs(run, a, b)


def contained_pairs(run: RunRecords, a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which pairs are in one script and language, one holding `CONTAINED` of the other's word 3-grams."""
    from winnow.stages.dedup.candidate_sets import _identifier
    from winnow.text.language.sure import sure_languages
    from winnow.text.prose import prose_of
    from winnow.text.scripts import dominant_scripts

    known: dict[int, tuple[Any, int, int]] = {}
    for docs, texts in texts_of(run, np.union1d(a, b)):
        sets, prose = shingles_of(hash_words(texts), CONTENT_WORDS), prose_of(texts)
        script, language = dominant_scripts(texts, prose).tolist(), sure_languages(prose, _identifier()).tolist()
        known |= {doc: (sets.of(n).copy(), script[n], language[n]) for n, doc in enumerate(docs.tolist())}
    found = np.zeros(len(a), np.bool_)
    for n, (one, other) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        (ngrams, script, language), (others, other_script, other_language) = known[one], known[other]
        common = len(np.intersect1d(ngrams, others, assume_unique=True))
        found[n] = (
            common >= CONTAINED * min(len(ngrams), len(others))
            and (script == other_script or not (script and other_script))
            and (language == other_language or not (language and other_language))
        )
    return found


def print_quality(
    found: dict[str, Removals], a: NDArray[np.uint64], b: NDArray[np.uint64], contained: NDArray[np.bool_]
) -> None:
    """The second table."""
    print(f"\n{len(np.unique(a)):,} sampled documents with a similar twin, {len(np.unique(a[contained])):,} contained")
    print("guard                            recall: similar  contained   precision: similar  contained")
    for name, r in found.items():
        gone = np.union1d(r.doc, r.exact)
        met = np.isin(a, gone) | np.isin(b, gone)
        recall = [
            np.isin(np.unique(a[of]), a[met & of]).mean() if of.any() else 1.0 for of in (np.ones_like(met), contained)
        ]
        right = (r.containment >= CONTAINED) & ~r.across_scripts & ~r.across_languages
        print(f"{name:30} {recall[0]:17.1%} {recall[1]:10.1%} {1.0:20.1%} {right.mean() if len(r.doc) else 1.0:10.1%}")


def print_changes(off: Removals, default: Removals) -> None:
    """How many documents change their outcome."""
    print()
    both = np.intersect1d(off.doc, default.doc)
    one, other = (r.keeper[np.argsort(r.doc)][np.isin(np.sort(r.doc), both)] for r in (off, default))
    print(f"removed as near-duplicates by both, for another keeper: {(one != other).sum():,}")
    gone = [np.union1d(r.doc, r.exact) for r in (off, default)]
    kept, now_removed = np.setdiff1d(*gone), np.setdiff1d(*gone[::-1])
    exact = np.setxor1d(off.exact, default.exact)
    changed = np.union1d(np.union1d(kept, now_removed), exact)
    print(
        f"documents whose outcome changes: {len(changed):,} ({len(kept):,} kept now, {len(now_removed):,} removed now, "
        f"{len(changed) - len(kept) - len(now_removed):,} removed either way, as exact or near-duplicates)"
    )


def print_choice(run: RunRecords, name: str, removed: Removals) -> None:
    """Whether the recorded keeper is, of the kept ones that reach the threshold, the one that holds most."""
    config = dedup_of(run)
    gone = np.union1d(removed.doc, removed.exact)
    kept = np.setdiff1d(draw(run, lambda rows: rows.passed, 1 << 40, 1), gone)
    own, pieces, known = [], [], {}
    for docs, texts in texts_of(run, np.union1d(removed.doc, removed.keeper)):
        words = hash_words(texts)
        sets = shingles_of(words, CONTENT_WORDS)
        known |= {doc: sets.of(n).copy() for n, doc in enumerate(docs.tolist())}
        here = np.flatnonzero(np.isin(docs, removed.doc))
        own.append(docs[here])
        pieces.append(take_sets(shingles_of(words, config.minhash.ngram), here))
    order = np.concatenate(own)
    index = SetIndex(join_sets(pieces))
    best: dict[int, float] = {}
    choices: dict[int, int] = {}
    for _docs, texts in texts_of(run, kept):
        words = hash_words(texts)
        sets = shingles_of(words, CONTENT_WORDS)
        for pairs in index.search(shingles_of(words, config.minhash.ngram), config.threshold):
            for at, row in zip(pairs.indexed.tolist(), pairs.row.tolist(), strict=True):
                ngrams = known[doc := int(order[at])]
                share = len(np.intersect1d(ngrams, sets.of(row), assume_unique=True)) / max(len(ngrams), 1)
                best[doc] = max(best.get(doc, 0.0), share)
                choices[doc] = choices.get(doc, 0) + 1
    sizes = np.array([len(known[doc]) for doc in removed.doc.tolist()])
    most = np.array([best[doc] for doc in removed.doc.tolist()])
    several = np.array([choices[doc] > 1 for doc in removed.doc.tolist()])
    first = removed.containment >= most - 1e-9
    print(
        f"{name}: {several.mean():.1%} of {len(several):,} removals have several kept documents at the threshold; the "
        f"recorded keeper holds most for {first.mean():.2%}; lost in the mean {removed.lost.mean():.1f}, to the one "
        f"that holds most {((1 - most) * sizes).mean():.1f}"
    )


def print_orders(run: RunRecords) -> None:
    """What orders of `dedup.keep` remove and lose, with the default guard and without one."""
    print("\nkeep (guard)                                                  removed  lost: mean   most  shorter")
    for keep in (
        ("source_priority", "highest_quality", "longest", "first"),
        ("source_priority", "longest", "highest_quality", "first"),
        ("longest", "first"),
        ("first",),
    ):
        for name, setting in (("off", OFF), ("default", {})):
            r = removals(run, GuardConfig(**setting), keep)
            label = f"{', '.join(keep)} ({name})"
            print(
                f"{label:62} {len(r.doc):6,} {r.lost.mean():11.1f} {r.lost.max(initial=0):6,} {r.shorter.mean():8.1%}"
            )


if __name__ == "__main__":
    main()
