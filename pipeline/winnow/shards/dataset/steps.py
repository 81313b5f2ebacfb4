"""Which samples a rank and one of its workers read at which step.

All ranks together read the samples of the stream in order: step t of a run that begins at sample ``start`` reads
[start + t G, start + (t + 1) G), where G = world size x batch size, and rank r the r-th of its equal parts. The workers
of a rank take its steps in turn. So the samples of a step depend on G alone, not on how ranks and workers share it.
"""

import contextlib
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Tail = Literal["drop", "pad"]
"""What becomes of the samples after the last full step: left out, or completed with empty rows."""


@dataclass(frozen=True)
class ReaderRank:
    """One reader among all: rank of ``world``, worker of ``workers``."""

    rank: int = 0
    world: int = 1
    worker: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.rank < self.world and 0 <= self.worker < self.workers):
            raise ValueError(
                f"rank {self.rank} of a world of {self.world}, worker {self.worker} of {self.workers}: ranks and "
                "workers count from 0 to one less than there are"
            )


def whole_number(name: str, value: Any) -> int:
    """The setting as an int; numpy's integers are taken, too.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, bool):
        with contextlib.suppress(TypeError):
            return operator.index(value)
    raise ValueError(f"{name} ({value!r}) must be an integer")


def batch_of_rank(global_batch: int, world: int) -> int:
    """Rows a rank takes of a global batch.

    Raises:
        ValueError: the world size does not divide it.
    """
    if global_batch < 1:
        raise ValueError(
            f"global_batch ({global_batch}) must be at least 1, and a multiple of the world size ({world})"
        )
    if global_batch % world:
        lower, upper = global_batch // world * world, (global_batch // world + 1) * world
        near = f"{lower} or {upper}" if lower > 0 else f"{upper}"
        raise ValueError(
            f"global_batch ({global_batch}) must be a multiple of the world size ({world}), such as {near}"
        )
    return global_batch // world


def num_steps(start: int, total: int, global_batch: int, tail: Tail) -> int:
    """Steps from sample ``start`` to the end of a stream of ``total`` samples."""
    left = max(0, total - start)
    return left // global_batch if tail == "drop" else -(-left // global_batch)


def samples_of(
    place: ReaderRank, start: int, total: int | None, batch: int, tail: Tail, first_step: int
) -> Iterator[tuple[int, int, int]]:
    """Steps of one reader, beginning at ``first_step``, every ``place.workers``-th of them.

    Args:
        place: of the reader.
        start: samples that all ranks together have read before step 0.
        total: samples of the stream; None if it has no end.
        batch: rows of a rank in a step.
        tail: what becomes of an incomplete last step.
        first_step: the reader's first step.

    Yields:
        (step, first, last): the reader's samples of the step are first .. last - 1. In a completed last step there
        can be fewer than ``batch``, or none.
    """
    global_batch = batch * place.world
    steps = None if total is None else num_steps(start, total, global_batch, tail)
    step = first_step
    while steps is None or step < steps:
        first = start + step * global_batch + place.rank * batch
        last = first + batch
        yield (step, first, last) if total is None else (step, min(first, total), min(last, total))
        step += place.workers
