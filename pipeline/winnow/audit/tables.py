"""The audits as tables of plain text, the same for the terminal and for the HTML page. Nothing is escaped here."""

from dataclasses import dataclass

from winnow.audit.dedup import DedupAudit
from winnow.audit.intervals import Share
from winnow.audit.ngrams import NGRAM
from winnow.audit.splits import SplitsAudit
from winnow.audit.twins import LeftPair


@dataclass(frozen=True)
class TableOf:
    """A table to be shown; texts may hold anything that the corpus does."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    """Columns of figures."""


def headline(audit: DedupAudit) -> str:
    """Whether the guarantee holds, in one sentence."""
    checked = audit.removed.documents - audit.removed.kept_by_earlier_runs
    if audit.guaranteed:
        return (
            f"The guarantee holds: each of {checked:,} removed documents looked at has a kept one at verified "
            f"similarity ({audit.verify}) of at least {audit.threshold:g}"
            f"{', and loses no more than dedup.guard allows' if audit.losses.guarded else ''}."
        )
    return (
        f"THE GUARANTEE IS BROKEN: {audit.removed.violations_count:,} of {checked:,} removed documents looked at have "
        f"no kept one at verified similarity ({audit.verify}) of at least {audit.threshold:g}"
        f"{' that dedup.guard allows' if audit.losses.guarded else ''}."
    )


def splits_headline(audit: SplitsAudit) -> str:
    """Whether splits share documents, in one sentence."""
    pairs = f"{audit.at_threshold:,} pairs between {' and '.join(audit.documents)}"
    among = f", of this run and of the {audit.earlier_runs:,} before it," if audit.earlier_runs else ""
    sentence = f"{pairs}{among} have a true similarity of at least {audit.threshold:g}."
    if audit.missing_runs:
        sentence += f" NOT LOOKED AT: {len(audit.missing_runs):,} earlier runs whose folders are gone."
    return sentence


def dedup_tables(audit: DedupAudit) -> list[TableOf]:
    """All tables of the audit of deduplication but the texts."""
    return [
        _violations(audit),
        *_quality(audit),
        *_losses(audit),
        _curve(audit),
        *_planted(audit),
        _left(audit),
        _clusters(audit),
    ]


def splits_tables(audit: SplitsAudit) -> list[TableOf]:
    """All tables of the audit of splits."""
    documents = ", ".join(f"{name} {number:,}" for name, number in audit.documents.items())
    overlaps = tuple(
        (o.split, f"{o.documents:,}", _percent(o.with_ngram), _of(o.with_ngram), _percent(o.ngrams), _of(o.ngrams))
        for o in audit.overlaps
    )
    pairs = tuple(
        (
            f"{p.similarity:.4f}",
            _placed(p.id, p.split, p.run, audit.run),
            _placed(p.other_id, p.other_split, p.other_run, audit.run),
            "yes" if p.met else f"no: chance {p.chance_missed:.2%}",
        )
        for p in audit.pairs
    )
    note = (
        f"Documents: {documents}. Every document of the smaller splits was compared exactly with all documents of the "
        f"others. {audit.pairs_count:,} pairs reach {audit.similarity:g}, {audit.at_threshold:,} the threshold of "
        f"{audit.threshold:g}."
    )
    if audit.earlier_runs:
        listed = ", ".join(f"{name} {number:,}" for name, number in audit.earlier_documents.items())
        note += f" The same against the {audit.earlier_runs:,} runs before this one, in both directions: {listed}."
    if audit.missing_runs:
        note += f" Folders of earlier runs that are gone: {', '.join(audit.missing_runs)}."
    return [
        TableOf("Near-duplicates between splits", note, ("similarity", "document", "its like", "share a band"), pairs),
        TableOf(
            f"Runs of {NGRAM} words shared with train",
            "Quotations, licences and templates are shared without any document being a duplicate.",
            ("split", "documents", f"with a shared {NGRAM}-gram", "of", f"shared {NGRAM}-grams", "of"),
            overlaps,
            frozenset({1, 2, 3, 4, 5}),
        ),
    ]


def _placed(name: str, split: str, run: str, audited: str) -> str:
    return f"{name} ({split})" if run == audited else f"{name} ({split}, {run})"


def _edge(similarity: float) -> str:
    return f"{similarity:.2f}" if round(similarity, 2) == similarity else f"{similarity:g}"


def _percent(share: Share) -> str:
    return "-" if share.share is None else f"{share.share:.2%}"


def _of(share: Share) -> str:
    return f"{share.hits:,} of {share.of:,}"


def _interval(share: Share) -> str:
    return "-" if share.share is None else f"{share.low:.2%} to {share.high:.2%}"


def _measured(name: str, share: Share) -> tuple[str, ...]:
    return name, _percent(share), _interval(share), _of(share)


def _violations(audit: DedupAudit) -> TableOf:
    rows = tuple((v.id, str(v.doc), str(v.keeper), v.problem) for v in audit.removed.violations)
    earlier = audit.removed.kept_by_earlier_runs
    note = f"{earlier:,} more were removed for documents of earlier runs, whose texts are not here." if earlier else ""
    return TableOf(
        "Removed documents without a kept one in their stead",
        f"{audit.removed.violations_count:,} of those looked at. {note}".strip(),
        ("removed document", "number", "keeper", "what is wrong"),
        rows,
    )


def _quality(audit: DedupAudit) -> list[TableOf]:
    twins, removed = audit.twins, audit.removed
    precision = [
        _measured(f"near-duplicates removed for a text of true similarity >= {audit.threshold:g}", removed.near),
        _measured("the same, exact duplicates included", removed.all),
    ]
    recall = []
    for r in twins.recall:
        recall.append(_measured(f"twin at >= {r.similarity:g}: every such pair found", r.joined))
        recall.append(_measured(f"twin at >= {r.similarity:g}: one of every such pair removed", r.removed))
    below = tuple(
        (f"more than {distance:g} below" if distance else "below", f"{documents:,}")
        for distance, documents in removed.below
    )
    columns = ("measured exactly", "share", "95 % interval", "documents")
    figures = frozenset({1, 2, 3})
    lowest = "" if removed.lowest is None else f" The lowest is {removed.lowest:.4f}."
    return [
        TableOf(
            "Precision",
            f"{removed.documents:,} removed documents, each compared with its keeper by the Jaccard similarity of "
            f"their sets of {audit.ngram} words. `verify: {audit.verify}`.{lowest}",
            columns,
            tuple(precision),
            figures,
        ),
        TableOf(
            "Near-duplicates by true similarity to their keeper",
            "",
            ("the threshold", "documents"),
            below,
            frozenset({1}),
        ),
        TableOf(
            "Recall",
            f"{twins.documents:,} documents, each compared with all {twins.corpus_documents:,} that took part in "
            "dedup, by exact search. Counted are those with a twin of another text. Found: one of the two was removed, "
            f"or dedup compared them. Kept copies of equal text: {twins.copies_left:,}.",
            columns,
            tuple(recall),
            figures,
        ),
    ]


def _losses(audit: DedupAudit) -> list[TableOf]:
    losses = audit.losses
    if not losses.guarded:
        return []
    held = "-" if losses.least_containment is None else f"{losses.least_containment:.4f}"
    figures = (
        ("mean", f"{losses.mean:,.1f}"),
        ("median", f"{losses.median:,.0f}"),
        ("ninth decile", f"{losses.ninth_decile:,.0f}"),
        ("most", f"{losses.most:,}"),
        ("removals that lost none", f"{losses.without_loss:,}"),
        ("least share that a keeper holds", held),
    )
    unknown = (
        f" Of {losses.not_checked:,} more it is not known: no guard saw their keepers." if losses.not_checked else ""
    )
    kept = ", ".join(f"{reason} {number:,}" for reason, number in losses.kept_by_guard.items()) or "none"
    worst = tuple(
        (loss.id, loss.keeper_id, f"{loss.lost:,}", f"{loss.containment:.4f}", f"{loss.similarity:.4f}")
        for loss in losses.worst
    )
    return [
        TableOf(
            "What removals lost",
            f"Word 3-grams of each of {losses.removed:,} near-duplicates that its keeper does not hold.{unknown} Kept "
            f"by dedup.guard though they reach the threshold, by reason: {kept}; {losses.other_keeper:,} went for "
            "another keeper than the best-ranked.",
            ("lost word 3-grams", ""),
            figures,
            frozenset({1}),
        ),
        TableOf(
            "Removals that lost most",
            "The page shows both texts, with what differs marked.",
            ("removed document", "keeper", "lost", "share held", "similarity"),
            worst,
            frozenset({2, 3, 4}),
        ),
    ]


def _curve(audit: DedupAudit) -> TableOf:
    rows = tuple(
        (
            f"{_edge(b.low)} to {_edge(b.high)}",
            f"{b.pairs:,}",
            f"{b.met.hits:,}",
            "-" if b.met.share is None else f"{b.met.share:.4f}",
            "-" if b.theory is None else f"{b.theory:.4f}",
        )
        for b in audit.twins.curve
    )
    alike = audit.twins.candidates_alike
    return TableOf(
        "Chance to meet, by true similarity",
        f"Pairs of different texts that share one of {audit.bands} bands of {audit.rows} rows, beside the formula. "
        "Pairs of one template are not independent of each other; the planted copies below are. Without verification, "
        f"{_percent(alike)} of all pairs that meet would be rightly removed.",
        ("true similarity", "pairs", "share a band", "measured", "formula"),
        rows,
        frozenset({1, 2, 3, 4}),
    )


def _planted(audit: DedupAudit) -> list[TableOf]:
    kinds = tuple(
        (
            k.edit,
            "-" if k.mean_similarity is None else f"{k.mean_similarity:.3f}",
            _percent(k.met),
            "-" if k.theory is None else f"{k.theory:.2%}",
            f"{k.alike:,}",
            _percent(k.found),
            _interval(k.found),
            f"{k.wrongly_found:,}",
        )
        for k in audit.planted.kinds
    )
    bins = tuple(
        (
            f"{_edge(b.low)} to {_edge(b.high)}",
            f"{b.met.of:,}",
            _percent(b.met),
            _interval(b.met),
            "-" if b.theory is None else f"{b.theory:.2%}",
            _percent(b.found),
        )
        for b in audit.planted.bins
    )
    at = f">= {audit.threshold:g}"
    return [
        TableOf(
            "Planted near-duplicates",
            f"Edited copies of {audit.planted.documents:,} documents, signed and compared with the run's settings. "
            "Found: they share a band, and their verified similarity reaches the threshold.",
            (
                "edit",
                "mean similarity",
                "share a band",
                "formula",
                at,
                "of these found",
                "95 % interval",
                f"found < {audit.threshold:g}",
            ),
            kinds,
            frozenset(range(1, 8)),
        ),
        TableOf(
            "Planted near-duplicates, by true similarity",
            "",
            ("true similarity", "copies", "share a band", "95 % interval", "formula", "found"),
            bins,
            frozenset(range(1, 6)),
        ),
    ]


def _left(audit: DedupAudit) -> TableOf:
    rows = tuple((f"{p.similarity:.4f}", p.id, p.twin_id, _compared(p)) for p in audit.twins.left_pairs)
    return TableOf(
        "Pairs that both stayed",
        f"{audit.twins.left_pairs_count:,} pairs of a sampled and another kept document have a true similarity of "
        f"{audit.threshold:g} or more. Those that dedup compared had a verified similarity below the threshold"
        f"{', or the guard kept one of them for the reason named' if audit.losses.guarded else ''}.",
        ("true similarity", "document", "its twin", "compared"),
        rows,
        frozenset({0}),
    )


def _compared(pair: LeftPair) -> str:
    if not pair.compared:
        return "no: they shared no band"
    return f"yes; dedup.guard: {pair.guard}" if pair.guard else "yes"


def _clusters(audit: DedupAudit) -> TableOf:
    rows = tuple(
        (
            c.keeper_id,
            f"{c.documents:,}",
            f"{c.exact_copies:,}",
            f"{c.lowest:.3f} to {c.highest:.3f}",
            ", ".join(f"{name} {number:,}" for name, number in c.sources.items()),
        )
        for c in audit.clusters
    )
    return TableOf(
        "Largest clusters",
        "A kept document and those removed for it.",
        ("kept document", "documents", "exact copies", "similarity", "sources"),
        rows,
        frozenset({1, 2}),
    )
