"""Where records and tokens end on their way through a run."""

import numpy as np

from winnow import schemas
from winnow.flow.records import RunRecords
from winnow.looking.tune import tokens_a_character
from winnow.report.page.sample import Sample

Fates = dict[str, dict[str, int]]
"""By source and outcome."""
_STEPS = (
    ("read", ()),
    ("readable", (schemas.UNREADABLE,)),
    ("passes rules", (schemas.FILTERED, schemas.EMPTY)),
    ("no duplicate", (schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE)),
    ("not contaminated", (schemas.CONTAMINATED,)),
    ("not repeated", (schemas.REPEATED,)),
    ("no semantic duplicate", (schemas.SEMANTIC_DUPLICATE,)),
    ("sampled", (schemas.SAMPLED_OUT,)),
    ("not to be removed", (schemas.REMOVED_ON_REQUEST,)),
)
"""Steps in the order of the flow, with the outcomes that end there."""


def funnel(amounts: dict[str, int]) -> list[tuple[str, int, int]]:
    """Name of each step at which something ends, what goes on, and what ends there; the first is all that was read."""
    left = sum(amounts.values())
    steps = []
    for name, outcomes in _STEPS:
        ended = sum(amounts.get(outcome, 0) for outcome in outcomes)
        left -= ended
        if ended or not outcomes:
            steps.append((name, left, ended))
    return steps


def tokens_by_fate(run: RunRecords, sample: Sample, records: Fates) -> Fates:
    """Tokens, estimated from characters of the sampled documents; of unreadable records nothing is known.

    Args:
        run: a finished run.
        sample: some of its documents, or all.
        records: by source and outcome, of the whole run.
    """
    rates = tokens_a_character(run)
    found: Fates = {}
    for source, counts in records.items():
        mine = sample.source == source
        found[source] = {}
        for outcome, number in counts.items():
            characters = sample.characters[mine & (sample.outcome == outcome)]
            if len(characters) and outcome != schemas.UNREADABLE:
                found[source][outcome] = round(float(np.mean(characters)) * number * rates[source])
    return found
