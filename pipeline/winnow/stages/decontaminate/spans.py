"""Contamination spans: what is cut out of documents that hold evaluation items, where they are not dropped.

Of each place the stretch that holds the item, and some characters on both sides, out to where a word ends. What is left
of the document on both sides of a cut becomes two paragraphs. A document goes whole where no word would be left, or
where it holds more places than are listed.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from winnow import schemas
from winnow.engine.records import Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, ipc_output, parquet_batches, parquet_output, read_parquet
from winnow.text.contamination.coverage import MOST_PLACES
from winnow.text.edits import edits_from
from winnow.text.words import hash_words

KIND = "contamination"
_JOINT = "\n\n"
_WORD = 64
"""Characters that a stretch grows by at most, to end where a word does."""


def stage(characters: int) -> Stage:
    """The stage: how many characters go on both sides."""
    return Stage("contamination_spans", 1, {"characters": characters}, run)


def plan(parts: list[Part], searched: list[Record]) -> list[Unit]:
    """One unit a part."""
    return [
        Unit(
            part.number,
            {"documents": part.documents, "places": record.outputs["places"].reference()},
            record.outputs["places"].bytes + (part.text_bytes if record.outputs["places"].rows else 0),
        )
        for part, record in zip(parts, searched, strict=True)
    ]


class Stretch(NamedTuple):
    """Bytes of a text."""

    begin: int
    end: int


def run(unit: Unit, workspace: Workspace) -> None:
    """Settle the stretches of the part's documents, and which of them go whole."""
    store = workspace.store
    places = read_parquet(store, unit.inputs["places"], ["doc", "begin", "end"])
    doc, begin, end = (column_to_numpy(places, name) for name in ("doc", "begin", "end"))
    rows: list[tuple[int, int, int, str, str]] = []
    whole: list[int] = []
    for batch in parquet_batches(store, unit.inputs["documents"], ["doc", "text"]) if len(doc) else ():
        there = batch.column("doc").to_numpy()
        for row in np.flatnonzero(np.isin(there, doc)).tolist():
            number, mine = int(there[row]), doc == there[row]
            data = batch.column("text")[row].as_py().encode()
            found = [Stretch(*pair) for pair in zip(begin[mine].tolist(), end[mine].tolist(), strict=True)]
            cut = stretches_of(data, found, workspace.settings["characters"])
            if len(found) >= MOST_PLACES or not _has_words(data, cut):
                whole.append(number)
            else:
                rows += [(number, *stretch, _replacement(stretch, data), KIND) for stretch in cut]
                workspace.count("cut_documents", 1)
                workspace.count("cut_bytes", sum(stretch.end - stretch.begin for stretch in cut))
    with parquet_output(workspace, "edits", schemas.EDITS, plain=("doc",)) as table:
        table.write(edits_from(rows).columns())
    with ipc_output(workspace, "whole", pa.schema([("doc", pa.uint64())])) as table:
        table.write({"doc": np.array(whole, np.uint64)})
    workspace.count("whole_documents", len(whole))


def stretches_of(data: bytes, found: list[Stretch], characters: int) -> list[Stretch]:
    """What is cut of a text, in order, none over or beside another.

    Args:
        data: the text in UTF-8.
        found: where it holds items.
        characters: how many go on both sides of each.
    """
    wider = sorted(
        Stretch(_before(data, place.begin, characters), _behind(data, place.end, characters)) for place in found
    )
    joined: list[Stretch] = []
    for stretch in wider:
        if joined and stretch.begin <= joined[-1].end:
            joined[-1] = Stretch(joined[-1].begin, max(joined[-1].end, stretch.end))
        else:
            joined.append(stretch)
    return joined


def _before(data: bytes, at: int, characters: int) -> int:
    """The byte that lies so many characters before a byte, or as many more as its word has."""
    before = data[max(0, at - 4 * (characters + _WORD)) : at].decode(errors="ignore")
    kept = len(before) - characters
    if kept <= 0:
        return 0 if at <= 4 * (characters + _WORD) else at - len(before.encode())
    word = kept
    while word > max(0, kept - _WORD) and not before[word - 1].isspace():
        word -= 1
    if word == 0 or before[word - 1].isspace():
        kept = word
    return at - len(before[kept:].encode())


def _behind(data: bytes, at: int, characters: int) -> int:
    """The same behind a byte."""
    behind = data[at : at + 4 * (characters + _WORD)].decode(errors="ignore")
    if characters >= len(behind):
        return at + len(behind.encode())
    word = characters
    while word < min(len(behind), characters + _WORD) and not behind[word].isspace():
        word += 1
    if word == len(behind) or behind[word].isspace():
        return at + len(behind[:word].encode())
    return at + len(behind[:characters].encode())


def _replacement(stretch: Stretch, data: bytes) -> str:
    return _JOINT if stretch.begin and stretch.end < len(data) else ""


def _has_words(data: bytes, cut: list[Stretch]) -> bool:
    """Whether a word stands outside the stretches."""
    pieces, at = [], 0
    for stretch in [*cut, Stretch(len(data), len(data))]:
        pieces.append(data[at : stretch.begin].decode())
        at = stretch.end
    return bool(hash_words(pa.array(pieces, pa.large_string())).offsets[-1])
