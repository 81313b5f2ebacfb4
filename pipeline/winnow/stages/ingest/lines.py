"""Lines: how many documents of a source hold each line, counted before anything is measured; `dedup.lines` only.

Reads and normalises what ``measure`` will read, and writes (key, documents) of every line in runs sorted by key, so
that ``boilerplate`` can read any range of keys. Every source has outputs of its own.
"""

import contextlib
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import groupby

import numpy as np
import orjson
import pyarrow as pa

from winnow import schemas
from winnow.engine.records import Json, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.fault_point import fault_point
from winnow.numeric.jit import compile_once
from winnow.numeric.radix import sort_pairs
from winnow.sources.records import RecordBatch
from winnow.sources.slices import FileSlice
from winnow.sources.source import SourceConfig
from winnow.stages.ingest.isolate import probe_in_child
from winnow.stages.ingest.reading import read_documents
from winnow.stages.tables import TableOutput, ipc_output
from winnow.stages.versions import library_versions
from winnow.text.lines.config import LinesConfig
from winnow.text.lines.counts import LineCounter
from winnow.text.lines.removal import KnownLines, LineRemover
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.normalise import Normaliser


def stage(config: LinesConfig, normalise: NormaliseConfig, runtime: Json) -> Stage:
    """Map side; ``runtime`` holds ``batch_bytes``. The limit is not among its settings: a new one reads no text."""
    settings = {
        "normalise": normalise.model_dump(),
        "lines": counting_settings(config),
        "versions": library_versions("ftfy", "pyarrow", "unicodedata"),
    }
    return Stage("lines", 4, settings, run, runtime, prepare)


def counting_settings(config: LinesConfig) -> Json:
    """What a key depends on besides the text."""
    return config.model_dump(include={"unit", "min_characters"})


def plan(units: list[Unit], sources: tuple[str, ...] | None) -> list[Unit]:
    """Measure's units, less the slices of sources that are left alone."""
    if sources is None:
        return units
    chosen = []
    for unit in units:
        slices = [fields for fields in unit.inputs["slices"] if fields["source"] in sources]
        if slices:
            chosen.append(replace(unit, inputs={**unit.inputs, "slices": slices}))
    return chosen


@cache
def _prepared(settings: bytes) -> tuple[Normaliser, LinesConfig]:
    parsed = orjson.loads(settings)
    compile_lines()
    normalise = Normaliser(NormaliseConfig.model_validate(parsed["normalise"]))
    return normalise, LinesConfig.model_validate(parsed["lines"])


def compile_lines() -> None:
    """Compile the kernels of counting and removal, once a node."""
    compile_once("lines", _use_kernels)


def _use_kernels() -> None:
    config = LinesConfig(min_characters=1)
    texts = pa.array(["A line.\n\n\u3000\u65e5\u672c\u8a9e \nAnother"], pa.large_string())
    counter = LineCounter(config)
    counter.add(texts)
    keys, _ = sort_pairs(*counter.take(), False)
    LineRemover(config, KnownLines(keys), keys)(texts)


def prepare(settings: Json) -> tuple[Normaliser, LinesConfig]:
    """Load kernels and tables; once a process."""
    return _prepared(orjson.dumps(settings))


def run(unit: Unit, workspace: Workspace) -> None:
    """Count the lines of the unit's slices; one output a source, named in ``notes["sources"]``."""
    with workspace.timed("load kernels"):
        normalise, config = prepare(workspace.settings)
    counter = LineCounter(config)
    sources = list(dict.fromkeys(fields["source"] for fields in unit.inputs["slices"]))
    workspace.metadata["sources"] = sources
    with contextlib.ExitStack() as outputs:
        tables = {
            source: outputs.enter_context(ipc_output(workspace, f"lines-{number:03d}", schemas.LINE_COUNTS))
            for number, source in enumerate(sources)
        }

        def note(_part: FileSlice, _source: SourceConfig, batch: RecordBatch) -> None:
            for kind, number in sorted(Counter(bad.reason.split(":")[0] for bad in batch.unreadable).items()):
                workspace.count(f"unreadable_reason/{kind}", number)  # so that a passing fault is looked at again

        batches = read_documents(unit, workspace, note)
        for source, of_source in groupby(batches, key=lambda batch: batch.source.name):
            for batch in of_source:
                docs, texts = batch.docs, batch.texts
                probe_in_child(workspace, docs, texts, lambda some: _process(some, normalise, config))
                fault_point("batch", stage="lines", texts=texts)
                with workspace.timed("normalise"):
                    normalised = normalise(texts).texts
                with workspace.timed("count"):
                    counter.add(normalised)
                if counter.is_full:
                    _write_run(counter, tables[source], workspace)
            _write_run(counter, tables[source], workspace)


def _process(texts: pa.Array, normalise: Normaliser, config: LinesConfig) -> None:
    """All that is done to texts, for nothing but to see whether the process lives."""
    fault_point("batch", stage="lines", texts=texts)
    LineCounter(config).add(normalise(texts).texts)


def _write_run(counter: LineCounter, table: TableOutput, workspace: Workspace) -> None:
    with workspace.timed("sort"):
        keys, documents = sort_pairs(*counter.take(), False)
    with workspace.timed("write"):
        table.write({"key": keys, "documents": documents.astype(np.uint32)})
    workspace.count("lines", len(keys))
