"""The torch datasets: loaders, workers, processes, state."""

import os
import pickle

import numpy as np
import pytest

from tests.support.shard_sets import END_OF_TEXT, numbered_rows, write_set

torch = pytest.importorskip("torch", reason="torch is not installed (extra `gpu`)")

from torch.utils.data import BatchSampler, DataLoader, RandomSampler  # noqa: E402

from winnow.shards import ShardDataset, ShardError, ShardRows  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("set"), {"train": np.array_split(numbered_rows(53), 3), "val": []})


def row_numbers(batches):
    return [[int(row[0]) - 2 for row in tokens] for tokens, _ in batches]


def joined(lists):
    return [row for rows in lists for row in rows]


def test_tokens_and_targets(folder):
    tokens, targets = next(iter(ShardDataset(folder, batch_size=4)))
    assert tokens.dtype == targets.dtype == torch.int64
    assert tokens.tolist() == numbered_rows(4)[:, :-1].tolist()
    assert targets.tolist() == numbered_rows(4)[:, 1:].tolist()
    assert targets.is_contiguous()
    as_dict = next(iter(ShardDataset(folder, batch_size=4, as_dict=True, dtype="int32", position_ids=True)))
    assert {name: tensor.dtype for name, tensor in as_dict.items()} == dict.fromkeys(
        ("input_ids", "labels", "position_ids"), torch.int32
    )


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_loader_gives_the_global_order_for_any_number_of_workers(folder, workers):
    loader = DataLoader(ShardDataset(folder, batch_size=5), batch_size=None, num_workers=workers)
    assert len(loader) == 10
    assert row_numbers(loader) == np.arange(50).reshape(10, 5).tolist()


