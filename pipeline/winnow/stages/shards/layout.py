"""Layout: where every partition lies in the shuffle's files, and at which token of the global stream it begins.

The barrier between shuffle and shards. It reads all indexes, a range of partitions a unit, so that no unit grows with
the corpus.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.engine.exchange_extents import ranges_of
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.tables import extents_output


def stage() -> Stage:
    """Collects the indexes of all files of the shuffle."""
    return Stage("layout", 3, {}, run)


def plan(rows: Json, partitions: int, files: int) -> list[Unit]:
    """One unit a range of partitions, so that a unit holds the same for any corpus: ``RANGE_BYTES``.

    Args:
        rows: listing of the shuffle's files.
        partitions: of all sections together.
        files: in the listing.
    """
    return [
        Unit(
            number,
            {"rows": rows, "partitions": partitions, "first": first, "last": last},
            files * (last - first + 1) * 16,
        )
        for number, (first, last) in enumerate(ranges_of(partitions, files))
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Write the places of the unit's partitions, and tell the tokens of each (end-of-text included)."""
    documents, ids = extents_output(workspace, **unit.inputs)
    workspace.metadata["tokens"] = (ids + documents).tolist()


def first_tokens(laid_out: list[Record], partitions: int) -> NDArray[np.int64]:
    """Of each section, at which token of its stream each partition begins, and where the last one ends.

    Args:
        laid_out: the records of all units.
        partitions: P, of a section.

    Returns:
        int64[S, P + 1].
    """
    tokens = np.array([number for record in laid_out for number in record.metadata["tokens"]], np.int64)
    ends = np.cumsum(tokens.reshape(-1, partitions), axis=1)
    return np.pad(ends, ((0, 0), (1, 0)))
