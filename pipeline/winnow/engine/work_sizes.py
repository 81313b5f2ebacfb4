"""How large units and partitions are, where the config leaves it to the corpus.

A reduce unit reads its rows from every map file, so the reads of an exchange grow with the square of the text, but
shrink with the size of units times the size of partitions: both grow with the corpus, as far as a worker's memory goes.
A small corpus has smaller units, so that more than one core has work.
No size reaches an output; a corpus that outgrows a size is worked on in other units, so its work is done anew once.
"""

from dataclasses import dataclass

from winnow.engine.config import ComputeConfig

USUAL_UNIT_MB = 64
SMALLEST_UNIT_MB = 8
FEWEST_UNITS = 4
"""Units of a stage, before they shrink: a core of a small machine that has none would be idle."""
SMALLEST_PARTITION_MB = 256
MOST_UNITS = 4_096
"""Units of a stage, before they grow: eight a core of a cluster of 500, and 30,000 records for the driver to hold."""
MOST_PARTITIONS = 1_024
"""Partitions of as many bytes as there is text, before they grow."""
WORKERS_A_UNIT = 8
"""A unit is at most this part of a worker's memory (docs/performance.md, What a run holds in memory)."""
WORKERS_A_PARTITION = 8


@dataclass(frozen=True)
class WorkSizes:
    """Sizes of the work of one run, in MB."""

    unit_mb: int
    partition_mb: int


def work_sizes(compute: ComputeConfig, text_bytes: int) -> WorkSizes:
    """The sizes that a config sets, and for `auto` those that suit so much text.

    Args:
        compute: of the config.
        text_bytes: about how much text is read.
    """
    unit, partition = compute.unit_mb, compute.partition_mb
    memory = compute.worker_memory_mb
    if unit == "auto":
        unit = USUAL_UNIT_MB
        while unit > SMALLEST_UNIT_MB and text_bytes < FEWEST_UNITS * unit * 1_000_000:
            unit //= 2
        unit = _grown(unit, text_bytes, MOST_UNITS, memory // WORKERS_A_UNIT)
    if partition == "auto":
        partition = _grown(SMALLEST_PARTITION_MB, text_bytes, MOST_PARTITIONS, memory // WORKERS_A_PARTITION)
    return WorkSizes(unit, partition)


def _grown(smallest_mb: int, text_bytes: int, most: int, largest_mb: int) -> int:
    """``smallest_mb``, doubled until ``most`` of them hold the text, or the next would be over ``largest_mb``."""
    size = smallest_mb
    while size * most * 1_000_000 < text_bytes and 2 * size <= largest_mb:
        size *= 2
    return size
