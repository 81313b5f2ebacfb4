"""All breaks, promise by promise."""

from tests.breaks import (
    contamination,
    conversations,
    explainable,
    fast,
    files,
    guard,
    hubs,
    inputs,
    nothing_lost,
    open_to_all,
    places,
    resumable,
    same_bytes,
    verified,
    web_lists,
    web_rules,
)

BREAKS = (
    *nothing_lost.BREAKS,
    *inputs.BREAKS,
    *files.BREAKS,
    *same_bytes.BREAKS,
    *verified.BREAKS,
    *guard.BREAKS,
    *conversations.BREAKS,
    *contamination.BREAKS,
    *resumable.BREAKS,
    *explainable.BREAKS,
    *fast.BREAKS,
    *open_to_all.BREAKS,
    *places.BREAKS,
    *hubs.BREAKS,
    *web_lists.BREAKS,
    *web_rules.BREAKS,
)