def test_spawned_and_persistent_workers_give_the_same_batches_in_every_pass(folder):
    wanted = row_numbers(ShardDataset(folder, batch_size=5, epochs=2, seed=3, mix_shards=2))
    for context, workers in (("spawn", 1), ("fork", 2)):
        loader = DataLoader(
            ShardDataset(folder, batch_size=5, epochs=2, seed=3, mix_shards=2),
            batch_size=None,
            num_workers=workers,
            multiprocessing_context=context,
            persistent_workers=True,
        )
        assert row_numbers(loader) == wanted
        assert row_numbers(loader) == wanted


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_step_holds_the_same_rows_for_any_world_size(folder, world, workers):
    ranks = []
    for rank in range(world):
        dataset = ShardDataset(folder, global_batch=8, rank=rank, world_size=world, epochs=3, mix_shards=2)
        assert (dataset.batch_size, dataset.global_batch, len(dataset)) == (8 // world, 8, 19)
        ranks.append(row_numbers(DataLoader(dataset, batch_size=None, num_workers=workers)))
    steps = [joined(parts) for parts in zip(*ranks, strict=True)]
    assert steps == row_numbers(ShardDataset(folder, global_batch=8, epochs=3, mix_shards=2))


def test_a_state_goes_on_with_another_world_and_other_workers(folder):
    whole = joined(row_numbers(ShardDataset(folder, global_batch=6, epochs=2, mix_shards=2)))
    first = ShardDataset(folder, global_batch=6, rank=0, world_size=2, epochs=2, mix_shards=2)
    second = ShardDataset(folder, global_batch=6, rank=1, world_size=2, epochs=2, mix_shards=2)
    seen = [joined(parts) for parts in zip(row_numbers(first), row_numbers(second), strict=True)][:7]
    state = {"samples": first.samples_after(7)}
    assert state["samples"] == 42
    ranks = []
    for rank in range(3):
        dataset = ShardDataset(folder, global_batch=6, rank=rank, world_size=3, epochs=2, mix_shards=2)
        dataset.load_state_dict(state)
        assert dataset.samples_after(2) == 54
        ranks.append(row_numbers(DataLoader(dataset, batch_size=None, num_workers=2)))
    seen += [joined(parts) for parts in zip(*ranks, strict=True)]
    assert joined(seen) == whole[: len(whole) // 6 * 6]


def test_a_dataset_read_without_workers_counts_by_itself(folder):
    dataset = ShardDataset(folder, batch_size=4, rank=1, world_size=2)
    steps = iter(dataset)
    next(steps), next(steps)
    assert dataset.state_dict()["samples"] == 16
    again = ShardDataset(folder, batch_size=4, rank=1, world_size=2)
    again.load_state_dict(dataset.state_dict())
    assert row_numbers([next(iter(again))]) == row_numbers([next(steps)])


def test_padding_completes_the_last_step_and_all_ranks_have_it(folder):
    ranks = [
        list(ShardDataset(folder, batch_size=3, rank=rank, world_size=4, tail="pad", as_dict=True)) for rank in range(4)
    ]
    assert [len(batches) for batches in ranks] == [5] * 4  # 53 rows, 12 a step
    last = [batches[-1] for batches in ranks]
    assert [int((batch["labels"] != -100).all(1).sum()) for batch in last] == [3, 2, 0, 0]
    assert (last[3]["input_ids"] == END_OF_TEXT).all()
    assert [len(list(ShardDataset(folder, batch_size=3, rank=r, world_size=4))) for r in range(4)] == [4] * 4


def test_single_rows_come_without_a_batch_size(folder):
    loader = DataLoader(ShardDataset(folder), batch_size=10, num_workers=2)
    batches = row_numbers(loader)
    assert sorted(joined(batches)) == list(range(53))
    tokens, _ = next(iter(ShardDataset(folder)))
    assert tokens.shape == (4,)


def test_a_stream_without_end(folder):
    dataset = ShardDataset(folder, batch_size=50, epochs=None)
    steps = iter(dataset)
    rows = joined(row_numbers(next(steps) for _ in range(53)))
    assert sorted(rows) == sorted(list(range(53)) * 50)
    with pytest.raises(TypeError, match="no end"):
        len(dataset)


def test_the_first_epoch_can_be_shuffled_like_the_others(folder):
    rows = joined(row_numbers(ShardDataset(folder, batch_size=1, epochs=2, shuffle_first=True)))
    stored = list(range(53))
    assert sorted(rows[:53]) == sorted(rows[53:]) == stored
    assert rows[:53] != stored
    assert rows[53:] == joined(row_numbers(ShardDataset(folder, batch_size=1, epochs=2)))[53:]


def test_ranks_come_from_the_launchers_variables_and_reach_spawned_workers(folder, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    dataset = ShardDataset(folder, batch_size=5)
    assert row_numbers([next(iter(dataset))]) == [[5, 6, 7, 8, 9]]
    sent = pickle.dumps(dataset)
    monkeypatch.delenv("RANK")
    with pytest.raises(ValueError, match="RANK is None and WORLD_SIZE is 2"):
        next(iter(dataset))
    monkeypatch.delenv("WORLD_SIZE")
    assert row_numbers([next(iter(pickle.loads(sent)))]) == [[5, 6, 7, 8, 9]]
    assert row_numbers([next(iter(dataset))]) == [[0, 1, 2, 3, 4]]


def in_a_process_group(rank, folder, port, queue):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dataset = ShardDataset(folder, global_batch=10)  # before the group is there
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    queue.put((rank, row_numbers(loader)))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_ranks_come_from_torch_distributed(folder):
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=in_a_process_group, args=(rank, str(folder), port, queue)) for rank in range(2)]
    for process in processes:
        process.start()
    found = dict(queue.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    assert [a + b for a, b in zip(found[0], found[1], strict=True)] == np.arange(50).reshape(5, 10).tolist()


def test_settings_that_do_not_fit_are_refused(folder):
    with pytest.raises(ValueError, match=r"global_batch \(10\) must be a multiple of the world size \(4\)"):
        ShardDataset(folder, global_batch=10, rank=0, world_size=4)
    for name, value in {"batch_size": 2.5, "global_batch": 8.0, "epochs": 1.5, "mix_shards": "2", "seed": True}.items():
        with pytest.raises(ValueError, match=rf"{name} \({value!r}\) must be an integer"):
            ShardDataset(folder, **{name: value})
    with pytest.raises(ValueError, match=r"rank \(0.5\) must be an integer"):
        ShardDataset(folder, rank=0.5, world_size=2)
    with pytest.raises(ValueError, match="not both"):
        ShardDataset(folder, global_batch=10, batch_size=5)
    with pytest.raises(ValueError, match="rank and world_size together"):
        ShardDataset(folder, rank=1)
    with pytest.raises(ValueError, match="rank 4 of a world of 4"):
        ShardDataset(folder, rank=4, world_size=4)
    with pytest.raises(ValueError, match="as_dict=True"):
        ShardDataset(folder, position_ids=True)
    with pytest.raises(ValueError, match="'int16'"):
        ShardDataset(folder, dtype="int16")
    with pytest.raises(ValueError, match="53 samples, less than one step of 64"):
        next(iter(ShardDataset(folder, batch_size=64)))
    with pytest.raises(ShardError, match="empty"):
        ShardDataset(folder, "val")


def test_a_state_of_other_data_or_another_order_is_refused(folder, tmp_path):
    state = ShardDataset(folder, seed=1).state_dict()
    for other in (
        ShardDataset(folder, seed=2),
        ShardDataset(folder, seed=1, mix_shards=3),
        ShardDataset(folder, seed=1, shuffle_first=True),
        ShardDataset(write_set(tmp_path, {"train": [numbered_rows(54)]}), seed=1),
    ):
        with pytest.raises(ValueError, match="another seed, mix_shards or shuffle_first"):
            other.load_state_dict(state)
    for samples in (-1, 54):
        with pytest.raises(ValueError, match="integer from 0 to 53"):
            ShardDataset(folder).load_state_dict({"samples": samples})
    with pytest.raises(ValueError, match=r"samples \(-1\) must be an integer from 0$"):
        ShardDataset(folder, epochs=None).load_state_dict({"samples": -1})
    for samples in (1.5, True, "3", None):
        with pytest.raises(ValueError, match=r"samples \(.*\) must be an integer"):
            ShardDataset(folder).load_state_dict({"samples": samples})
    for empty in ({}, {"order": "x"}, 7):
        with pytest.raises(ValueError, match="has no `samples`; give what state_dict"):
            ShardDataset(folder).load_state_dict(empty)


def test_a_state_of_a_numpy_integer_is_taken(folder):
    dataset = ShardDataset(folder, batch_size=np.int64(2))
    dataset.load_state_dict({"samples": np.int64(3)})
    assert row_numbers([next(iter(dataset))]) == [[3, 4]]
    assert type(dataset.state_dict()["samples"]) is int


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore:.set_vital. is deprecated")
@pytest.mark.parametrize("stop", [0, 1, 2, 5])
def test_loaders_that_keep_a_state_for_each_worker_go_on_in_the_same_order(folder, workers, stop):
    stateful = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed (extra `dev`)")

    def loader():
        return stateful.StatefulDataLoader(ShardDataset(folder, batch_size=4), batch_size=None, num_workers=workers)

    first = loader()
    steps = iter(first)
    seen = [next(steps) for _ in range(stop)]
    state = first.state_dict()
    del steps
    second = loader()
    second.load_state_dict(state)
    assert row_numbers([*seen, *second]) == np.arange(52).reshape(13, 4).tolist()


def test_rows_by_number(folder):
    rows = ShardRows(folder)
    assert len(rows) == 53
    tokens, targets = rows[7]
    assert tokens.tolist() == numbered_rows(53)[7, :-1].tolist()
    assert row_numbers([rows[[40, 3]], rows[50:60], rows[torch.tensor([-1])]]) == [[40, 3], [50, 51, 52], [52]]
    with pytest.raises(IndexError, match="row 53 of a split of 53"):
        rows[53]
    for wrong in (1.5, [1.0], "7", True, [[1, 2]], torch.tensor([1.5])):
        with pytest.raises(TypeError, match="row numbers are an integer, a slice, or a list of integers"):
            rows[wrong]
    sampler = BatchSampler(RandomSampler(rows), 10, drop_last=False)
    loader = DataLoader(pickle.loads(pickle.dumps(rows)), sampler=sampler, batch_size=None, num_workers=2)
    assert sorted(joined(row_numbers(loader))) == list(range(53))
    assert [len(tokens) for tokens, _ in DataLoader(rows, batch_size=20)] == [20, 20, 13]


def test_no_rows_are_an_empty_batch(folder):
    rows = ShardRows(folder, as_dict=True, position_ids=True, doc_lens=True, columns=("input_ids",))
    for nothing in ([], slice(5, 5), np.zeros(0, np.int64)):
        batch = rows[nothing]
        assert batch["labels"].shape == batch["position_ids"].shape == (0, 4)
        assert len(batch["doc_lens"]) == 0
    tokens, targets = ShardRows(folder)[[]]
    assert tokens.shape == targets.shape == (0, 4)
