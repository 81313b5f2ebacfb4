import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.shards.dataset.steps import ReaderRank, batch_of_rank, num_steps, samples_of


def read(total, start, batch, world, workers, tail):
    """{step: {rank: (first, last)}} of all readers together."""
    steps = {}
    for rank in range(world):
        for worker in range(workers):
            place = ReaderRank(rank, world, worker, workers)
            for step, first, last in samples_of(place, start, total, batch, tail, worker):
                assert rank not in steps.setdefault(step, {})
                steps[step][rank] = (first, last)
    return steps


@given(
    st.integers(0, 200), st.integers(0, 200), st.integers(1, 7), st.integers(1, 5), st.integers(1, 4),
    st.sampled_from(["drop", "pad"]),
)  # fmt: skip
def test_every_sample_is_read_exactly_once_and_in_order(total, start, batch, world, workers, tail):
    steps = read(total, start, batch, world, workers, tail)
    global_batch = batch * world
    assert sorted(steps) == list(range(num_steps(start, total, global_batch, tail)))
    in_order = [g for step in sorted(steps) for rank in range(world) for g in range(*steps[step][rank])]
    last = total if tail == "pad" else start + max(0, total - start) // global_batch * global_batch
    assert in_order == list(range(start, max(start, last)))


@given(st.integers(0, 300), st.integers(0, 50), st.sampled_from([1, 2, 3, 4, 6, 12]), st.integers(1, 4))
def test_a_step_reads_the_same_samples_for_any_world_size_and_number_of_workers(total, start, world, workers):
    ranges = read(total, start, batch_of_rank(12, world), world, workers, "pad")
    samples = {step: {g for a, b in ranks.values() for g in range(a, b)} for step, ranks in ranges.items()}
    one = {step: set(range(*ranks[0])) for step, ranks in read(total, start, 12, 1, 1, "pad").items()}
    assert samples == one


@given(
    st.integers(0, 200), st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(0, 9)), max_size=6)
)  # fmt: skip
def test_runs_that_stop_and_go_on_with_another_world_read_what_one_run_reads(total, runs):
    consumed, seen = 0, []
    for world, batch, steps in [*runs, (1, 1, 10**9)]:
        done = [ranks for step, ranks in sorted(read(total, consumed, batch, world, 3, "drop").items()) if step < steps]
        seen += [g for ranks in done for rank in range(world) for g in range(*ranks[rank])]
        consumed += len(done) * batch * world
    assert seen == list(range(total))


def test_a_world_that_does_not_divide_the_global_batch_is_refused_with_the_nearest_that_fit():
    with pytest.raises(
        ValueError, match=r"global_batch \(100\) must be a multiple of the world size \(8\).* 96 or 104"
    ):
        batch_of_rank(100, 8)
    with pytest.raises(ValueError, match=r"global_batch \(3\).*such as 8"):
        batch_of_rank(3, 8)


@pytest.mark.parametrize("global_batch", [-4, -3, 0])
def test_a_global_batch_of_nothing_is_refused_without_advice_to_take_one(global_batch):
    with pytest.raises(
        ValueError, match=rf"^global_batch \({global_batch}\) must be at least 1, and a multiple of .*2\)$"
    ):
        batch_of_rank(global_batch, 2)


def test_a_rank_outside_of_its_world_is_refused():
    with pytest.raises(ValueError, match="rank 2 of a world of 2"):
        ReaderRank(2, 2)


def test_a_stream_without_end_goes_on():
    steps = samples_of(ReaderRank(1, 2, 0, 1), 10, None, 3, "drop", 0)
    assert [next(steps) for _ in range(3)] == [(0, 13, 16), (1, 19, 22), (2, 25, 28)]
