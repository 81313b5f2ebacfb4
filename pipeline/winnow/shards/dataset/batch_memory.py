"""Where the tensors of a batch lie, and how a worker process hands them to the training process.

``torch`` copies every tensor that a worker sends into a shared-memory file of its own and passes each file through a
socket of its own. Here all tensors of a batch lie in one block. A block of up to 1 MiB travels through the pipe as
bytes: a new shared-memory file costs a page fault for every 4 KB in both processes, which was dearer than two copies
(docs/performance.md). A larger block is made in shared memory from the start, and sent without a copy.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from winnow.shards.dataset.batches import Batch, Shapes

_ALIGNMENT = 64
"""Bytes: each tensor of a block begins at a multiple."""
SMALL_BYTES = 1 << 20
"""Blocks up to this size travel through the pipe."""


class BatchMemory:
    """Memory for the tensors of one batch after another.

    Args:
        worker: whether this is a worker process, whose batches are sent to another one.
        pin: whether the memory is pinned, so that a GPU can copy from it beside other work.
    """

    def __init__(self, worker: bool, pin: bool) -> None:
        self._worker, self._pin = worker, pin
        self.tensors: dict[str, torch.Tensor] = {}
        """Of the latest batch, by name. They, not tensors made of its arrays, tell torch that their memory is pinned,
        and so when a copy to a GPU lets it be used again."""

    def allocate(self, shapes: Shapes) -> Batch:
        """Arrays of the shapes and dtypes given, which share the memory of :attr:`tensors`."""
        if self._worker:
            self.tensors = _in_one_block(shapes)
        else:
            self.tensors = {
                name: torch.empty(shape, dtype=_torch_type(dtype), pin_memory=self._pin)
                for name, (shape, dtype) in shapes.items()
            }
        return {name: tensor.numpy() for name, tensor in self.tensors.items()}

    def batch(self, names: Sequence[str] | None) -> Any:
        """The latest batch: the tensors named, or a dict of all."""
        if names is None:
            return SentDict(self.tensors) if self._worker else self.tensors
        chosen = [self.tensors[name] for name in names]
        return SentList(chosen) if self._worker else tuple(chosen)


class SentList(list[Any]):
    """Tensors of one block, which is sent as one."""

    def __reduce__(self) -> Any:
        return _packed(list(self), None) or (list, (list(self),))

    def __copy__(self) -> "SentList":
        return SentList(self)


class SentDict(dict[str, Any]):
    """Tensors of one block by name; the block is sent as one."""

    def __reduce__(self) -> Any:
        return _packed(list(self.values()), list(self)) or (dict, (dict(self),))

    def __copy__(self) -> "SentDict":
        return SentDict(self)


def _in_one_block(shapes: Shapes) -> dict[str, torch.Tensor]:
    """Tensors one behind the other; in shared memory if they are not small."""
    sizes = [int(np.prod(shape)) * dtype.itemsize for shape, dtype in shapes.values()]
    begins = np.cumsum([0, *(-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes)]).tolist()
    small = begins[-1] <= SMALL_BYTES
    block = torch.empty(begins[-1] if small else 0, dtype=torch.uint8)
    if not small:
        block = block.set_(torch.UntypedStorage._new_shared(begins[-1]))
    return {
        name: _part(block, begin, shape, _torch_type(dtype))
        for begin, (name, (shape, dtype)) in zip(begins, shapes.items(), strict=False)
    }


def _part(block: torch.Tensor, begin: int, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
    size = int(np.prod(shape)) * dtype.itemsize
    return block[begin : begin + size].view(dtype).view(shape)


def _packed(tensors: list[Any], names: list[str] | None) -> Any:
    """How the tensors are sent as one block; None if they are not all of one (a collate function has changed them)."""
    if not tensors or not all(isinstance(tensor, torch.Tensor) and tensor.is_contiguous() for tensor in tensors):
        return None
    storage = tensors[0].untyped_storage()
    if any(tensor.untyped_storage().data_ptr() != storage.data_ptr() for tensor in tensors):
        return None
    block = torch.empty(0, dtype=torch.uint8).set_(storage)
    layout = [(tensor.storage_offset() * tensor.itemsize, tuple(tensor.shape), tensor.dtype) for tensor in tensors]
    if not block.is_shared():
        return _received, (block.numpy().tobytes(), layout, names)
    return _received, (block, layout, names)


def _received(block: Any, layout: list[tuple[int, tuple[int, ...], torch.dtype]], names: list[str] | None) -> Any:
    if isinstance(block, bytes):
        block = torch.frombuffer(bytearray(block), dtype=torch.uint8)
    tensors = [_part(block, *place) for place in layout]
    return tensors if names is None else dict(zip(names, tensors, strict=True))


def _torch_type(dtype: np.dtype[Any]) -> torch.dtype:
    found: torch.dtype = getattr(torch, dtype.name)
    return found
