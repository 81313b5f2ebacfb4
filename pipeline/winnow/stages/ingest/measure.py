"""Measure: read every input once; keep the text of every readable document, its signals and its signature.

A unit is a run of file slices in catalogue order. It streams: memory is bounded by a batch (and by the largest
single document). Its results are cut into *parts* of about ``unit_mb`` of text, which are the units of every later
stage, so that one huge compressed file does not make one huge unit further down.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from winnow import schemas
from winnow.dedup.exact import text_hashes
from winnow.dedup.minhash import signatures
from winnow.dedup.minhash_config import MinHashConfig
from winnow.dedup.shingles import shingle_counts
from winnow.dedup.signature_check import first_difference, sampled_documents
from winnow.engine.records import Json, Record, Unit
from winnow.engine.stage import Stage, Workspace
from winnow.errors import SignatureError
from winnow.fault_point import fault_point
from winnow.numeric.cache_folder import CACHE_FOLDER
from winnow.numeric.jit import compile_all
from winnow.sources.records import RecordBatch
from winnow.sources.slices import FileSlice
from winnow.sources.source import STRUCTURE, SourceConfig
from winnow.stages.ingest.isolate import probe_in_child
from winnow.stages.ingest.languages import has_model, languages_of
from winnow.stages.ingest.line_removal import LineRemoval
from winnow.stages.ingest.line_rules import LineRules, Removal, compile_line_rules
from winnow.stages.ingest.lines import compile_lines, counting_settings
from winnow.stages.ingest.normalised import normalised, normalised_parts
from winnow.stages.ingest.notes import note_passed, note_readable, note_unreadable
from winnow.stages.ingest.operators import UnitOperators, beside_texts, with_texts, without_rows
from winnow.stages.ingest.reading import read_documents
from winnow.stages.ingest.slices import check_slices, parse_slice
from winnow.stages.kernel_sets import use_language, use_normalise, use_reading, use_signals
from winnow.stages.tables import TableOutput, ipc_output, parquet_output
from winnow.stages.versions import library_versions
from winnow.text.config import MeasureConfig
from winnow.text.language.codes import NO_LANGUAGE, UNDETERMINED
from winnow.text.language.identifier import Identifier
from winnow.text.line_rules.config import LineRulesConfig
from winnow.text.lines.config import LinesConfig
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.normalise import Normaliser
from winnow.text.signals.signals import SIGNALS, measure
from winnow.text.words import WordHashes


def stage(config: MeasureConfig, minhash: MinHashConfig, lines: LinesConfig | None, runtime: Json) -> Stage:
    """The stage; ``runtime`` holds ``batch_bytes``, ``part_bytes`` and ``text_compression``.

    With ``lines``, each unit's inputs names the boilerplate of its sources, which is removed from the normalised
    text before anything is measured.
    """
    settings: Json = {
        "normalise": config.normalise.model_dump(),
        "language": config.language.described,
        "minhash": minhash.signature_settings,
        "lines": counting_settings(lines) if lines else None,
        "line_rules": config.line_rules and config.line_rules.model_dump(mode="json"),
        "versions": library_versions("ftfy", "py3langid", "pyarrow", "unicodedata"),
    }
    if config.operators:
        operators = [entry.found for entry in config.operators]
        settings["operators"] = [operator.described for operator in operators]
        runtime = {**runtime, "operator_folders": {operator.name: operator.folder_paths for operator in operators}}
    return Stage("measure", 5, settings, run, runtime, prepare)


class _Kernels(NamedTuple):
    normalise: Normaliser
    minhash: MinHashConfig
    lines: LinesConfig | None
    line_rules: LineRulesConfig | None


@cache
def _kernels(settings: bytes) -> _Kernels:
    """Built once a process: tables and models take a moment to load."""
    parsed = orjson.loads(settings)
    normalise = Normaliser(NormaliseConfig.model_validate(parsed["normalise"]))
    minhash = MinHashConfig.model_validate(parsed["minhash"])
    sets: dict[str, Callable[[], None]] = {
        "reading": use_reading,
        "signals": partial(use_signals, minhash),
        "normalise": partial(use_normalise, normalise),
    }
    if not has_model(parsed["language"]):
        sets["language"] = partial(use_language, languages_of(parsed["language"], None))
    compile_all(sets)
    lines = None
    if parsed["lines"]:
        compile_lines()
        lines = LinesConfig.model_validate(parsed["lines"])
    line_rules = None
    if parsed["line_rules"]:
        compile_line_rules()
        line_rules = LineRulesConfig.model_validate(parsed["line_rules"], strict=False)
    return _Kernels(normalise, minhash, lines, line_rules)


def prepare(settings: Json) -> _Kernels:
    """Load kernels and models; once a process."""
    return _kernels(orjson.dumps(settings))


def run(unit: Unit, workspace: Workspace) -> None:
    """Read the unit's slices, measure every document, write the parts and the list of unreadable records."""
    settings = workspace.settings
    with workspace.timed("load kernels"):
        kernels = prepare(settings)
        identify = languages_of(settings["language"], workspace.store)
    slices = unit.inputs["slices"]
    keep = tuple(dict.fromkeys(name for fields in slices for name in parse_slice(fields)[1].carried))
    removal = Removal(LineRemoval(unit, workspace, kernels.lines), LineRules(workspace, kernels.line_rules))
    operators = UnitOperators(workspace, identify)
    with (
        parquet_output(workspace, "unreadable", schemas.UNREADABLE_RECORDS) as unreadable,
        _Parts(workspace, keep, kernels.minhash.num_perm, removal.columns + operators.columns) as parts,
    ):

        def note(part: FileSlice, source: SourceConfig, batch: RecordBatch) -> None:
            note_unreadable(unreadable, workspace, part, batch.unreadable)
            note_passed(workspace, source, batch)
            if len(batch.rows):
                note_readable(workspace, part, source, batch)

        batches = read_documents(unit, workspace, note)
        while (batch := next(batches, None)) is not None:
            source, docs, ids, raw = batch.source, batch.docs, batch.ids, batch.texts
            named = _constant(source.name, len(docs))
            beside = beside_texts(ids, named, batch.keep)
            probe_in_child(
                workspace,
                docs,
                with_texts(beside, raw),
                partial(_process, kernels, identify, removal, operators, source),
            )
            if source.structure_fields:
                raw, batch.keep[STRUCTURE] = normalised_parts(
                    batch.keep[STRUCTURE], source, kernels.normalise, workspace
                )
                batch.texts = raw
            described = {
                "doc": docs,
                "id": ids,
                "source": named,
                **{f"keep.{name}": batch.keep.get(name, pa.nulls(len(docs), pa.string())) for name in keep},
            }
            texts, columns = _prepare_texts(raw, kernels, removal, source, workspace)
            languages = None
            if operators:
                made = operators(texts, beside, docs)
                texts, languages = made.texts, made.languages
                for part, records in batch.unreadable(made.failed):
                    note_unreadable(unreadable, workspace, part, records)
                if made.failed:
                    described, columns = (without_rows(table, made.left) for table in (described, columns))
                columns |= made.columns
            del batch, raw, beside, ids, named, docs  # a huge document exists as few times at once as can be
            workspace.count(f"readable/{source.name}", len(texts))
            if len(texts) == 0:
                continue
            if languages is None:
                with workspace.timed("language"):
                    languages = identify(texts)
            _note_languages(languages, workspace)
            signals, signed, words = _measure(texts, languages, kernels, workspace)
            signals |= columns
            _check_signatures(signed, words, described, kernels.minhash, workspace)
            with workspace.timed("write"):
                parts.write(texts.nbytes, described | {"text": texts}, described | signals, described | signed)
            workspace.count("text_bytes", texts.nbytes)
        operators.finish()
        check_slices(slices, workspace.store)
    removal.by_count.write_examples()


