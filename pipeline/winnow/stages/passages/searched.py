"""Which documents passages are looked for in, and their texts: the same for every stage that reads them."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Workspace
from winnow.fault_point import fault_point
from winnow.numeric.jit import compile_once
from winnow.stages.decide.ledger_tables import survivor_units
from winnow.stages.ingest.kept_texts import wanted_texts
from winnow.stages.ingest.measure import Part
from winnow.stages.tables import column_to_numpy, read_ipc, read_parquet
from winnow.text.passages.repeats import Repeats, Runs, cut_words, first_copies, only_first, repeats_of, resolve
from winnow.text.passages.shared import first_and_repeated, in_several, keys_of
from winnow.text.passages.stretches import count_words, cuts_of, word_places
from winnow.text.passages.windows import Blocks, anchors_of, known_anchors, windows_of


def settings_of(length: int, gram: int, sources: list[str], max_marks: float | None) -> Json:
    """What the search depends on: words of a window and of an anchor; whose documents take part, and which of them."""
    return {"words": length, "anchor_words": gram, "sources": sources, "max_marks_per_word": max_marks}


def text_units(parts: list[Part], survivors: list[Record]) -> list[Unit]:
    """Units of a stage that reads the texts, one a part; only text, signals and survivors name the work."""
    return [
        Unit(unit.number, {**unit.inputs, "signals": part.signals}, unit.work_bytes)
        for unit, part in zip(survivor_units(parts, survivors), parts, strict=True)
    ]


class Searched(NamedTuple):
    """The documents of a part that take part."""

    docs: NDArray[np.uint64]
    """[N] rising."""
    source: pa.Array
    """string[N]."""
    markup: int
    """Kept documents that do not, because they are program text or markup."""


def searched(unit: Unit, workspace: Workspace) -> Searched:
    """Who takes part."""
    store, settings = workspace.store, workspace.settings
    survivors = column_to_numpy(read_ipc(store, unit.inputs["survivors"]), "doc")
    if not len(survivors):
        return Searched(survivors, pa.array([], pa.string()), 0)
    named = _rows(read_parquet(store, unit.inputs["documents"], ["doc", "source"]), survivors)
    source = named.column("source").combine_chunks().cast(pa.string())
    mine = pc.is_in(source, pa.array(settings["sources"], pa.string())).to_numpy(zero_copy_only=False)
    markup = 0
    if settings["max_marks_per_word"] is not None:
        signals = _rows(read_parquet(store, unit.inputs["signals"], ["doc", "words", "marks"]), survivors)
        words, marks = (column_to_numpy(signals, name).astype(np.float64) for name in ("words", "marks"))
        full = marks > settings["max_marks_per_word"] * words
        markup = int((mine & full).sum())
        mine = mine & ~full
    return Searched(survivors[mine], source.filter(pa.array(mine)), markup)


def count_by_source(workspace: Workspace, name: str, source: pa.Array, values: NDArray[np.int64]) -> None:
    """Add up values int64[N] of documents by source string[N], in counters ``NAME_of/SOURCE``."""
    for found in pc.unique(source).to_pylist():
        mine = pc.equal(source, found).to_numpy(zero_copy_only=False)
        workspace.count(f"{name}_of/{found}", values[mine].sum())


def _rows(table: pa.Table, docs: NDArray[np.uint64]) -> pa.Table:
    return table.take(pa.array(np.searchsorted(column_to_numpy(table, "doc"), docs)))


def texts_of(
    workspace: Workspace, documents: Json, docs: NDArray[np.uint64]
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64], pa.Array]]:
    """Some documents of a part, rising, row group by row group: those there, their rows, and the group's texts."""
    work = partial(_process, workspace.stage_name, workspace.settings)
    for there, wanted, texts in wanted_texts(workspace, documents, docs, work):
        yield there[wanted], np.flatnonzero(wanted), texts


def _process(stage: str, settings: Json, texts: pa.Array) -> None:
    """The work, for nothing but to see whether the process lives."""
    fault_point("batch", stage=stage, texts=texts)
    anchors_of(texts, np.ones(len(texts), np.bool_), 0, settings["words"], settings.get("anchor_words", 1))


def compile_kernels() -> None:
    """Compile what the stages use, once a node."""
    compile_once("passages", _use_kernels)


def _use_kernels() -> None:
    """Call every kernel with the types of real work."""
    texts = pa.array(["one two three one two three one two three"] * 2, pa.large_string())
    every = np.ones(2, np.bool_)
    found = anchors_of(texts, every, 0, 3, 2)
    first, repeated = first_and_repeated(found.anchors)
    in_several([first, first])
    known = known_anchors(keys_of(first), keys_of(repeated))
    blocks = Blocks(np.arange(2), np.zeros(2, np.int64), found.begins)
    windows = windows_of(texts, blocks, known, 3, 2)
    runs = Runs(windows.text.astype(np.uint64), windows.word, windows.windows)
    copies = first_copies(runs, windows.hashes, windows.key)
    repeats = repeats_of(runs, copies)
    only_first(runs, windows.hashes, windows.elsewhere, copies)
    resolve(repeats, Repeats(*(column[:1] for column in repeats)))
    cut = cut_words(repeats, 3)
    row = cut.doc.astype(np.int64)
    places = word_places(texts, blocks, np.concatenate([row, row]), np.concatenate([cut.begin, cut.end - 1]))
    cuts_of(texts, places, row, cut.begin, cut.end)
    count_words(texts, 5)
