"""What select did, step by step: for the summary, the manifest and the books."""

from dataclasses import asdict, dataclass

from winnow.engine.records import Json, Record, total, totals_under
from winnow.flow.records import RunRecords
from winnow.flow.row_accounting import row_accounting
from winnow.flow.step import Balance, ManifestPart
from winnow.schemas import SEMANTIC_DUPLICATE
from winnow.select.quality import share_kept
from winnow.select.step_configs import QualityConfig
from winnow.select.steps import DROP_RULES
from winnow.stages.select.quality import histogram_of


@dataclass(frozen=True)
class SelectStep:
    """One step: what it saw, and what it left out."""

    step: str
    """The ledger's outcome (``semantic_duplicate``) or rule (``select.quality`` and so on)."""
    documents: int
    tokens: int
    documents_out: int
    tokens_out: int


def select_steps(scored: list[Record], sampled: list[Record], *, semantic: bool) -> list[SelectStep]:
    """Steps that were on, in order. Tokens as in the shards: all copies, with their ends of document."""
    steps = []
    if semantic:
        documents, tokens = total(scored, "documents"), total(scored, "tokens")
        left, left_tokens = total(scored, "stay"), total(scored, "stay_tokens")
        steps.append(SelectStep("semantic_duplicate", documents, tokens, documents - left, tokens - left_tokens))
    for rule in sorted(DROP_RULES, key=_ORDER.index):
        books = totals_under(sampled, rule.removeprefix("select."))
        if books:
            steps.append(
                SelectStep(rule, books["documents"], books["tokens"], books["documents_out"], books["tokens_out"])
            )
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


def selection_manifest(run: RunRecords) -> ManifestPart:
    """What the manifest says of select."""
    config = run.config.select
    assert config is not None
    steps = select_steps(run.of("scores"), run.of("sample"), semantic=config.semantic is not None)
    books: Json = {"steps": [asdict(step) for step in steps]}
    if run.of("sample"):
        before, after = (run.totals("sample", name) for name in ("tokens", "taken_tokens"))
        books["sources"] = {
            source.name: {"tokens": before[source.name], "taken_tokens": after[source.name]}
            for source in run.config.sources
        }
    if config.quality is not None:
        books["quality"] = quality_books(run.of("quality_fit")[0], run.of("quality"))
        books["quality"]["unreadable"] = _unreadable(run.of("quality_examples"))
    if config.importance is not None:
        ratio, target = run.of("importance_ratio")[0], run.of("importance_target")
        books["importance"] = {
            "target_words": total(target, "words"),
            "target_texts": sum(totals_under(target, "read").values()),
            "unreadable": _unreadable(target),
            "corpus_words": run.total("importance_counts", "words"),
            "nats_a_feature": ratio.metadata["nats_a_feature"],
        }
    return ManifestPart(top={"select": books})


def selection_balances(run: RunRecords) -> list[Balance]:
    """Semantic duplicates against those found; tokens that come out against the sample, where no mixture follows."""
    decided = run.totals(run.decided_stage, "outcome").get(SEMANTIC_DUPLICATE, 0)
    balances = [Balance("semantic duplicates decided against found", run.total("semantic_keepers", "removed"), decided)]
    if run.of("sample") and run.decided_stage == "select":
        taken, shuffled, removed = run.total("sample", "taken_tokens"), run.total("shuffle", "tokens"), "removed_tokens"
        if run.config.shards.cutting_rows:
            shuffled, removed = sum(books["row_tokens"] for books in row_accounting(run).values()), "removed_row_tokens"
        shuffled += sum(run.totals("removals", removed).values())
        balances.append(Balance("tokens shuffled, or in rows that cut some, against tokens sampled", taken, shuffled))
    return balances


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


def selection_lines(run: RunRecords) -> list[str]:
    """What each step of select did, in order; nothing where it is off."""
    config = run.config.select
    if config is None:
        return []
    lines = []
    if run.of("embed"):
        embedded, without = run.total("embed", "documents"), run.total("embed", "without_vector")
        clusters = run.total("centres", "clusters")
        bare = f" ({without:,} have no vector and are left alone)" if without else ""
        found = f", {clusters:,} clusters" if config.needs_clusters else ""
        lines.append(f"select: {embedded:,} documents embedded by {config.encoder.model}{bare}{found}")
    if config.semantic is not None:
        removed, compared = run.total("semantic_keepers", "removed"), run.total("semantic_keepers", "compared")
        lines.append(
            f"select: {removed:,} semantic duplicates (cosine >= {config.semantic.threshold:g} with a kept one) among "
            f"{compared:,} linked documents"
        )
        if crowded := run.total("assign", "crowded"):
            lines.append(
                f"WARNING: select: {crowded:,} documents lie near as many clusters as are looked into, so some of "
                "their semantic duplicates may be missed; set fewer clusters, or a larger select.semantic.neighbours"
            )
    steps = {step.step: step for step in select_steps(run.of("scores"), run.of("sample"), semantic=False)}
    if config.quality is not None:
        lines += [f"select: {line}" for line in _quality_lines(run, config.quality, steps.get("select.quality"))]
    if config.prototypes is not None and "select.prototypes" in steps:
        nearest = f"nearest to their cluster's centre ({config.prototypes.drop_share:g} of each cluster) left out"
        lines.append(f"select: {_left_out(steps['select.prototypes'])} {nearest}")
    if config.importance is not None:
        lines.append(f"select: {_importance_line(run)}")
    if config.sample is not None and run.of("sample"):
        before, taken = steps["select.budget"].tokens, run.total("sample", "taken_tokens")
        short = "; the corpus is smaller, all of it is taken" if before <= config.sample.target_tokens else ""
        shares = ", ".join(f"{name} {n:,}" for name, n in run.totals("sample", "taken_tokens").items())
        lines.append(
            f"select: {taken:,} of {before:,} tokens sampled for a budget of {config.sample.target_tokens:,}{short} "
            f"({shares})"
        )
    return lines


def _left_out(step: SelectStep) -> str:
    return f"{step.documents_out:,} of {step.documents:,} documents ({step.tokens_out:,} of {step.tokens:,} tokens)"


def _quality_lines(run: RunRecords, config: QualityConfig, step: SelectStep | None) -> list[str]:
    """How good the head is, what could not be read, and what the threshold left out."""
    lines = head_lines(quality_books(run.of("quality_fit")[0], run.of("quality")))
    bad = _unreadable(run.of("quality_examples"))
    if bad:
        lines.append(f"{bad:,} records of the quality examples cannot be read; the rest is used")
    if step is not None:
        lines.append(f"{_left_out(step)} below quality {config.threshold:g} left out")
    else:
        lines.append(f"no quality threshold: winnow select {run.config.run} --explore shows what each would keep")
    return lines


def _importance_line(run: RunRecords) -> str:
    """How far the target is from the corpus, and what could not be read of it."""
    target, nats = run.of("importance_target"), run.of("importance_ratio")[0].metadata["nats_a_feature"]
    bad = _unreadable(target)
    unread = f" ({bad:,} of its records cannot be read)" if bad else ""
    bare = run.total("importance", "without_words")
    without = f"; {bare:,} documents have no words, so nothing draws them" if bare else ""
    return (
        f"drawn toward a target of {total(target, 'words'):,} words{unread}, {nats:.3f} nats a word or word pair from "
        f"the corpus{without}"
    )
