"""What a run's summary says of select."""

from pipeline.engine.records import total, totals_under
from pipeline.select.quality import QualityConfig
from pipeline.select_books import Step, head_lines, quality_books, select_steps
from pipeline.walk import Walk


def selection_lines(walk: Walk) -> list[str]:
    """What each step of select did, in order; nothing where it is off."""
    config = walk.config.select
    if config is None:
        return []
    lines = []
    if walk.embedded:
        embedded, without = total(walk.embedded, "documents"), total(walk.embedded, "without_vector")
        clusters = total(walk.engine.committed["centres"], "clusters") if config.needs_clusters else 0
        bare = f" ({without:,} have no vector and are left alone)" if without else ""
        found = f", {clusters:,} clusters" if config.needs_clusters else ""
        lines.append(f"select: {embedded:,} documents embedded by {config.encoder.model}{bare}{found}")
    if config.semantic is not None:
        removed, compared = total(walk.semantic, "removed"), total(walk.semantic, "compared")
        lines.append(
            f"select: {removed:,} semantic duplicates (cosine >= {config.semantic.threshold:g} with a kept one) among "
            f"{compared:,} linked documents"
        )
    steps = {step.step: step for step in select_steps(walk.scored, walk.sampled, semantic=False)}
    if config.quality is not None:
        lines += [f"select: {line}" for line in _quality_lines(walk, config.quality, steps.get("select.quality"))]
    if config.prototypes is not None and "select.prototypes" in steps:
        nearest = f"nearest to their cluster's centre ({config.prototypes.drop_share:g} of each cluster) left out"
        lines.append(f"select: {_left_out(steps['select.prototypes'])} {nearest}")
    if config.importance is not None:
        lines.append(f"select: {_importance_line(walk)}")
    if config.sample is not None and walk.sampled:
        before, taken = steps["select.budget"].tokens, total(walk.sampled, "taken_tokens")
        short = "; the corpus is smaller, all of it is taken" if before <= config.sample.target_tokens else ""
        shares = ", ".join(f"{name} {n:,}" for name, n in totals_under(walk.sampled, "taken_tokens").items())
        lines.append(
            f"select: {taken:,} of {before:,} tokens sampled for a budget of {config.sample.target_tokens:,}{short} "
            f"({shares})"
        )
    return lines


def _left_out(step: Step) -> str:
    return f"{step.documents_out:,} of {step.documents:,} documents ({step.tokens_out:,} of {step.tokens:,} tokens)"


def _quality_lines(walk: Walk, config: QualityConfig, step: Step | None) -> list[str]:
    """How good the head is, what could not be read, and what the threshold left out."""
    committed = walk.engine.committed
    lines = head_lines(quality_books(committed["quality_fit"][0], committed["quality"]))
    bad = sum(totals_under(committed["quality_examples"], "unreadable").values())
    if bad:
        lines.append(f"{bad:,} records of the quality examples cannot be read; the rest is used")
    if step is not None:
        lines.append(f"{_left_out(step)} below quality {config.threshold:g} left out")
    else:
        lines.append(f"no quality threshold: winnow select {walk.config.run} --explore shows what each would keep")
    return lines


def _importance_line(walk: Walk) -> str:
    """How far the target is from the corpus, and what could not be read of it."""
    committed = walk.engine.committed
    target, nats = committed["importance_target"], committed["importance_ratio"][0].notes["nats_a_feature"]
    bad = sum(totals_under(target, "unreadable").values())
    unread = f" ({bad:,} of its records cannot be read)" if bad else ""
    return (
        f"drawn toward a target of {total(target, 'words'):,} words{unread}, {nats:.3f} nats a word or word pair from "
        "the corpus"
    )
