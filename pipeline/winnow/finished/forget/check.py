"""Whether 50 words in a row of what was removed still stand in the new shards, and in whose documents."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.engine import Engine
from winnow.engine.records import Json, total
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
        table = read_ipc(run.store, record.outputs["runs"].reference())
        words = _words(vocabulary, table.column("ids"))
        for row, number, ids in zip(table.column("row").to_pylist(), words, table.column("ids"), strict=True):
            if number >= WORDS:
                hashes = gram_hashes(ids.values.to_numpy())
                passages.append(_Passage(record.metadata["split"], record.metadata["shard"], row, number, hashes))
    holders = _holders(run, engine, vocabulary, passages, place) if passages else {}
    told["rows"], told["tokens"] = total(searched, "searched_rows"), total(searched, "searched_tokens")
    told["passages"], told["standing"] = len(passages), [_told(passage, holders) for passage in passages[:LISTED]]
    for name in ("grams", "passages"):
        run.store.remove(f"{place}/{name}.arrow")
    for stage_name in (stage.name, standing.documents_stage().name):
        run.records.pop(stage_name, None)  # a check is no part of the run
    return told


def _told(passage: _Passage, holders: dict[int, list[str]]) -> Json:
    """Raises BooksError where nobody holds the passage."""
    counts: dict[str, int] = {}
    for gram in passage.grams.tolist():
        for name in holders.get(gram, ()):
            counts[name] = counts.get(name, 0) + 1
        if gram not in holders:  # not even for a few words
            raise BooksError(
                f"{passage.shard}, row {passage.row:,}: {passage.words} words in a row of a removed document stand "
                "there, and no kept document holds them; the old shard set stays the current one. This is a fault in "
                "winnow, please report"
            )
    most = sorted(counts, key=lambda name: (-counts[name], name))[:_HOLDERS]
    fields = {name: getattr(passage, name) for name in ("split", "shard", "row", "words")}
    return fields | {"also_in": most}


def _grams_of(run: RunRecords, docs: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], int]:
    """Runs of 16 tokens of these documents, and how many of them are too short to have one."""
    found, short, plain = [np.empty(0, np.uint64)], 0, []
    for number, places in parts_holding(run, docs):
        table = read_ipc(run.store, run.of("tokenise")[number].outputs["tokens"].reference())
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


def _words(vocabulary: Vocabulary, runs: pa.ChunkedArray) -> list[int]:
    """Words of each run of tokens."""
    texts = [vocabulary.decode(ids.values.to_numpy()).decode("utf-8", "ignore") for ids in runs]
    if not texts:
        return []
    offsets = hash_words(pa.array(texts, pa.large_string())).offsets
    words: list[int] = np.diff(offsets).tolist()
    return words


def _holders(
    run: RunRecords, engine: Engine, vocabulary: Vocabulary, passages: list[_Passage], place: str
) -> dict[int, list[str]]:
    """By run of 16 tokens that some kept document holds, ids of those that hold 50 words around it."""
    grams = np.unique(np.concatenate([passage.grams for passage in passages]))
    reference = _publish(run, f"{place}/passages.arrow", grams)
    units = standing.plan_documents(run.of("tokenise"), run.ledger, reference)
    holders: dict[int, list[str]] = {}
    for number, record in enumerate(engine.run(standing.documents_stage(), units)):
        table = read_ipc(run.store, record.outputs["runs"].reference())
        docs = column_to_numpy(table, "doc")
        names = dict(names_of(run, number, np.unique(docs))) if len(docs) else {}
        words = _words(vocabulary, table.column("ids"))
        for doc, ids, number_of_words in zip(docs.tolist(), table.column("ids"), words, strict=True):
            for gram in gram_hashes(ids.values.to_numpy()).tolist():
                known = holders.setdefault(gram, [])
                if number_of_words >= WORDS and names[doc][0] not in known and len(known) < _HOLDERS:
                    known.append(names[doc][0])
    return holders
