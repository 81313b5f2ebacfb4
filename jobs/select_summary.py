"""What a run's summary says of select."""

from winnow.engine.records import total, totals_under
from winnow.flow.context import RunContext
from winnow.report.selection_report import Step, head_lines, quality_books, select_steps
from winnow.select.quality import QualityConfig


def selection_lines(context: RunContext) -> list[str]:
    """What each step of select did, in order; nothing where it is off."""
    config = context.config.select
    if config is None:
        return []
    lines = []
    if context.embedded:
        embedded, without = total(context.embedded, "documents"), total(context.embedded, "without_vector")
        clusters = total(context.engine.committed["centres"], "clusters") if config.needs_clusters else 0
        bare = f" ({without:,} have no vector and are left alone)" if without else ""
        found = f", {clusters:,} clusters" if config.needs_clusters else ""
        lines.append(f"select: {embedded:,} documents embedded by {config.encoder.model}{bare}{found}")
    if config.semantic is not None:
        removed, compared = total(context.semantic, "removed"), total(context.semantic, "compared")
        lines.append(
            f"select: {removed:,} semantic duplicates (cosine >= {config.semantic.threshold:g} with a kept one) among "
            f"{compared:,} linked documents"
        )
    steps = {step.step: step for step in select_steps(context.scored, context.sampled, semantic=False)}
    if config.quality is not None:
        lines += [f"select: {line}" for line in _quality_lines(context, config.quality, steps.get("select.quality"))]
    if config.prototypes is not None and "select.prototypes" in steps:
        nearest = f"nearest to their cluster's centre ({config.prototypes.drop_share:g} of each cluster) left out"
        lines.append(f"select: {_left_out(steps['select.prototypes'])} {nearest}")
    if config.importance is not None:
        lines.append(f"select: {_importance_line(context)}")
    if config.sample is not None and context.sampled:
        before, taken = steps["select.budget"].tokens, total(context.sampled, "taken_tokens")
        short = "; the corpus is smaller, all of it is taken" if before <= config.sample.target_tokens else ""
        shares = ", ".join(f"{name} {n:,}" for name, n in totals_under(context.sampled, "taken_tokens").items())
        lines.append(
            f"select: {taken:,} of {before:,} tokens sampled for a budget of {config.sample.target_tokens:,}{short} "
            f"({shares})"
        )
    return lines


def _left_out(step: Step) -> str:
    return f"{step.documents_out:,} of {step.documents:,} documents ({step.tokens_out:,} of {step.tokens:,} tokens)"


def _quality_lines(context: RunContext, config: QualityConfig, step: Step | None) -> list[str]:
    """How good the head is, what could not be read, and what the threshold left out."""
    committed = context.engine.committed
    lines = head_lines(quality_books(committed["quality_fit"][0], committed["quality"]))
    bad = sum(totals_under(committed["quality_examples"], "unreadable").values())
    if bad:
        lines.append(f"{bad:,} records of the quality examples cannot be read; the rest is used")
    if step is not None:
        lines.append(f"{_left_out(step)} below quality {config.threshold:g} left out")
    else:
        lines.append(f"no quality threshold: winnow select {context.config.run} --explore shows what each would keep")
    return lines


def _importance_line(context: RunContext) -> str:
    """How far the target is from the corpus, and what could not be read of it."""
    committed = context.engine.committed
    target, nats = committed["importance_target"], committed["importance_ratio"][0].metadata["nats_a_feature"]
    bad = sum(totals_under(target, "unreadable").values())
    unread = f" ({bad:,} of its records cannot be read)" if bad else ""
    return (
        f"drawn toward a target of {total(target, 'words'):,} words{unread}, {nats:.3f} nats a word or word pair from "
        "the corpus"
    )