def _process(
    kernels: _Kernels,
    identify: Identifier,
    removal: Removal,
    operators: UnitOperators,
    source: SourceConfig,
    batch: pa.RecordBatch,
) -> None:
    """All that is done to texts, for nothing but to see whether the process lives."""
    texts = batch.column("text")
    fault_point("batch", stage="measure", texts=texts)
    normalised, _ = removal(source.name, kernels.normalise(texts).texts)
    if operators:
        normalised = operators.try_on(normalised, batch.drop_columns(["text"]))
    identify(normalised)
    words = measure(normalised).words
    signatures(words.hashes, words.offsets, kernels.minhash)


def _prepare_texts(
    raw: pa.Array, kernels: _Kernels, removal: Removal, source: SourceConfig, workspace: Workspace
) -> tuple[pa.Array, Json]:
    """Normalised texts without boilerplate, and the columns that tell what was removed."""
    fault_point("batch", stage="measure", texts=raw)
    texts = raw if source.structure_fields else normalised(raw, kernels.normalise, workspace)
    return removal(source.name, texts)


def _note_languages(languages: pa.Array, workspace: Workspace) -> None:
    """With a model, how many documents it could not name a language of."""
    if not has_model(workspace.settings["language"]):
        return
    for code in (UNDETERMINED, NO_LANGUAGE):
        number = languages.dictionary.to_pylist().index(code)
        workspace.count(f"language_by_model/{code}", (languages.indices.to_numpy() == number).sum())


