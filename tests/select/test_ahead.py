"""The thread that makes the next: order, bound, errors, and that it does work ahead."""

import threading

import pytest

from winnow.numeric.prefetch import prefetch


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_order_and_bound(depth):
    made = []
    for place, (item, square) in enumerate(prefetch(lambda n: made.append(n) or n * n, range(10), depth)):
        assert (item, square) == (place, place * place)
        assert len(made) <= place + 1 + depth
    assert made == list(range(10))


def test_the_next_is_made_while_one_is_used():
    made = [threading.Event() for _ in range(5)]
    for item, _ in prefetch(lambda n: made[n].set(), range(5), 1):
        assert made[min(item + 1, 4)].wait(60)


def test_errors_come_in_their_place_and_the_thread_ends():
    used = []
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        used.extend(made for _, made in prefetch(lambda n: 6 // n, [3, 2, 0, 1], 2))
    generator = prefetch(lambda n: n, range(100), 2)
    next(generator)
    generator.close()
    assert threading.active_count() == before
