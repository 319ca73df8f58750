"""An order of numbers that takes no memory is one all the same."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.reader.permutation import Permutation, random_key


@given(st.integers(1, 600), st.integers(0, 2**64 - 1))
def test_each_number_comes_once(size, key):
    order = Permutation(size, key)

    assert sorted(order[position] for position in range(size)) == list(range(size))


@given(st.integers(1, 2**40), st.integers(0, 2**64 - 1), st.data())
def test_a_place_is_there_at_once_whatever_the_size(size, key, data):
    position = data.draw(st.integers(0, size - 1))

    assert 0 <= Permutation(size, key)[position] < size


def test_it_looks_random():
    order = Permutation(1_000_000, random_key("windows", 0, 0))
    first = [order[position] for position in range(1_000)]

    assert abs(sum(first) / len(first) - 500_000) < 30_000
    assert sum(a < b for a, b in pairwise(first)) in range(450, 550)


def test_keys_make_orders_of_their_own_the_same_on_every_machine():
    orders = [
        [Permutation(20, random_key("windows", 0, epoch))[each] for each in range(20)] for epoch in (0, 1)
    ]

    assert orders[0] != orders[1]
    assert random_key("windows", 0, 0) == 5562321118218339726


def test_there_is_nothing_behind_the_end():
    with pytest.raises(IndexError):
        Permutation(3, 0)[3]