def _measure(
    texts: pa.Array, languages: pa.Array, kernels: _Kernels, workspace: Workspace
) -> tuple[Json, Json, WordHashes]:
    """Columns of the signals table, columns of the signatures table, words."""
    with workspace.timed("signals"):
        measured = measure(texts)
    words, offsets = measured.words.hashes, measured.words.offsets
    with workspace.timed("exact hash"):
        exact = text_hashes(texts)
    with workspace.timed("minhash"):
        signed = {
            "exact_high": exact[:, 0],
            "exact_low": exact[:, 1],
            "shingles": shingle_counts(offsets, kernels.minhash.ngram).astype(np.uint32),
            "signature": signatures(words, offsets, kernels.minhash),
        }
    signals = {name: measured.signals.column(name) for name in measured.signals.schema.names}
    return signals | {"language": languages}, signed, measured.words


def _check_signatures(
    signed: Json, words: WordHashes, documents: Json, minhash: MinHashConfig, workspace: Workspace
) -> None:
    """Compare the unit's first signature, and a sample of the others, with those of the reference library."""
    with workspace.timed("check signatures"):
        hashes = np.stack([signed["exact_high"], signed["exact_low"]], axis=1)
        rows = sampled_documents(words.offsets, hashes, minhash, first="signatures_checked" not in workspace.counters)
        different = first_difference(rows, signed["signature"], words.hashes, words.offsets, minhash)
    if different:
        row, entry = different
        raise SignatureError(
            f"document {documents['id'][row].as_py()!r} (number {documents['doc'][row]}) has another signature than "
            f"datasketch gives it, from entry {entry} of {minhash.num_perm} on: the compiled kernel is wrong on this "
            f"machine; remove {CACHE_FOLDER} and run again, and report it if that does not help"
        )
    if len(rows):
        workspace.count("signatures_checked", len(rows))


def _constant(name: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([name], pa.string()))


class _Parts(contextlib.AbstractContextManager["_Parts"]):
    """The unit's three tables, begun anew whenever a part is full."""

    def __init__(self, workspace: Workspace, keep: tuple[str, ...], num_perm: int, more: list[pa.Field]) -> None:
        self._workspace = workspace
        self._documents = schemas.documents(keep)
        self._signals = pa.schema(
            [
                ("doc", pa.uint64()),
                ("source", self._documents.field("source").type),
                ("language", pa.dictionary(pa.int32(), pa.string())),
            ]
            + [pa.field(name, kind) for name, kind in SIGNALS.items()]
            + more
        )
        self._signatures = schemas.signatures(num_perm)
        self._open = contextlib.ExitStack()
        self._tables: tuple[TableOutput, TableOutput, TableOutput] | None = None
        self._bytes = 0
        self._number = 0
        workspace.metadata["parts"] = []

    def write(self, text_bytes: int, documents: Json, signals: Json, signatures: Json) -> None:
        """Append one batch to the current part."""
        if self._tables is None:
            part = f"{self._number:03d}"
            self._tables = (
                self._open.enter_context(
                    parquet_output(
                        self._workspace,
                        f"documents-{part}",
                        self._documents,
                        ("text", "id", "doc"),
                        self._workspace.runtime["text_compression"],
                    )
                ),
                self._open.enter_context(parquet_output(self._workspace, f"signals-{part}", self._signals)),
                self._open.enter_context(ipc_output(self._workspace, f"signatures-{part}", self._signatures)),
            )
            self._workspace.metadata["parts"].append({"first_doc": int(documents["doc"][0]), "text_bytes": 0})
        for table, columns in zip(self._tables, (documents, signals, signatures), strict=True):
            table.write(columns)
        self._bytes += text_bytes
        self._workspace.metadata["parts"][-1]["text_bytes"] = self._bytes
        if self._bytes >= self._workspace.runtime["part_bytes"]:
            self._end_part()

    def _end_part(self) -> None:
        self._open.close()
        self._open = contextlib.ExitStack()
        self._tables = None
        self._bytes = 0
        self._number += 1

    def __exit__(self, *exception: Any) -> None:
        self._open.__exit__(*exception)


@dataclasses.dataclass(frozen=True)
class Part:
    """A stretch of measured documents: the unit of every later stage."""

    number: int
    first_doc: int
    text_bytes: int
    rows: int
    documents: Json
    signals: Json
    signatures: Json


def parts_of(records: list[Record]) -> list[Part]:
    """All parts of the measured units, in document order."""
    parts = list(_number_parts(records))
    for before, after in pairwise(parts):
        if before.first_doc >= after.first_doc:
            raise ValueError(
                f"parts {before.number} and {after.number} are out of document order "
                f"({before.first_doc} >= {after.first_doc}); planning is wrong"
            )
    return parts


def _number_parts(records: list[Record]) -> Iterator[Part]:
    number = 0
    for record in records:
        for index, note in enumerate(record.metadata["parts"]):
            outputs = [record.outputs[f"{kind}-{index:03d}"] for kind in ("documents", "signals", "signatures")]
            references = [output.reference() for output in outputs]
            yield Part(number, note["first_doc"], note["text_bytes"], outputs[0].rows, *references)
            number += 1
