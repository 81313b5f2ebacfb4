"""Make the next while this one is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def prefetch(make: Callable[[Item], Made], items: Iterable[Item], depth: int) -> Iterator[tuple[Item, Made]]:
    """Items with what is made of each, in order; a thread is up to ``depth`` items ahead of who uses them.

    With a depth of 0 there is no thread. What ``make`` raises is raised where its item would come.
    """
    if depth == 0:
        yield from ((item, make(item)) for item in items)
        return
    coming: deque[tuple[Item, Future[Made]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        try:
            for item in items:
                coming.append((item, thread.submit(make, item)))
                if len(coming) > depth:
                    done, made = coming.popleft()
                    yield done, made.result()
            while coming:
                done, made = coming.popleft()
                yield done, made.result()
        finally:
            for _, made in coming:
                made.cancel()
