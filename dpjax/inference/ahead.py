"""Calls in threads that stay one ahead: a file is read while another is computed."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")


def one_ahead(
    pool: futures.Executor, function: Callable[[Item], Value], items: Iterable[Item]
) -> Iterator[futures.Future[Value]]:
    """Returns the calls of a function, in order, each with the next one under way.

    Args:
        pool: where they run; one thread runs them one after the other.
        function: of an item.
        items: its arguments; taken one by one, one beyond those that were asked for.

    Returns:
        An iterator of futures; one that is left early leaves one call behind.
    """
    waiting: collections.deque[futures.Future[Value]] = collections.deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting
