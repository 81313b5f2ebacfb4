"""What select did, step by step: for the summary and the manifest."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from winnow.engine.records import Json, Record, total, totals_under
from winnow.select.quality import share_kept
from winnow.select.steps import DROP_RULES
from winnow.stages.select.quality import histogram_of

if TYPE_CHECKING:
    from winnow.flow.context import RunContext


@dataclass(frozen=True)
class Step:
    """One step: what it saw, and what it left out."""

    step: str
    """The ledger's outcome (``semantic_duplicate``) or rule (``select.quality`` and so on)."""
    documents: int
    tokens: int
    documents_out: int
    tokens_out: int


def select_steps(scored: list[Record], sampled: list[Record], *, semantic: bool) -> list[Step]:
    """Steps that were on, in order. Tokens as in the shards: all copies, with their ends of document."""
    steps = []
    if semantic:
        documents, tokens = total(scored, "documents"), total(scored, "tokens")
        left, left_tokens = total(scored, "stay"), total(scored, "stay_tokens")
        steps.append(Step("semantic_duplicate", documents, tokens, documents - left, tokens - left_tokens))
    for rule in sorted(DROP_RULES, key=_ORDER.index):
        books = totals_under(sampled, rule.removeprefix("select."))
        if books:
            steps.append(Step(rule, books["documents"], books["tokens"], books["documents_out"], books["tokens_out"]))
    return steps


_ORDER = ("select.quality", "select.prototypes", "select.budget")


def quality_books(fitted: Record, judged: list[Record]) -> Json:
    """The head on its held-out examples, and what each threshold would keep of the corpus.

    ``curve`` has one entry a threshold: ``threshold``, ``precision`` (None where no example is over it), ``recall``,
    ``kept`` (share of judged documents).
    """
    notes = fitted.metadata
    kept = share_kept(histogram_of(judged)).tolist()
    columns = zip(notes["thresholds"], notes["precision"], notes["recall"], kept, strict=True)
    curve = [dict(zip(("threshold", "precision", "recall", "kept"), row, strict=True)) for row in columns]
    return {
        "auc": notes["auc"],
        "converged": notes["converged"],
        "examples": {name: totals_under([fitted], name) for name in ("training", "validation", "left_aside")},
        "documents": total(judged, "documents"),
        "without_quality": total(judged, "without_quality"),
        "curve": curve,
    }


def selection_report(context: "RunContext") -> Json | None:
    """What the manifest says of select; None where it is off."""
    config, committed = context.config.select, context.engine.committed
    if config is None:
        return None
    steps = select_steps(context.scored, context.sampled, semantic=config.semantic is not None)
    books: Json = {"steps": [asdict(step) for step in steps]}
    if context.sampled:
        before, after = (totals_under(context.sampled, name) for name in ("tokens", "taken_tokens"))
        books["sources"] = {
            source.name: {"tokens": before[source.name], "taken_tokens": after[source.name]}
            for source in context.config.sources
        }
    if config.quality is not None:
        books["quality"] = quality_books(committed["quality_fit"][0], committed["quality"])
        books["quality"]["unreadable"] = _unreadable(committed["quality_examples"])
    if config.importance is not None:
        ratio, target = committed["importance_ratio"][0], committed["importance_target"]
        books["importance"] = {
            "target_words": total(target, "words"),
            "target_texts": sum(totals_under(target, "read").values()),
            "unreadable": _unreadable(target),
            "corpus_words": total(committed["importance_counts"], "words"),
            "nats_a_feature": ratio.metadata["nats_a_feature"],
        }
    return books


def _unreadable(read: list[Record]) -> int:
    return sum(totals_under(read, "unreadable").values())


def head_lines(books: Json) -> list[str]:
    """How good the head is, for a terminal."""
    examples = books["examples"]

    def numbers(name: str) -> str:
        return f"{examples[name].get('positive', 0):,} positive and {examples[name].get('negative', 0):,} negative"

    aside = ", ".join(f"{n:,} {reason.replace('_', ' ')}" for reason, n in examples["left_aside"].items() if n)
    lines = [
        f"quality head: AUC {books['auc']:.4f} on {numbers('validation')} held-out examples; trained on "
        f"{numbers('training')}" + (f"; left aside: {aside}" if aside else ""),
    ]
    if not books["converged"]:
        lines.append("WARNING: the fit of the quality head has not converged; raise select.quality.l2")
    return lines


def curve_lines(books: Json) -> list[str]:
    """Every fifth threshold of the curve, for a terminal; the manifest has them all."""
    lines = ["threshold  precision  recall   documents kept"]
    for point in books["curve"][4::5]:
        precision = "        -" if point["precision"] is None else f"{point['precision']:9.3f}"
        lines.append(f"{point['threshold']:9.2f}  {precision}  {point['recall']:6.3f}   {point['kept']:14.2%}")
    return lines
