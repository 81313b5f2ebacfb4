"""Trains an n-gram model on a target set: files are read and normalised as a run reads its sources."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from winnow.errors import ConfigError, InputError
from winnow.select.step_configs import ExamplesConfig
from winnow.sources.catalogue import build_catalogue
from winnow.sources.read import read_slice
from winnow.stages.ingest.slices import parse_slice, plan_measure
from winnow.stages.select.examples import list_examples
from winnow.storage.config import StorageConfig
from winnow.storage.open_store import open_store
from winnow.storage.store import Store
from winnow.text.ngrams.tokens import TokenKind
from winnow.text.ngrams.training import Trained, arpa_lines, train
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.normalise import Normaliser

_BATCH_BYTES = 8_000_000
_SETTING = "PATH"


@dataclass(frozen=True)
class TrainedFile:
    """What was written."""

    path: str
    bytes: int
    model: Trained
    unreadable: int
    """Records that could not be read, and are left out."""


def train_ngrams(
    target: ExamplesConfig,
    out: str,
    kind: TokenKind,
    min_counts: Sequence[int],
    vocabulary: int,
    *,
    by_line: bool,
) -> TrainedFile:
    """Train on the files of a target set, and write an ARPA file; the same input gives the same bytes.

    Args:
        target: where the texts are.
        out: path of the file.
        kind: of tokens.
        min_counts: by order; see ``text.ngrams.kneser_ney``.
        vocabulary: most words.
        by_line: whether every line is a sentence; else every text.

    Raises:
        ConfigError: the file cannot be written there, or there is nothing to train on.
        InputError: a path names nothing, or a file cannot be read to its end.
    """
    place = Path(out).absolute()
    if place.suffix != ".arpa" or place.is_dir():
        raise ConfigError(f"--out {out}: expected the path of a file, ending with .arpa")
    store = open_store(str(place.parent), StorageConfig())
    unreadable = [0]
    try:
        model = train(_texts(target, store, unreadable), kind, min_counts, vocabulary, by_line=by_line)
    except InputError:
        raise
    except ValueError as error:
        raise ConfigError(f"{_SETTING}: {error}; name files that hold text") from error
    with store.create(place.name) as draft:
        for piece in arpa_lines(model):
            draft.write(piece)
    return TrainedFile(str(place), draft.bytes, model, unreadable[0])


def _texts(target: ExamplesConfig, store: Store, unreadable: list[int]) -> Iterator[pa.Array]:
    """Normalised texts, batch by batch; counts records that could not be read."""
    normalise = Normaliser(NormaliseConfig())
    files = build_catalogue(store, list_examples({_SETTING: target}, store.storage), save=False)
    for unit in plan_measure(files, {_SETTING: target.source(_SETTING)}, [], 1 << 60):
        for fields in unit.inputs["slices"]:
            file_slice, source = parse_slice(fields)
            for batch in read_slice(file_slice, source, store.open_input, _BATCH_BYTES):
                for bad in batch.unreadable:
                    if bad.row is None:
                        raise InputError(
                            f"{file_slice.path} cannot be read to its end: {bad.reason}; mend the file, or name another"
                        )
                unreadable[0] += len(batch.unreadable)
                if len(batch.rows):
                    yield normalise(batch.texts).texts
