"""BPE-dropout in a unit of `tokenise`: other ids for the documents of split train, the same in every attempt."""

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.engine.records import Unit
from winnow.engine.stage import Workspace
from winnow.shards.order import keyed_hash
from winnow.stages.tables import column_to_numpy, read_parquet
from winnow.tokens.dropout import MergeDropout
from winnow.tokens.tokeniser import TokenisedTexts, Tokeniser
from winnow.tokens.vocabulary import Vocabulary

_TAG = 0x64726F706F7574  # "dropout", where the order has a copy's number: the two share no keys


@cache
def _encoder(vocabulary: Vocabulary) -> MergeDropout:
    return MergeDropout(vocabulary)


class Dropout:
    """Puts ids with dropout in place of a batch's ids. Settings: ``rate``, ``seed``, ``epoch``, ``split``."""

    def __init__(self, unit: Unit, workspace: Workspace, tokeniser: Tokeniser) -> None:
        self._workspace, self._tokeniser = workspace, tokeniser
        self._encoder = _encoder(tokeniser.vocabulary)
        decisions = read_parquet(workspace.store, unit.inputs["decisions"], ["doc", "split"])
        mine = pc.fill_null(pc.equal(decisions.column("split"), workspace.settings["dropout"]["split"]), False)
        self._chosen = column_to_numpy(decisions.filter(mine), "doc")

    def __call__(self, encoded: TokenisedTexts, docs: NDArray[np.uint64], texts: pa.Array) -> TokenisedTexts:
        """The ids of a batch. If some do not decode to their text, all stay as they are, and it is counted."""
        settings, workspace = self._workspace.settings["dropout"], self._workspace
        rows = np.flatnonzero(np.isin(docs, self._chosen, assume_unique=True))
        messages = np.stack([docs[rows], np.full(len(rows), _TAG, np.uint64)], axis=1)
        keys = keyed_hash((settings["seed"], settings["epoch"]), messages)[:, 0]
        chosen = texts.take(pa.array(rows))
        made, done = self._encoder.encode(chosen, keys, settings["rate"])
        if wrong := self._wrong(chosen, made, done):
            workspace.count("mismatches", wrong)
            return encoded
        lengths = np.diff(encoded.offsets)
        before = int(lengths.sum())
        pieces = np.split(encoded.ids, encoded.offsets[1:-1])
        drawn = np.split(made.ids, made.offsets[1:-1])
        for place in np.flatnonzero(done).tolist():
            pieces[rows[place]] = drawn[place]
            lengths[rows[place]] = len(drawn[place])
        workspace.count("dropout_documents", done.sum())
        workspace.count("dropout_uncut", (~done).sum())
        workspace.count("dropout_more_tokens", lengths.sum() - before)
        return TokenisedTexts(np.concatenate(pieces), np.concatenate([[0], np.cumsum(lengths)]))

    def _wrong(self, texts: pa.Array, made: TokenisedTexts, done: NDArray[np.bool_]) -> int:
        """Texts of the sample whose ids do not decode to them."""
        wrong = 0
        for row in np.flatnonzero(done).tolist():
            text = texts[row].as_py().encode()
            if row == 0 or self._tokeniser.samples(text):
                ids = made.ids[made.offsets[row] : made.offsets[row + 1]]
                wrong += self._tokeniser.vocabulary.decode(ids) != text
        return wrong
