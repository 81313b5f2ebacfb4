"""What removals lost and what the guard kept, told in summary and manifest: from records alone."""

from winnow.dedup.guard import REASONS
from winnow.engine.records import Json
from winnow.flow.records import RunRecords

_WHY = {
    "script": "another script",
    "language": "another language",
    "shorter": "a shorter keeper",
    "containment": "a keeper that holds too little",
    "template": "a template with other data",
}


def losses_of(run: RunRecords) -> Json | None:
    """What near-duplicates lost to their keepers, and what the guard did; None where it was off."""
    if run.config.dedup is None or not run.config.dedup.guarded:
        return None
    near, unchecked = run.total("keepers", "removed_near"), run.total("keepers", "removed_unguarded")
    kept = run.totals("keepers", "guard_kept")
    worst = _worst(run)
    return {
        "near_duplicates": near,
        "measured": near - unchecked,
        "not_checked": unchecked,
        "lost_ngrams": run.total("keepers", "lost_ngrams"),
        "without_loss": run.total("keepers", "removed_without_loss"),
        "most_lost": worst["lost"] if worst else 0,
        "kept_by_guard": {reason: kept.get(reason, 0) for reason in REASONS[1:]},
        "other_keeper": run.total("keepers", "guard_other_keeper"),
    }


def _worst(run: RunRecords) -> Json | None:
    """The removal that lost most: ``{doc, lost}``; each partition names its own. None where nothing was lost."""
    named = [entry for record in run.of("keepers") for entry in record.metadata["worst_removal"] if entry["lost"]]
    return min(named, key=lambda entry: (-entry["lost"], entry["doc"]), default=None)


def guard_lines(run: RunRecords) -> list[str]:
    """Lines of the summary."""
    losses = losses_of(run)
    if losses is None:
        return []
    lines = []
    if losses["measured"]:
        mean = losses["lost_ngrams"] / losses["measured"]
        worst = _worst(run)
        most = f", the worst {losses['most_lost']:,} (document {worst['doc']})" if worst else ""
        lines.append(
            f"{losses['measured']:,} removals of near-duplicates lost {mean:,.1f} word 3-grams in the mean{most}; "
            f"{losses['without_loss']:,} lost none; see `winnow audit dedup`"
        )
    kept = {reason: number for reason, number in losses["kept_by_guard"].items() if number}
    if kept:
        parts = ", ".join(f"{number:,} {_WHY[reason]}" for reason, number in kept.items())
        lines.append(
            f"dedup.guard kept {sum(kept.values()):,} documents that reach the threshold with a kept one ({parts}); "
            "`winnow why ID` names it"
        )
    if losses["other_keeper"]:
        lines.append(f"dedup.guard found another keeper for {losses['other_keeper']:,} documents than the best-ranked")
    if losses["not_checked"]:
        lines.append(
            f"WARNING: dedup.guard could not look at {losses['not_checked']:,} removals: the index does not hold what "
            "their keepers say, because the run that kept them had no guard; what they lost is not known"
        )
    return lines
