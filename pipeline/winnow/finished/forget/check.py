"""Whether 50 words in a row of what was removed still stand in the new shards, and in whose documents."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.engine import Engine
from winnow.engine.records import Json, Record, total
from winnow.errors import BooksError, ConfigError
from winnow.finished.shards import best_source, row_shape
from winnow.flow.records import RunRecords
from winnow.looking.list_documents import names_of
from winnow.looking.texts import parts_holding, texts_of
from winnow.shards.manifest import parse_manifest
from winnow.stages.removals import standing
from winnow.stages.removals.standing import GRAM, GRAMS, gram_hashes
from winnow.stages.shards.shard_set import described_formats
from winnow.stages.tables import column_to_numpy, list_lengths, read_ipc
from winnow.storage.node_copy import node_copy
from winnow.text.words import hash_words
from winnow.tokens.marks import MARK
from winnow.tokens.tokeniser import Tokeniser
from winnow.tokens.vocabulary import Vocabulary

WORDS = 50
LISTED = 1000
"""Passages that a proof lists one by one."""
_HOLDERS = 5


class _Passage(NamedTuple):
    split: str
    shard: str
    row: int
    words: int
    grams: NDArray[np.uint64]


def check(
    run: RunRecords, engine: Engine, vocabulary: Vocabulary, docs: list[int], manifest: bytes, place: str
) -> Json:
    """Look for the removed documents' words in a shard set.

    Args:
        run: with the new set, which need not be out.
        engine: where the work is done.
        vocabulary: of the run.
        docs: numbers of what was removed.
        manifest: of the new set.
        place: a folder of the run folder, for what is looked for while that is going on.

    Raises:
        BooksError: words stand there that no kept document holds.
    """
    grams, short = _grams_of(run, np.array(sorted(docs), np.uint64))
    told: Json = {
        "words": WORDS, "documents": len(docs), "too_short": short, "sequences": len(grams),
        "rows": 0, "tokens": 0, "passages": 0, "standing": [],
    }  # fmt: skip
    if not run.of("shards"):
        return told
    described = parse_manifest(manifest)
    try:
        kind = best_source(described)
    except ConfigError as error:
        return told | {"not_checked": str(error)}
    reference = _publish(run, f"{place}/grams.arrow", grams)
    splits = {name: split["shards"] for name, split in described_formats(described["shards"])[kind].items()}
    shape = row_shape(described)
    stage = standing.stage(shape.row_tokens, shape.dtype.name, shape.document_separator)
    searched = engine.run(stage, standing.plan(run.shards, kind, splits, reference))
    passages = []
    for record in searched:
        runs = _runs_of(run, vocabulary, record)
        for row in np.flatnonzero(runs.words >= WORDS).tolist():
            hashes = np.unique(gram_hashes(runs.ids(row)))
            where = record.metadata["split"], record.metadata["shard"], int(runs.rows[row])
            passages.append(_Passage(*where, int(runs.words[row]), hashes))
    told["rows"], told["tokens"] = total(searched, "searched_rows"), total(searched, "searched_tokens")
    told["passages"] = len(passages)
    if passages:
        holders = _holders(run, engine, vocabulary, passages, place)
        for passage in passages:
            _check_held(passage, holders)
        told["standing"] = [_told(passage, holders) for passage in passages[:LISTED]]
    for name in ("grams", "passages"):
        run.store.remove(f"{place}/{name}.arrow")
    for stage_name in (stage.name, standing.documents_stage().name):
        run.records.pop(stage_name, None)  # a check is no part of the run
    return told


class _Runs(NamedTuple):
    """What a unit of the search found: R runs of tokens."""

    rows: NDArray[np.int64]
    docs: NDArray[np.uint64]
    flat: NDArray[np.uint32]
    starts: NDArray[np.int64]
    """int64[R + 1] into ``flat``."""
    words: NDArray[np.int64]

    def ids(self, row: int) -> NDArray[np.uint32]:
        """The tokens of one run."""
        return self.flat[self.starts[row] : self.starts[row + 1]]


def _runs_of(run: RunRecords, vocabulary: Vocabulary, record: Record) -> _Runs:
    table = read_ipc(run.store, record.outputs["runs"].reference()).combine_chunks()
    rows, docs = column_to_numpy(table, "row"), column_to_numpy(table, "doc")
    starts = np.concatenate([[0], np.cumsum(list_lengths(table, "ids"))]).astype(np.int64)
    flat = table.column("ids").combine_chunks().flatten().to_numpy() if len(rows) else np.empty(0, np.uint32)
    texts = [
        vocabulary.decode(flat[begin:end]).decode("utf-8", "ignore")
        for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    ]
    words = np.diff(hash_words(pa.array(texts, pa.large_string())).offsets) if texts else np.empty(0, np.int64)
    return _Runs(rows, docs, flat, starts, words)


class _Holders(NamedTuple):
    """Who holds which runs of 16 tokens, among the kept documents."""

    held: NDArray[np.uint64]
    """All that anybody holds, rising."""
    gram: NDArray[np.uint64]
    """[P] rising: of pairs of a run and a document that holds 50 words around it."""
    doc: NDArray[np.uint64]
    """[P]."""
    names: dict[int, str]
    """Ids by document."""


def _check_held(passage: _Passage, holders: _Holders) -> None:
    """Raises BooksError where nobody holds the passage."""
    at = np.minimum(np.searchsorted(holders.held, passage.grams), len(holders.held) - 1)
    if len(holders.held) == 0 or (holders.held[at] != passage.grams).any():
        raise BooksError(
            f"{passage.shard}, row {passage.row:,}: {passage.words} words in a row of a removed document stand there, "
            "and no kept document holds them; the old shard set stays the current one. This is a fault in winnow, "
            "please report"
        )


def _told(passage: _Passage, holders: _Holders) -> Json:
    first, end = (np.searchsorted(holders.gram, passage.grams, side) for side in ("left", "right"))
    number = end - first
    pairs = np.repeat(first - np.cumsum(number) + number, number) + np.arange(number.sum())
    docs, counts = np.unique(holders.doc[pairs], return_counts=True)
    most = docs[np.lexsort((docs, -counts))][:_HOLDERS]
    fields = {name: getattr(passage, name) for name in ("split", "shard", "row", "words")}
    return fields | {"also_in": [holders.names[doc] for doc in most.tolist()]}


def _grams_of(run: RunRecords, docs: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], int]:
    """Runs of 16 tokens of these documents, and how many of them are too short to have one."""
    found, short, plain = [np.empty(0, np.uint64)], 0, []
    for number, places in parts_holding(run, docs):
        tokens = run.of("tokenise")[number].outputs["tokens"]
        if not run.store.exists(tokens.path):  # removed once they were shuffled
            plain.append(docs[places])
            continue
        table = read_ipc(run.store, tokens.reference())
        there, lengths = column_to_numpy(table, "doc"), list_lengths(table, "ids")
        plain.append(docs[places][~np.isin(docs[places], there)])
        for row in np.flatnonzero(np.isin(there, docs[places])).tolist():
            short += int(lengths[row] < GRAM)
            ids = table.column("ids")[row].values.to_numpy()
            found.append(gram_hashes(ids & ~MARK if ids.dtype == np.uint32 else ids))
    for texts in _texts(run, np.concatenate(plain) if plain else docs[:0]):
        encoded = _tokeniser(run).encode(texts)
        for begin, end in zip(encoded.offsets[:-1].tolist(), encoded.offsets[1:].tolist(), strict=True):
            short += int(end - begin < GRAM)
            found.append(gram_hashes(encoded.ids[begin:end]))
    return np.unique(np.concatenate(found)), short


def _texts(run: RunRecords, docs: NDArray[np.uint64]) -> Any:
    """Texts of documents that were not tokenised, some at a time."""
    for _, texts in texts_of(run, docs):
        yield texts.cast(pa.large_string())


def _tokeniser(run: RunRecords) -> Tokeniser:
    config = run.config.tokeniser
    local = config.model_copy(update={"encoding": node_copy(config.encoding, run.config.storage)})
    return Tokeniser(local)


def _publish(run: RunRecords, path: str, grams: NDArray[np.uint64]) -> Json:
    with run.store.create(path) as draft, pa.ipc.new_file(draft.arrow(), GRAMS) as file:
        file.write_table(pa.table({"gram": grams}, schema=GRAMS))
    return {"path": path, "hash": draft.hash}


def _holders(run: RunRecords, engine: Engine, vocabulary: Vocabulary, passages: list[_Passage], place: str) -> _Holders:
    """Search the tokens of the kept documents for the passages."""
    reference = _publish(run, f"{place}/passages.arrow", np.unique(np.concatenate([p.grams for p in passages])))
    units = standing.plan_documents(run.of("tokenise"), run.ledger, reference)
    held, grams, docs = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
    names: dict[int, str] = {}
    for number, record in enumerate(engine.run(standing.documents_stage(), units)):
        runs = _runs_of(run, vocabulary, record)
        for row, long in enumerate((runs.words >= WORDS).tolist()):
            found = gram_hashes(runs.ids(row))
            held.append(found)
            if long:
                grams.append(found)
                docs.append(np.full(len(found), runs.docs[row]))
        of_part = np.unique(runs.docs[runs.words >= WORDS])
        names |= {doc: name for doc, (name, _) in names_of(run, number, of_part)} if len(of_part) else {}
    gram, doc = np.concatenate(grams), np.concatenate(docs)
    order = np.lexsort((doc, gram))
    return _Holders(np.unique(np.concatenate(held)), gram[order], doc[order], names)
