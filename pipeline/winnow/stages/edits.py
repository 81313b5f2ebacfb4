"""Edits of kept texts between the stages: units that name them, and batches to which they are applied.

Legend: N documents.
"""

from itertools import accumulate

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.engine.records import Json, Unit
from winnow.sources.structured.parts import JOINT
from winnow.sources.structured.structure import contents_of, text_of, with_contents
from winnow.stages.tables import read_parquet
from winnow.storage.store import Store
from winnow.text.edits import Edits, apply_edits, merge_edits


def with_edits(units: list[Unit], edits: list[list[Json]]) -> list[Unit]:
    """Units of a stage that gives texts away, one a part; where a part has no edits, its work is named as ever."""
    return [
        Unit(unit.number, {**unit.inputs, "edits": tables} if tables else unit.inputs, unit.work_bytes)
        for unit, tables in zip(units, edits, strict=True)
    ]


def read_edits(store: Store, inputs: Json) -> Edits:
    """All edits of a unit's part, as one."""
    return merge_edits([Edits.of(read_parquet(store, table)) for table in inputs.get("edits", [])])


def edited_columns(
    docs: NDArray[np.uint64], texts: pa.Array, structures: pa.Array | None, edits: Edits
) -> tuple[pa.Array, pa.Array | None]:
    """Texts and structures with every edit made.

    Edits of a document with a structure count the bytes of its contents, joined (:func:`joined_contents`): its text may
    leave some out.

    Args:
        docs: uint64[N], rising.
        texts: large_string[N].
        structures: string[N], null for a document without; None where there are none.
        edits: of these documents or of more.

    Returns:
        The same, edited.
    """
    mine = edits.of_documents(docs)
    if structures is None or len(mine) == 0:
        return apply_edits(docs, texts, mine), structures
    changed = np.searchsorted(docs, np.unique(mine.doc))
    rows = changed[pc.is_valid(structures).to_numpy(zero_copy_only=False)[changed]]
    texts = apply_edits(docs, texts, mine.take(~np.isin(mine.doc, docs[rows])))
    if len(rows) == 0:
        return texts, structures
    new_texts, new_structures = texts.to_pylist(), structures.to_pylist()
    for row in rows.tolist():
        before = new_structures[row]
        whole = text_of(before, compare_system=True) == new_texts[row]
        new_structures[row] = _edited_structure(before, mine.take(mine.doc == docs[row]))
        new_texts[row] = text_of(new_structures[row], compare_system=whole)
    return pa.array(new_texts, texts.type), pa.array(new_structures, structures.type)


def joined_contents(structure: str) -> tuple[list[str], list[int]]:
    """The contents of a structure, and at which byte each begins where they are joined."""
    contents = contents_of(structure)
    gap = len(JOINT.encode())
    return contents, [0, *accumulate(len(text.encode()) + gap for text in contents[:-1])] if contents else []


def _edited_structure(structure: str, edits: Edits) -> str:
    contents, starts = joined_contents(structure)
    place = np.searchsorted(np.array(starts), edits.start, side="right") - 1
    pieces = np.arange(len(contents), dtype=np.uint64)
    moved = Edits(
        place.astype(np.uint64),
        edits.start - np.array(starts)[place],
        edits.end - np.array(starts)[place],
        edits.replacement,
        edits.kind,
    )
    return with_contents(structure, apply_edits(pieces, pa.array(contents, pa.large_string()), moved).to_pylist())
