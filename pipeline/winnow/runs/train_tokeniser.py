"""Trains a vocabulary on the cleaned text of a config: sample, training, files, and what they are worth."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from winnow.config.config import Config
from winnow.config.remote_files import pin_for_cleaning
from winnow.config.strict_yaml import write_yaml
from winnow.engine.engine import Engine
from winnow.engine.lease import hold_lease
from winnow.engine.records import Record, total
from winnow.errors import ConfigError
from winnow.flow.context import RunContext
from winnow.flow.flow import CLEANING, run_steps
from winnow.flow.records import RunRecords
from winnow.flow.surroundings import surroundings_of
from winnow.runs.folder import check_folder, check_places
from winnow.runs.run import resolve_inputs
from winnow.runs.run_key import with_key
from winnow.stages.tables import read_ipc
from winnow.stages.tokenise import text_sample
from winnow.storage.config import StorageConfig
from winnow.storage.node_copy import node_copy, pinned, with_user_addresses
from winnow.storage.open_store import open_store
from winnow.storage.store import Store
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.tokeniser import Tokeniser
from winnow.tokens.training import tokenizer_json, train_ranks
from winnow.tokens.vocabulary import load_vocabulary

RANKS, JSON, REPORT, CONFIG = "vocabulary.tiktoken", "tokenizer.json", "report.json", "tokenise.yaml"
COMPARED = ("gpt2", "o200k_base")
"""What the report sets beside the new vocabulary; encodings whose rank files are not on this machine are left out."""
HELD_OUT_OF_SAMPLE = 0.1
"""Text held out for the report, as a share of the sample."""
ALL = ""
"""Stands for all sources or all languages in the report."""


@dataclass(frozen=True)
class Compression:
    """Bytes a token on held-out text."""

    source: str
    language: str
    documents: int
    text_bytes: int
    bytes_a_token: dict[str, float]
    """By encoding: ``own``, then those that it is compared with."""


@dataclass(frozen=True)
class TrainedVocabulary:
    """What was trained."""

    folder: str
    size: int
    asked: int
    sample_documents: int
    sample_bytes: int
    compression: list[Compression]
    """All of it first, then by source, then by language; largest first."""


def train_vocabulary(
    config: Config,
    size: int,
    sample_mb: int,
    pattern: str,
    seed: int,
    folder: str,
    compared: tuple[str, ...] = COMPARED,
) -> TrainedVocabulary:
    """Clean the text of a config as a run would, train on a sample, and write four files into ``folder``.

    What is cleaned here is used again by a later run of the same config. An index of earlier runs is left out: what
    they kept counts as well.

    Raises:
        ConfigError: nothing was kept, or a vocabulary to compare with cannot be used.
        InputError, LeaseHeldError, StageFailedError, UnreadableShareError, StorageError: as a run.
    """
    config = with_key(pin_for_cleaning(config))
    store, target = open_store(config.run, config.storage), open_store(folder, config.storage)
    check_folder(config, store)
    check_places([folder])
    inputs = resolve_inputs(config)
    others = usable_encodings(compared, config.storage)
    with hold_lease(store) as lease:
        store.remove_drafts()
        surroundings = surroundings_of(config, None)
        engine = Engine(store, config.compute, guard=lease.check, surroundings=surroundings)
        context = RunContext.of(config, engine, inputs, None)
        run_steps(context, CLEANING)
        share = share_of(context.run, sample_mb)
        sampling = text_sample.stage(seed, share, share * HELD_OUT_OF_SAMPLE)
        sampled = engine.run(sampling, text_sample.plan(context.run.parts, context.run.survivors, context.run.edits))
        if total(sampled, "text_bytes") == 0:
            raise ConfigError(f"{config.run}: no document was kept, or none was drawn; there is nothing to train on")
        ranks = train_ranks(_texts(store, sampled), size, pattern)
    target.replace(RANKS, ranks)
    encoding = target.location(RANKS)
    own = TokeniserConfig(encoding=node_copy(encoding, config.storage), pattern=pattern)
    vocabulary = load_vocabulary(own)
    target.replace(JSON, tokenizer_json(vocabulary.ranks, pattern))
    settings = {"tokenise": {"encoding": encoding, "pattern": pattern}}
    target.replace(CONFIG, write_yaml(settings))
    trained = TrainedVocabulary(
        folder,
        vocabulary.size,
        size,
        total(sampled, "documents"),
        total(sampled, "text_bytes"),
        compare(store, sampled, {"own": own} | others),
    )
    target.replace(REPORT, orjson.dumps(trained, option=orjson.OPT_INDENT_2))
    return trained


def usable_encodings(compared: tuple[str, ...], storage: StorageConfig) -> dict[str, TokeniserConfig]:
    """Encodings, by name or file, that are on this machine.

    Raises:
        ConfigError: one that was named and is not one of ``COMPARED`` cannot be used.
    """
    usable = {}
    for name in compared:
        address = name
        try:
            address = pinned(address, storage)
            encoding = TokeniserConfig(encoding=node_copy(address, storage))
            load_vocabulary(encoding)
        except (ValueError, FileNotFoundError) as error:
            if name not in COMPARED:
                raise ConfigError(f"--compare {name}: {with_user_addresses(error, storage, address)}") from error
            continue
        usable[Path(name).stem] = encoding
    return usable


def share_of(run: RunRecords, sample_mb: int) -> float:
    """Share of the kept documents that makes about ``sample_mb`` of text; what judges it is always left over."""
    kept_bytes = 0.0
    for part, record in zip(run.parts, run.survivors, strict=True):
        kept_bytes += part.text_bytes * record.outputs["survivors"].rows / max(1, part.rows)
    return min(1 / (1 + HELD_OUT_OF_SAMPLE), sample_mb * 1_000_000 / max(1.0, kept_bytes))


def _texts(store: Store, sampled: list[Record]) -> Iterator[str]:
    """Texts to train on, one after the other."""
    for table in _tables(store, sampled):
        for chunk in table.filter(pc.invert(table.column("held_out"))).column("text").chunks:
            yield from chunk.to_pylist()


def _tables(store: Store, sampled: list[Record]) -> Iterator[pa.Table]:
    for record in sampled:
        yield read_ipc(store, record.outputs["sample"].reference())


def compare(store: Store, sampled: list[Record], encodings: dict[str, TokeniserConfig]) -> list[Compression]:
    """Bytes a token of every encoding on the held-out documents, by source and by language."""
    tokenisers = {name: Tokeniser(config) for name, config in encodings.items()}
    documents: dict[tuple[str, str], int] = defaultdict(int)
    size: dict[tuple[str, str], int] = defaultdict(int)
    tokens: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for table in _tables(store, sampled):
        judged = table.filter(table.column("held_out"))
        for batch in judged.combine_chunks().to_batches():
            lengths = pc.binary_length(batch.column("text")).to_pylist()
            counts = {name: tokeniser.encode(batch.column("text")).offsets for name, tokeniser in tokenisers.items()}
            names = zip(batch.column("source").to_pylist(), batch.column("language").to_pylist(), strict=True)
            for row, (source, language) in enumerate(names):
                for key in ((ALL, ALL), (source, ALL), (ALL, language)):
                    documents[key] += 1
                    size[key] += lengths[row]
                    for name, offsets in counts.items():
                        tokens[key][name] += int(offsets[row + 1] - offsets[row])
    keys = sorted(documents, key=lambda key: (key != (ALL, ALL), key[1] != ALL, -size[key], key))
    return [
        Compression(*key, documents[key], size[key], {name: size[key] / max(1, n) for name, n in tokens[key].items()})
        for key in keys
    ]
