"""What this process has asked object stores, for the measures of units. Reaches no output."""

import contextlib
from collections import Counter
from collections.abc import Iterator

traffic: Counter[str] = Counter()
"""``get``, ``put``, ``head``, ``list``, ``delete`` and ``copy`` requests, ``retries``, ``bytes_read`` and
``bytes_written``."""


@contextlib.contextmanager
def counted_traffic() -> Iterator[dict[str, float]]:
    """What this process asks object stores inside the block, as ``objects.KIND``; filled when it ends."""
    before = traffic.copy()
    found: dict[str, float] = {}
    try:
        yield found
    finally:
        found |= {f"objects.{kind}": float(number) for kind, number in sorted((traffic - before).items())}
