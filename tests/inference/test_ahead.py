"""Calls that are one ahead: in order, under way in time, and never more than that."""

import threading
from concurrent import futures

import pytest

from dpjax.inference import ahead


@pytest.fixture
def pool():
    with futures.ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_item_comes_out_in_its_place(pool, count):
    calls = ahead.one_ahead(pool, lambda x: x * x, range(count))
    assert [call.result() for call in calls] == [x * x for x in range(count)]


def test_the_next_call_runs_before_it_is_asked_for_and_no_other(pool):
    begun = [threading.Event() for _ in range(6)]
    taken = []

    def items():
        for number in range(6):
            taken.append(number)
            yield number

    calls = ahead.one_ahead(pool, lambda number: begun[number].set(), items())
    assert taken == []
    for number, call in enumerate(calls):
        call.result()
        assert len(taken) == min(number + 2, 6)
        assert begun[len(taken) - 1].wait(20)
        assert not any(event.is_set() for event in begun[len(taken) :])


def test_an_error_stays_with_its_item(pool):
    calls = list(ahead.one_ahead(pool, lambda x: 1 // x, (1, 0, -1)))
    assert (calls[0].result(), calls[2].result()) == (1, -1)
    with pytest.raises(ZeroDivisionError):
        calls[1].result()
