"""Training: the same seed gives the same bits, a killed trial goes on to the same bits, divergence is seen."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra `ablate`)")

from tests.support.shard_sets import write_set
from winnow.ablate import train as training_module
from winnow.ablate.sizes import Size
from winnow.ablate.train import Team, Training, threads, train
from winnow.errors import StorageError
from winnow.storage.open_store import open_store

STEPS, VOCABULARY = 60, 66


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Rows of a language in which every token has two successors."""
    rng = np.random.default_rng(1)
    successors = rng.integers(2, VOCABULARY, (VOCABULARY, 2))
    rows = np.empty((600, 17), np.uint16)
    rows[:, 0] = rng.integers(2, VOCABULARY, 600)
    for place in range(1, 17):
        rows[:, place] = successors[rows[:, place - 1], rng.integers(0, 2, 600)]
    return str(write_set(tmp_path_factory.mktemp("set"), {"train": [rows[:350], rows[350:]]}))


def training_on(shards, **other):
    settings = {"shards": shards, "seed": 0, "steps": STEPS, "rows": 8, "size": Size(2, 32, 2, 128)}
    return Training(**settings | {"vocabulary": VOCABULARY, "rate": 0.01, "weight_decay": 0.1} | other)


def trained(tmp_path, given, every=1000):
    with threads(1):
        return train(given, open_store(str(tmp_path)), "checkpoints/one.pt", every)


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True))


def test_the_same_seed_gives_the_same_bits_and_the_loss_falls(shards, tmp_path):
    one, again = trained(tmp_path, training_on(shards)), trained(tmp_path, training_on(shards))
    other = trained(tmp_path, training_on(shards, seed=1))
    assert one.curve == again.curve and same_weights(one, again)
    assert one.curve != other.curve
    assert one.curve[-1][0] == STEPS and one.curve[-1][1] < 0.6 * one.curve[0][1]


@pytest.mark.parametrize("killed_at", [7, 20, 47])
def test_a_killed_one_goes_on_from_its_checkpoint_to_the_same_bits(shards, tmp_path, monkeypatch, killed_at):
    whole = trained(tmp_path / "whole", training_on(shards), every=10)

    def killed(point, number):
        if number == killed_at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training_module, "fault_point", killed)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "killed", training_on(shards), every=10)
    resumed = trained(tmp_path / "killed", training_on(shards), every=10)
    assert resumed.resumed == (killed_at - 1) // 10 * 10 and whole.resumed == 0
    assert resumed.curve == whole.curve and same_weights(resumed, whole)


def test_a_damaged_checkpoint_is_no_checkpoint(shards, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "one.pt").write_bytes(b"PK\x03\x04 cut short")
    found = trained(tmp_path, training_on(shards, steps=3))
    assert found.resumed == 0 and found.curve[-1][0] == 3


def test_parts_of_a_batch_add_up_to_it(shards, tmp_path, monkeypatch):
    whole = trained(tmp_path, training_on(shards, steps=5))
    monkeypatch.setitem(training_module.MOST_LOGITS, "cpu", 3 * 16 * VOCABULARY)
    parts = trained(tmp_path, training_on(shards, steps=5))
    assert [loss for _, loss in parts.curve] == pytest.approx([loss for _, loss in whole.curve], rel=1e-5)


@pytest.mark.parametrize("rate", [30.0, 1e30])
def test_divergence_is_seen(shards, tmp_path, rate):
    found = trained(tmp_path, training_on(shards, rate=rate))
    assert found.diverged.startswith("step ")
    assert not trained(tmp_path, training_on(shards)).diverged


class Threads(Team):
    """Two that train together, as threads of this process."""

    size = 2
    barrier, given = threading.Barrier(2, timeout=30), [None, None]

    def __init__(self, rank):
        self.rank = rank

    def _of_both(self, mine):
        self.given[self.rank] = mine
        self.barrier.wait()
        both = list(self.given)
        self.barrier.wait()
        return both

    def total(self, number):
        return sum(self._of_both(number))

    def add_up(self, tensors):
        both = self._of_both([tensor.clone() for tensor in tensors])
        for tensor, one, other in zip(tensors, *both, strict=True):
            tensor.copy_(one + other)


def by_two(tmp_path, given, every=1000):
    with threads(1), ThreadPoolExecutor(2) as pool:
        store = open_store(str(tmp_path))
        return list(pool.map(lambda rank: train(given, store, "checkpoints/one.pt", every, Threads(rank)), (0, 1)))


def test_a_team_of_two_trains_the_model_of_one(shards, tmp_path):
    """Equal weights on both, and the losses of one to rounding: the same rows in the same steps."""
    alone = trained(tmp_path / "alone", training_on(shards, steps=20))
    one, other = by_two(tmp_path / "two", training_on(shards, steps=20))
    assert same_weights(one, other) and one.curve == other.curve
    assert [loss for _, loss in one.curve] == pytest.approx([loss for _, loss in alone.curve], rel=1e-5)


def test_a_team_goes_on_from_the_checkpoint_of_its_first_to_the_same_bits(shards, tmp_path, monkeypatch):
    whole, _ = by_two(tmp_path / "whole", training_on(shards, steps=20))

    def killed(_point, number):
        if number == 15:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training_module, "fault_point", killed)
        with pytest.raises(KeyboardInterrupt):
            by_two(tmp_path / "killed", training_on(shards, steps=20), every=6)
    one, other = by_two(tmp_path / "killed", training_on(shards, steps=20), every=6)
    assert one.resumed == other.resumed == 12
    assert one.curve == whole.curve and same_weights(one, whole)


def test_a_team_that_does_not_see_one_storage_is_refused(shards, tmp_path):
    by_two(tmp_path, training_on(shards, steps=10), every=6)
    stores = [open_store(str(tmp_path)), open_store(str(tmp_path / "elsewhere"))]
    given = training_on(shards, steps=10)
    with threads(1), ThreadPoolExecutor(2) as pool:
        both = [pool.submit(train, given, stores[rank], "checkpoints/one.pt", 6, Threads(rank)) for rank in (0, 1)]
        for one in both:
            with pytest.raises(StorageError, match="a folder that all nodes share"):
                one.result()
