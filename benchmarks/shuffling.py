"""The stages from tokens to shards on given documents, in a folder of their own, step by step.

Imported by ``kernels.py``; nothing here is timed.
"""

from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Record, Unit, total
from winnow.engine.stage import Stage, Workspace, run_unit
from winnow.shards.order import order_keys
from winnow.stages.shards import layout, shards, shuffle
from winnow.stages.tables import ipc_output, parquet_output
from winnow.storage.local_store import LocalStore
from winnow.tokens.config import TokeniserConfig
from winnow.tokens.vocabulary import load_vocabulary

Documents = tuple[NDArray[np.uint32], NDArray[np.int64]]
"""Ids of all documents of a part, one after the other, and the offsets between them."""


class Shuffling:
    """All parts' tokens in storage, ready to be shuffled into shards without validation split."""

    def __init__(self, folder: Path, parts: list[Documents], shard_mb: int = 256) -> None:
        self.folder = str(folder)
        self.store = LocalStore(self.folder)
        self.parts = parts
        self.config = shards.ShardsConfig(splits={}, shard_mb=shard_mb)
        self.shuffling = shuffle.stage(self.config.seed, self.config.epoch, self.config.split_names)
        self.vocabulary = load_vocabulary(TokeniserConfig())
        self.sharding = shards.stage(self.config, self.vocabulary)
        self.token_bytes = sum(ids.nbytes for ids, _ in parts)
        tokens, decisions = self._run_units("tokens", self._tokens), self._run_units("decisions", self._decisions)
        self.shuffle_units = shuffle.plan(tokens, decisions, 4, 128)
        self.shuffled: list[Record] = []

    def _run_units(self, name: str, run) -> list[Record]:
        stage = Stage(name, 1, {}, run)
        return [run_unit(stage, Unit(number, {"part": number}), self.store) for number in range(len(self.parts))]

    def docs(self, number: int) -> NDArray[np.uint64]:
        """Document numbers of one part."""
        return schemas.document_numbers(number, np.arange(len(self.parts[number][1]) - 1, dtype=np.uint32))

    def _tokens(self, unit: Unit, workspace: Workspace) -> None:
        ids, offsets = self.parts[unit.number]
        docs = self.docs(unit.number)
        column = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(ids))
        half = len(docs) // 2  # a part has several batches, as ``tokenise`` writes it
        with ipc_output(workspace, "tokens", schemas.tokens(column.type.value_type)) as table:
            table.write({"doc": docs[:half], "ids": pa.concat_arrays([column[:half]])})
            table.write({"doc": docs[half:], "ids": pa.concat_arrays([column[half:]])})
        workspace.count("tokens", len(ids))

    def _decisions(self, unit: Unit, workspace: Workspace) -> None:
        docs = self.docs(unit.number)
        train = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(docs), np.int32)), pa.array(["train"]))
        columns = {"doc": docs, "split": train, "copies": np.ones(len(docs), np.uint16)}
        schema = pa.schema([("doc", pa.uint64()), ("split", train.type), ("copies", pa.uint16())])
        with parquet_output(workspace, "decisions", schema) as table:
            table.write(columns)

    def workspace(self, stage: Stage, unit: Unit) -> Workspace:
        """A place for one unit's results."""
        return Workspace(self.store, stage.folder, f"{unit.number:05d}", stage.settings)

    def shuffle(self) -> None:
        """Exchange write: order, gather and write every part."""
        self.shuffled = []
        for unit in self.shuffle_units:
            workspace = self.workspace(self.shuffling, unit)
            shuffle.run(unit, workspace)
            self.shuffled.append(
                Record("shuffle", "", str(unit.number), unit.number, workspace.outputs, workspace.counters)
            )

    def shard_units(self) -> list[Unit]:
        """Lay out what was shuffled: one unit a shard."""
        outputs = [record.outputs["rows"] for record in self.shuffled]
        self.store.replace("listing.json", orjson.dumps([output.reference() for output in outputs]))
        listing = {"path": "listing.json", "hash": "-"}
        partitions = self.shuffle_units[0].inputs["partitions"]
        laid_out = []
        for unit in layout.plan(listing, partitions * len(self.config.split_names), len(outputs)):
            workspace = self.workspace(layout.stage(), unit)
            layout.run(unit, workspace)
            laid_out.append(
                Record("layout", "", str(unit.number), unit.number, workspace.outputs, metadata=workspace.metadata)
            )
        extents = [record.outputs["extents"].reference() for record in laid_out]
        self.store.replace("extents.json", orjson.dumps(extents))
        exchange = {"rows": listing, "extents": {"path": "extents.json", "hash": "-"}}
        tokens = [total(self.shuffled, "tokens/train")]
        return shards.plan(self.sharding, self.config, tokens, 4, exchange, layout.first_tokens(laid_out, partitions))

    def plain_sort(self) -> NDArray[np.uint32]:
        """The same stream without any stage: everything in memory, sorted by key, joined by end-of-text."""
        docs = np.concatenate([self.docs(number) for number in range(len(self.parts))])
        ids = [piece for ids, offsets in self.parts for piece in np.split(ids, offsets[1:-1])]
        once = np.ones(len(docs), np.uint64)
        high, low = order_keys(docs, once * np.uint64(0), once, self.config.seed, self.config.epoch)
        end = np.array([self.vocabulary.end_of_text], np.uint32)
        return np.concatenate([piece for row in np.lexsort((low, high)) for piece in (ids[row], end)])
