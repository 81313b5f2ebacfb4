"""The two torch datasets over a shard set: one for training loops, one for reading rows by number."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from winnow.shards.dataset.batch_memory import BatchMemory
from winnow.shards.dataset.batches import Batch, BatchForm, make_batch
from winnow.shards.dataset.epoch_order import Rows
from winnow.shards.dataset.pair_batches import make_pair_batch
from winnow.shards.dataset.provenance import RowSource
from winnow.shards.dataset.split_reader import SplitReader
from winnow.shards.dataset.steps import ReaderRank, Tail, batch_of_rank, num_steps, whole_number
from winnow.shards.dataset.stream import SampleStream, Source, positions_as_rows

Dtype = Literal["int64", "int32"]
Location = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A shard set, a corpus, or a list of them."""
PAIR = ("input_ids", "labels")
"""What batches are that are no dicts: (tokens, targets)."""


class ShardDataset(IterableDataset[Any]):
    """Batches of one rank, in the global order; its whole state is one integer, the samples that all ranks have read.

    Give it to a ``DataLoader`` with ``batch_size=None``: it makes whole batches itself. Iterating begins at the state's
    sample (0, or what :meth:`load_state_dict` set), each time anew, and goes to the end of the last epoch.

    Args:
        location: folder of the shard set, or an fsspec URL of it. Several of them (a list), or a corpus that grows (its
            folder, or its ``corpus.json``), are one stream: the first epoch spreads the sets evenly, later ones mix the
            shards of all. The sets are those that are there when the dataset is made.
        split: name of the split.
        batch_size: rows of this rank in a step. Without it and ``global_batch``, single rows come without a batch
            dimension.
        global_batch: rows of all ranks in a step, instead of ``batch_size``.
        rank: of this process; with ``world_size``. Default: torch.distributed, else RANK and WORLD_SIZE, else 0 of 1.
        world_size: number of ranks.
        epochs: passes over the split; None: without end. Epochs follow each other without a gap, so a batch can hold
            the last rows of one and the first rows of the next.
        seed: of the orders of epochs after the first, which is the stored order.
        mix_shards: shards whose rows are mixed with each other in those epochs.
        shuffle_first: the first epoch is shuffled like the others. In the stored order the rows of one long document
            follow each other: take this where rows are much shorter than documents.
        tail: ``drop`` leaves out the samples after the last full step; ``pad`` completes it with rows of which nothing
            is to be learned (labels -100). All ranks have the same number of steps either way.
        as_dict: batches are dicts with ``input_ids``, ``labels``, ``label`` (the class of each row's document, where
            documents have one) and what else is asked; otherwise (tokens, targets). Of preference pairs they are
            ``input_ids``, ``attention_mask`` and ``completion_mask``, all chosen answers and then all rejected ones.
        dtype: of all integers in a batch, ``int64`` or ``int32``.
        shift: labels stand one token ahead of the inputs. False (for models that shift by themselves, as those of
            transformers do): both are the whole row.
        position_ids: dicts hold positions that begin again with each document.
        doc_lens: dicts hold the lengths of each row's document pieces, 0 after the last.
        sources: dicts hold where each of these pieces comes from, as numbers of :attr:`sources`, -1 after the last.
            The shards need the column `docs` (`shards.columns`).
        columns: further columns of the shards that dicts hold.
        verify: compare the sha256 of each shard, and of a raw one's index, with the manifest's when a process first
            uses it.
        cache: local folder for the shards of a URL.
        cache_mb: its largest size, in MB.
        file_format: ``parquet`` or ``raw``, where the set has both.
        pin_memory: make batches in pinned memory where there is CUDA and no worker process.
        until: name of the last set of a corpus that is read, such as that of the night when a training run began.
        key: ``env:NAME``, the variable with the key of encrypted sets, in place of the one that their manifests name.

    Raises:
        ShardError: no manifest, no such split, an empty one; sets of other row lengths or vocabularies; while
            iterating, a shard that is missing, cut short or altered.
        ValueError: settings that do not fit.
    """

    def __init__(
        self,
        location: Location,
        split: str = "train",
        *,
        batch_size: int | None = None,
        global_batch: int | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        epochs: int | None = 1,
        seed: int = 0,
        mix_shards: int = 16,
        shuffle_first: bool = False,
        tail: Tail = "drop",
        as_dict: bool = False,
        dtype: Dtype = "int64",
        shift: bool = True,
        position_ids: bool = False,
        doc_lens: bool = False,
        sources: bool = False,
        columns: Sequence[str] = (),
        verify: bool = False,
        cache: str | None = None,
        cache_mb: int | None = None,
        file_format: str | None = None,
        pin_memory: bool = False,
        until: str | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__()
        if batch_size is not None and global_batch is not None:
            raise ValueError("give batch_size (rows of this rank) or global_batch (rows of all ranks), not both")
        if batch_size is not None:
            batch_size = whole_number("batch_size", batch_size)
            if batch_size < 1:
                raise ValueError(f"batch_size ({batch_size}) must be at least 1")
        if global_batch is not None:
            global_batch = whole_number("global_batch", global_batch)
        if (rank is None) != (world_size is None):
            raise ValueError("give rank and world_size together, or neither")
        if tail not in ("drop", "pad"):
            raise ValueError(f"tail ({tail!r}) must be 'drop' or 'pad'")
        self._batch_size, self._global_batch = batch_size, global_batch
        self._ranks = None
        if rank is not None and world_size is not None:
            self._ranks = whole_number("rank", rank), whole_number("world_size", world_size)
        self._tail, self._as_dict, self._pin = tail, as_dict, pin_memory
        epochs = None if epochs is None else whole_number("epochs", epochs)
        self._order = whole_number("seed", seed), whole_number("mix_shards", mix_shards), epochs, shuffle_first
        self._form = BatchForm(_integers(dtype), shift, position_ids, doc_lens, sources, tuple(columns), label=as_dict)
        _needs_dict(as_dict, self._form)
        self._source = Source(_settled(location), split, verify, cache, cache_mb, file_format, until, key)
        self._stream = self._open()
        _check_pairs(self._stream.reader, as_dict, self._form, single=batch_size is None and global_batch is None)
        self._start = 0
        self._position: int | None = None  # not read from yet
        self._own_step = False
        if self._ranks or global_batch is not None:
            self._place(), self.batch_size  # settings that do not fit are refused here, where they are given

    @property
    def batch_size(self) -> int:
        """Rows of this rank in a step."""
        if self._global_batch is not None:
            return batch_of_rank(self._global_batch, self._place().world)
        return self._batch_size or 1

    @property
    def global_batch(self) -> int:
        """Rows of all ranks in a step: what the state grows by."""
        return self.batch_size * self._place().world

    @property
    def rows(self) -> int:
        """Rows of the split: samples of an epoch."""
        return self._stream.rows

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the documents' labels by number; none where documents have no labels."""
        return self._stream.reader.shard_set.labels

    @property
    def sources(self) -> tuple[RowSource, ...]:
        """The sources by number, with their licences."""
        return self._stream.reader.row_sources

    def samples_after(self, steps: int) -> int:
        """The state's integer after so many steps of a loop that began at the loaded state."""
        samples = self._start + steps * self.global_batch
        return samples if self._stream.total is None else min(samples, self._stream.total)

    def state_dict(self) -> dict[str, Any]:
        """``samples``, the integer, and ``order``, which names shards, seed and ways to shuffle; ``sets`` of several.

        With worker processes this copy of the dataset does not see how far they are: take :meth:`samples_after`.
        """
        position = self._position
        if position is None:
            worker = get_worker_info()
            position = self._start + (0 if worker is None or self._own_step else worker.id * self.global_batch)
        sets = len(self._stream.reader.parts)
        return {"samples": position, "order": self._stream.identity} | ({"sets": sets} if sets > 1 else {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a run stood, with any number of ranks and workers.

        Called in a worker process (as torchdata's ``StatefulDataLoader`` does), the state is that worker's own.

        Raises:
            ValueError: no such sample, or the state belongs to another order.
        """
        if not isinstance(state, Mapping) or "samples" not in state:
            raise ValueError(
                f"the state ({state!r:.200}) has no `samples`; give what state_dict() gave, or "
                '{"samples": what samples_after(steps) gave}'
            )
        if state.get("order", self._stream.identity) != self._stream.identity:
            self._refuse_grown(state.get("sets"), state["order"])
            raise ValueError(
                f"this state belongs to other shards than split {self._source.split!r} of {self._source.location}, or "
                "to another seed, mix_shards or shuffle_first; give the same ones, or `samples` "
                "alone to go on in this order anyway"
            )
        total = self._stream.total
        samples = whole_number("samples", state["samples"])
        if samples < 0 or (total is not None and samples > total):
            last = "" if total is None else f" to {total}, the samples of all epochs"
            raise ValueError(f"samples ({samples}) must be an integer from 0{last}")
        self._start, self._position = samples, None
        self._own_step = get_worker_info() is not None

    def __len__(self) -> int:
        if self._stream.total is None:
            raise TypeError("epochs is None: the stream has no end and no length")
        return num_steps(self._start, self._stream.total, self.global_batch, self._tail)

    def __iter__(self) -> Iterator[Any]:
        place, batch = self._place(), self.batch_size
        worker = get_worker_info()
        if worker is not None:
            place = ReaderRank(place.rank, place.world, worker.id, worker.num_workers)
        total = self._stream.total
        if total is not None and self._start == 0 and num_steps(0, total, batch * place.world, self._tail) == 0:
            raise ValueError(
                f"split {self._source.split!r} has {total} samples, less than one step of {batch * place.world}; "
                "take a smaller batch, or tail='pad'"
            )
        memory = BatchMemory(worker is not None, self._pin and worker is None and torch.cuda.is_available())
        first_step = 0 if self._own_step else place.worker
        for sample, arrays in self._stream.batches(
            place, batch, self._form, self._start, self._tail, first_step, memory.allocate
        ):
            self._position = sample if total is None else min(sample, total)
            if self._batch_size is None and self._global_batch is None:
                yield _single_row(arrays, self._as_dict)
            else:
                yield memory.batch(None if self._as_dict else PAIR)

    def __getstate__(self) -> dict[str, Any]:
        # Spawned workers have no process group: what torch.distributed says is settled here.
        place = self._place()
        pinned = self._source.pinned(self._stream.reader)
        return {**self.__dict__, "_source": pinned, "_stream": None, "_ranks": (place.rank, place.world)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._stream = self._open()

    def _refuse_grown(self, sets: Any, order: Any) -> None:
        """Say so where the state is of the first sets alone, as when a corpus had no more of them."""
        parts = self._stream.reader.parts
        known = sets if isinstance(sets, int) else 1
        if 0 < known < len(parts) and self._stream.identity_of(known) == order:
            last = parts[known - 1].place.name
            raise ValueError(
                f"this state is of the first {known} of these {len(parts)} shard sets; to go on with those, give the "
                f"same list, or of a corpus until={last!r}"
            )

    def _open(self) -> SampleStream:
        return SampleStream(self._source.reader(), *self._order)

    def _place(self) -> ReaderRank:
        rank, world = self._ranks or _ranks_around()
        return ReaderRank(rank, world)


class ShardRows(Dataset[Any]):
    """Rows by their numbers in the global order, for samplers and for looking at data.

    ``rows[7]`` is one row, ``rows[[7, 3]]`` and ``rows[7:9]`` are batches; a ``BatchSampler`` given as ``sampler`` to a
    ``DataLoader`` with ``batch_size=None`` makes it read whole batches. Rows of several sets are numbered set after
    set, so a corpus that grows keeps its numbers. The arguments are those of :class:`ShardDataset`.
    """

    def __init__(
        self,
        location: Location,
        split: str = "train",
        *,
        as_dict: bool = False,
        dtype: Dtype = "int64",
        shift: bool = True,
        position_ids: bool = False,
        doc_lens: bool = False,
        sources: bool = False,
        columns: Sequence[str] = (),
        verify: bool = False,
        cache: str | None = None,
        cache_mb: int | None = None,
        file_format: str | None = None,
        until: str | None = None,
        key: str | None = None,
    ) -> None:
        self._as_dict = as_dict
        self._form = BatchForm(_integers(dtype), shift, position_ids, doc_lens, sources, tuple(columns), label=as_dict)
        _needs_dict(as_dict, self._form)
        self._source = Source(_settled(location), split, verify, cache, cache_mb, file_format, until, key)
        self._reader: SplitReader = self._source.reader()
        _check_pairs(self._reader, as_dict, self._form)

    def __len__(self) -> int:
        return int(self._reader.starts[-1])

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the documents' labels by number; none where documents have no labels."""
        return self._reader.shard_set.labels

    @property
    def sources(self) -> tuple[RowSource, ...]:
        """The sources by number, with their licences."""
        return self._reader.row_sources

    def __getitem__(self, index: int | slice | Sequence[int]) -> Any:
        single = not isinstance(index, slice | Sequence | np.ndarray | torch.Tensor)
        numbers = self._numbers(index)
        shards, rows = self._rows(numbers)
        if self._reader.shard_set.preferences:
            return _tensors(make_pair_batch(self._reader, shards, rows, len(rows), self._form), self._as_dict)
        arrays = make_batch(self._reader, shards, rows, len(rows), self._form)
        return _single_row(arrays, self._as_dict) if single else _tensors(arrays, self._as_dict)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_source": self._source.pinned(self._reader), "_reader": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reader = self._source.reader()

    def _numbers(self, index: Any) -> NDArray[np.int64]:
        if isinstance(index, slice):
            return np.arange(*index.indices(len(self)))
        numbers = np.atleast_1d(np.asarray(index))
        if numbers.ndim > 1 or (numbers.size and numbers.dtype.kind not in "iu"):
            raise TypeError(f"row numbers are an integer, a slice, or a list of integers, not {index!r:.200}")
        return numbers.astype(np.int64)

    def _rows(self, numbers: NDArray[np.int64]) -> Rows:
        outside = numbers[(numbers < -len(self)) | (numbers >= len(self))]
        if len(outside):
            raise IndexError(f"row {outside[0]} of a split of {len(self):,} rows")
        return positions_as_rows(self._reader, numbers % len(self))


def _settled(location: Location) -> str | tuple[str, ...]:
    if isinstance(location, str | os.PathLike):
        return os.fspath(location)
    return tuple(os.fspath(place) for place in location)


def _ranks_around() -> tuple[int, int]:
    """Rank and world size of this process: torch.distributed, else the launcher's variables, else one alone."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    rank, world = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if (rank is None) != (world is None):
        raise ValueError(f"RANK is {rank} and WORLD_SIZE is {world}: set both, or give rank and world_size")
    return (0, 1) if rank is None or world is None else (int(rank), int(world))


def _integers(dtype: Dtype) -> np.dtype[Any]:
    if dtype not in ("int64", "int32"):
        raise ValueError(f"dtype ({dtype!r}) must be 'int64' or 'int32'")
    return np.dtype(dtype)


def _needs_dict(as_dict: bool, form: BatchForm) -> None:
    if not as_dict and (form.position_ids or form.doc_lens or form.sources or form.columns):
        raise ValueError("position_ids, doc_lens, sources and columns come in dicts alone; give as_dict=True")


def _check_pairs(reader: SplitReader, as_dict: bool, form: BatchForm, *, single: bool = False) -> None:
    if not reader.shard_set.preferences:
        return
    if not as_dict or single:
        raise ValueError(
            "these shards hold preference pairs, which come in batches of dicts: as_dict=True, batch_size="
        )
    if form.position_ids or form.doc_lens or form.sources or form.columns:
        raise ValueError("preference pairs have no position_ids, doc_lens, sources or columns; leave them out")


def _single_row(arrays: Batch, as_dict: bool) -> Any:
    """The only row of a batch, without a batch dimension."""
    return _tensors({name: array[0] for name, array in arrays.items()}, as_dict)


def _tensors(arrays: Batch, as_dict: bool) -> Any:
    tensors = {name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()}
    return tensors if as_dict else tuple(tensors[name] for name in PAIR)
