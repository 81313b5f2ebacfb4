"""Are removed documents as alike to their keepers as the ledger says? Computed again from the texts.

Nothing of the tables between is used but the ledger itself: words are split again, and shingles are told apart by
64-bit hashes where the stages use 32 of these bits.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow import schemas
from winnow.dedup.config import DedupConfig
from winnow.dedup.exact import text_hashes
from winnow.dedup.guard import CONTENT_WORDS
from winnow.dedup.index import FIRST_PART, is_indexed
from winnow.dedup.keeper_search import exact_similarity
from winnow.dedup.minhash import signatures
from winnow.dedup.shingle_sets import shingle_sets
from winnow.engine.records import Json
from winnow.finished.earlier import EarlierDocument, is_earlier, parts_there, read_earlier
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance
from winnow.looking.texts import text_by_document
from winnow.shards.order import keyed_hash
from winnow.stages.tables import column_to_numpy, read_parquet
from winnow.text.prose import prose_of
from winnow.text.scripts import dominant_scripts
from winnow.text.words import hash_words

SAMPLE = 256
"""Removed documents that are looked at."""
_SAMPLE_TAG = 0x766572696679  # "verify": the sample shares no keys with splits and orders
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_FLOAT_ERROR = 1e-6
_COLUMNS = ["doc", "outcome", "keeper", "similarity", "containment", "lost_ngrams"]
_NOTHING = pa.table({"doc": pa.array([], pa.uint64()), "keeper": pa.array([], pa.uint64()), "key": np.empty(0)})


def check_similarities(run: RunRecords, sample: int = SAMPLE, seed: int = 0) -> Balance:
    """Sampled duplicates that are what the ledger says, against all sampled.

    An exact duplicate's text must equal its keeper's. A near-duplicate's similarity must be the recorded one, and at
    least the threshold: what the run's `dedup.verify` makes of the two texts' signatures and sets of word n-grams. With
    a guard its keeper must lack as many runs of three words as recorded, and no more than the guard allows.
    """
    config = run.config.dedup or DedupConfig()
    chosen = _sample(run, sample, seed)
    texts = text_by_document(run, set(chosen.column("doc").to_pylist()) | set(chosen.column("keeper").to_pylist()))
    right = 0
    for row in chosen.to_pylist():
        if is_earlier(row["keeper"]):
            right += _is_like_earlier(texts.get(row["doc"], ""), read_earlier(run, row["keeper"]), row, config)
            continue
        pair = [texts.get(row["doc"]), texts.get(row["keeper"])]
        if row["outcome"] == schemas.EXACT_DUPLICATE:
            right += pair[0] == pair[1] is not None and row["similarity"] == 1.0
        elif None not in pair:
            similarity, error = _similarity(pa.array(pair, pa.large_string()), config)
            alike = abs(similarity - row["similarity"]) <= error and similarity >= config.threshold - error
            right += alike and (not config.guarded or _loses_what_is_recorded(pair, row, config))
    return Balance(
        f"sampled duplicates as alike to their keeper as the ledger says ({config.verify})", len(chosen), right
    )


def _sample(run: RunRecords, size: int, seed: int) -> pa.Table:
    """So many removed documents, those of the smallest keyed hash: the same for any order of parts."""
    chosen: list[pa.Table] = []
    there = np.array([FIRST_PART + part for part in parts_there(run)], np.uint64)  # others were dropped
    for decided in run.of("decide"):
        table = read_parquet(run.store, decided.outputs["decisions"].reference(), _COLUMNS)
        table = table.filter(pc.is_valid(table.column("keeper")))
        keeper = column_to_numpy(table, "keeper")
        table = table.filter(pa.array(~is_indexed(keeper) | np.isin(keeper >> np.uint64(32), there)))
        key = keyed_hash((_SAMPLE_TAG, seed), column_to_numpy(table, "doc")[:, None])[:, 0]
        table = table.append_column("key", pa.array(key))
        chosen.append(table.take(np.argsort(key)[:size]))
    everything = pa.concat_tables(chosen) if chosen else _NOTHING
    return everything.take(np.argsort(column_to_numpy(everything, "key"))[:size])


def _is_like_earlier(text: str, keeper: EarlierDocument | None, row: Json, config: DedupConfig) -> bool:
    """Whether the ledger is right about a document removed for one of an earlier run, from what the index holds of it.

    Its text lies in that run's folder, if it still exists: text hash, signature and shingles stand for it here.
    """
    texts = pa.array([text], pa.large_string())
    if keeper is None:
        return False
    if row["outcome"] == schemas.EXACT_DUPLICATE:
        return tuple(text_hashes(texts)[0].tolist()) == keeper.text_hash and row["similarity"] == 1.0
    words = hash_words(texts)
    agreeing = int((signatures(words.hashes, words.offsets, config.minhash)[0] == keeper.signature).sum())
    true = 0.0
    if keeper.shingles is not None:
        values, _ = shingle_sets(words.hashes, words.offsets, config.minhash.ngram)
        true = exact_similarity(values, keeper.shingles)
    similarity = float(config.verification.similarity(agreeing, true))
    right = abs(similarity - row["similarity"]) <= _FLOAT_ERROR and similarity >= config.threshold - _FLOAT_ERROR
    if config.guarded and keeper.ngrams is not None:
        own, _ = shingle_sets(words.hashes, words.offsets, CONTENT_WORDS)
        right &= row["lost_ngrams"] == len(np.setdiff1d(own, keeper.ngrams, assume_unique=True))
    return bool(right)


def _similarity(pair: pa.Array, config: DedupConfig) -> tuple[float, float]:
    """Similarity of two texts as the run's mode defines it, and by how much the ledger may differ.

    The ledger holds float32. Where the texts decide, shingles whose 32-bit hashes are equal count as one there: those
    of this pair are counted here, and each may move the overlap and the union by one.
    """
    words = hash_words(pair)
    signed = signatures(words.hashes, words.offsets, config.minhash)
    agreeing = int((signed[0] == signed[1]).sum())
    start, middle, end = words.offsets.tolist()
    a = _shingles(words.hashes[start:middle], config.minhash.ngram)
    b = _shingles(words.hashes[middle:end], config.minhash.ngram)
    together = np.union1d(a, b)
    if len(together) == 0:
        return 0.0, _FLOAT_ERROR
    similarity = float(config.verification.similarity(agreeing, (len(a) + len(b)) / len(together) - 1.0))
    if agreeing >= config.verification.accept_from:
        return similarity, _FLOAT_ERROR
    clashes = len(together) - len(np.unique(together >> np.uint64(32)))
    return similarity, _FLOAT_ERROR + 2 * clashes / (len(together) - clashes)


def _loses_what_is_recorded(pair: list[str | None], row: Json, config: DedupConfig) -> bool:
    """Whether a removed text (the first of the pair) loses to its keeper what the ledger says and the guard allows."""
    guard = config.guard
    assert guard is not None
    texts = pa.array(pair, pa.large_string())
    words = hash_words(texts)
    start, middle, end = words.offsets.tolist()
    own, others = (_shingles(words.hashes[a:b], CONTENT_WORDS) for a, b in ((start, middle), (middle, end)))
    lost = len(np.setdiff1d(own, others, assume_unique=True))
    together = np.union1d(own, others)
    clashes = len(together) - len(np.unique(together >> np.uint64(32)))
    held = 1.0 - lost / max(len(own), 1)
    if row["lost_ngrams"] is None or abs(row["lost_ngrams"] - lost) > clashes:
        return False
    slack = _FLOAT_ERROR + clashes / max(len(own) - clashes, 1)
    if abs(row["containment"] - held) > slack or held < guard.min_containment - slack:
        return False
    removed, keeper = (len(text or "") for text in pair)
    if guard.keeper_not_shorter and lost and keeper < removed:
        return False
    one, other = dominant_scripts(texts, prose_of(texts)).tolist()
    return not guard.script or 0 in (one, other) or one == other


def _shingles(words: NDArray[np.uint64], ngram: int) -> NDArray[np.uint64]:
    """Distinct 64-bit hashes of all runs of ``ngram`` words (of all words, where there are fewer).

    Their upper halves are the shingles of `winnow.dedup.shingles`, whose formula this is.
    """
    width = min(ngram, len(words))
    if width == 0:
        return words
    hashes = np.full(len(words) - width + 1, width, np.uint64)
    for place in range(width):
        hashes = hashes * _STEP + words[place : place + len(hashes)]
    for _ in range(2):
        hashes = (hashes ^ (hashes >> np.uint64(32))) * _MIX
    return np.unique(hashes)
