"""Alarms of mixtures: what is repeated too often, and what gave nothing or another share than was asked."""

from winnow.engine.records import Json
from winnow.flow.alarm import Alarm
from winnow.flow.buckets import buckets_of
from winnow.flow.mixture_accounting import Strata, in_phase, mixture_of, strata_given
from winnow.flow.records import RunRecords
from winnow.shards.config import USUAL_EPOCHS

MISSED_SHARE = 0.1
"""Of its share, by which a source or bucket may be off before it is told."""


def mixture_alarms(run: RunRecords) -> list[Alarm]:
    """Of every phase, by source or bucket; none without mixture and budget."""
    if not run.of("mixture"):
        return []
    given = strata_given(run) or [[{"name": name, **gave} for name, gave in mixture_of(run).items()]]
    alarms = []
    for number, (strata, gave) in enumerate(zip(Strata.of(run.config), given, strict=True)):
        bucket = "bucket " if buckets_of(run.config)[number] else ""
        for place, told in enumerate(gave):
            name = f"{bucket}{told['name']}{in_phase(run, number)}"
            if told["epochs"] > USUAL_EPOCHS:
                what = (
                    f"{name} is repeated {told['epochs']:.1f} times: over {USUAL_EPOCHS:g} passes (the default of "
                    "shards.max_epochs) little is learnt from more of them"
                )
                alarms.append(Alarm("repetition", name, what, "lower its share or shards.max_tokens, or add text"))
            if strata is not None and (missed := _missed(strata, place, told, name)):
                alarms.append(missed)
    return alarms


def _missed(strata: Strata, place: int, told: Json, name: str) -> Alarm | None:
    number, share = strata.numbers[place], strata.numbers[place] / sum(strata.numbers)
    who = name if strata.kind == "bucket" else f"source {name}"
    if not told["documents"]:
        what = (
            f"shards.mixture asks for {number:g} of {who}, but none of its documents is in train; its budget is less "
            "than its first document has"
        )
        return Alarm("mixture", name, what, "raise its share or shards.max_tokens") if number else None
    if "repeats" in told or not _is_off(told, share):
        return None
    what = f"{who} gave {told['share']:.2%} of the tokens of train, shards.mixture asks for {share:.2%}"
    return Alarm("mixture", name, what, "its budget ends inside a document: raise shards.max_tokens")


def _is_off(gave: Json, share: float) -> bool:
    """Whether it is off its share by a tenth of it and by more than ten of its documents."""
    whole = gave["tokens"] / max(gave["share"], 1e-9)
    off = abs(gave["tokens"] - share * whole)
    return bool(off > MISSED_SHARE * share * whole and off > 10 * gave["tokens"] / gave["copies"])
