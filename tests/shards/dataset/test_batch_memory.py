"""Batches in one block of memory: what workers send, and pinned memory."""

import copy
import pickle
import warnings
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `gpu`)")
from torch.utils.data import DataLoader, default_convert  # noqa: E402

from tests.support.shard_sets import numbered_rows, write_set  # noqa: E402
from winnow.shards import ShardDataset  # noqa: E402
from winnow.shards.dataset import batch_memory  # noqa: E402
from winnow.shards.dataset.batch_memory import BatchMemory, SentDict, SentList  # noqa: E402

INT64, FLOAT32 = np.dtype("int64"), np.dtype("float32")
SHAPES = {"input_ids": ((3, 5), INT64), "labels": ((3, 5), INT64), "weights": ((3,), FLOAT32), "none": ((3, 0), INT64)}


@pytest.fixture
def folder(tmp_path):
    return write_set(tmp_path, {"train": np.array_split(numbered_rows(60, 9), 3)})


def filled(memory):
    for number, array in enumerate(memory.allocate(SHAPES).values()):
        array[...] = np.arange(array.size).reshape(array.shape) + 100 * number
    return memory


def sent(batch):
    return pickle.loads(ForkingPickler.dumps(batch))


def of_one_block(tensors):
    return len({tensor.untyped_storage().data_ptr() for tensor in tensors}) == 1


@pytest.mark.parametrize("small", [True, False])
def test_a_batch_is_sent_as_one_block(monkeypatch, small):
    monkeypatch.setattr(batch_memory, "SMALL_BYTES", 1 << 20 if small else 0)
    memory = filled(BatchMemory(worker=True, pin=False))
    assert of_one_block([memory.tensors["input_ids"], memory.tensors["weights"]])
    assert all(tensor.is_shared() != small for tensor in memory.tensors.values())
    for batch in (memory.batch(None), default_convert(memory.batch(None)), copy.copy(memory.batch(None))):
        assert isinstance(batch, SentDict)
        received = sent(batch)
        assert type(received) is dict
        assert received.keys() == SHAPES.keys()
        assert all(torch.equal(received[name], memory.tensors[name]) for name in SHAPES)
        assert all(received[name].dtype == memory.tensors[name].dtype for name in SHAPES)
        assert of_one_block([received["input_ids"], received["labels"], received["weights"]])
    pair = default_convert(memory.batch(("input_ids", "labels")))
    assert isinstance(pair, SentList)
    tokens, targets = received = sent(pair)
    assert type(received) is list
    assert torch.equal(tokens, memory.tensors["input_ids"])
    assert torch.equal(targets, memory.tensors["labels"])
    targets += 1  # what arrives can be written to


def test_a_batch_that_a_collate_function_changed_is_sent_as_it_is():
    tensors = filled(BatchMemory(worker=True, pin=False)).tensors
    changed = SentDict(tensors)
    changed["labels"] = changed["labels"].float()
    changed["name"] = "x"
    received = sent(changed)
    assert received["labels"].dtype == torch.float32
    assert received["name"] == "x"
    transposed = sent(SentList([tensors["input_ids"].t(), tensors["labels"]]))
    assert torch.equal(transposed[0], tensors["input_ids"].t())


def shorter(batch):
    return {name: tensor[:, :2] for name, tensor in batch.items()}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("as_dict", [False, True])
def test_workers_give_the_batches_of_the_process_itself(folder, workers, as_dict, monkeypatch):
    monkeypatch.setattr(batch_memory, "SMALL_BYTES", 0)
    options = {"as_dict": True, "position_ids": True, "doc_lens": True, "columns": ("input_ids",)} if as_dict else {}
    dataset = ShardDataset(folder, batch_size=7, epochs=2, mix_shards=2, **options)
    expected = list(dataset)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers, persistent_workers=workers > 0)
    for _ in range(2):  # workers that stay begin again at the same sample
        found = list(loader)
        assert len(found) == len(expected) == 17
        for batch, other in zip(found, expected, strict=True):
            assert type(batch) is (dict if as_dict else list)
            pairs = [(batch[name], other[name]) for name in other] if as_dict else list(zip(batch, other, strict=True))
            assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in pairs)
    if as_dict:
        assert next(iter(DataLoader(dataset, batch_size=None, num_workers=workers, collate_fn=shorter)))[
            "labels"
        ].shape == (7, 2)


def test_pinning_without_a_gpu_is_silent(folder):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokens, _ = next(iter(ShardDataset(folder, batch_size=4, pin_memory=True)))
    assert not tokens.is_pinned()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_reach_a_gpu_while_the_next_are_made(folder, workers):
    dataset = ShardDataset(folder, batch_size=5, epochs=200, as_dict=True, position_ids=True, pin_memory=True)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers, pin_memory=workers > 0)
    on_gpu = []
    for batch in loader if workers else dataset:
        assert all(tensor.is_pinned() for tensor in batch.values())
        on_gpu.append({name: tensor.to("cuda", non_blocking=True) for name, tensor in batch.items()})
    torch.cuda.synchronize()
    for batch, wanted in zip(on_gpu, ShardDataset(folder, batch_size=5, epochs=200, as_dict=True), strict=True):
        assert all(torch.equal(batch[name].cpu(), wanted[name]) for name in wanted)
