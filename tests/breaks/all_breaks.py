"""All breaks, promise by promise."""

from tests.breaks import (
    conversations,
    explainable,
    fast,
    guard,
    inputs,
    nothing_lost,
    open_to_all,
    places,
    resumable,
    same_bytes,
    verified,
)

BREAKS = (
    *nothing_lost.BREAKS,
    *inputs.BREAKS,
    *same_bytes.BREAKS,
    *verified.BREAKS,
    *guard.BREAKS,
    *conversations.BREAKS,
    *resumable.BREAKS,
    *explainable.BREAKS,
    *fast.BREAKS,
    *open_to_all.BREAKS,
    *places.BREAKS,
)
