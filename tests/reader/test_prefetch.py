"""What is read ahead stays in order, within its bound, and leaves no thread behind."""

from __future__ import annotations

import threading
import time

import pytest

from stemline.reader.prefetch import Pending, prefetched


def things(sizes, begun):
    for number, size in enumerate(sizes):
        begun.append(number)
        yield Pending([lambda number=number: number], size, lambda futures: futures[0].result())


def running() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("stemline-windows")]


def test_things_come_in_order_though_later_ones_are_there_first():
    slow = [
        Pending(
            [lambda number=number: time.sleep(0.02 * (3 - number)) or number],
            1,
            lambda each: each[0].result(),
        )
        for number in range(3)
    ]

    assert list(prefetched(slow, 100)) == [0, 1, 2]


def test_no_more_is_held_than_the_bound_and_one_in_any_case():
    begun: list[int] = []
    source = prefetched(things([10] * 6, begun), 30)
    next(source)

    assert len(begun) == 4  # three that are on their way, and one that waits to be
    assert list(source) == [1, 2, 3, 4, 5]
    assert list(prefetched(things([10] * 3, []), 0)) == [0, 1, 2]


@pytest.mark.parametrize("end", ["closed", "forgotten", "exhausted"])
def test_threads_end_with_the_iteration(end):
    source = prefetched(things([1] * 50, []), 10)
    next(source)
    if end == "closed":
        source.close()
    elif end == "forgotten":
        del source
    else:
        list(source)

    assert running() == []


def test_an_error_comes_where_its_thing_would():
    def bad():
        raise ZeroDivisionError

    source = prefetched([*things([1], []), Pending([bad], 1, lambda futures: futures[0].result())], 9)

    assert next(source) == 0
    with pytest.raises(ZeroDivisionError):
        next(source)
    assert running() == []
