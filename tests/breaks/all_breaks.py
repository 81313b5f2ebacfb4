"""All breaks, promise by promise."""

from tests.breaks import explainable, fast, nothing_lost, open_to_all, places, resumable, same_bytes, verified

BREAKS = (
    *nothing_lost.BREAKS,
    *same_bytes.BREAKS,
    *verified.BREAKS,
    *resumable.BREAKS,
    *explainable.BREAKS,
    *fast.BREAKS,
    *open_to_all.BREAKS,
    *places.BREAKS,
)
