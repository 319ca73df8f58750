"""However windows are shared, cut off and taken up: each comes once."""

from __future__ import annotations

import json
from itertools import chain, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.errors import UsageError
from stemline.reader.window_progress import WindowOrder, WindowProgress, WindowShard

ORDER = WindowOrder("digest", 5)


def started(ranks: int, workers: int, rank: int) -> WindowProgress:
    progress = WindowProgress()
    progress.begin([WindowShard(worker * ranks + rank, ranks * workers) for worker in range(workers)], 0)
    return progress


def kept(progress: WindowProgress) -> dict:
    return json.loads(json.dumps(ORDER.state(progress, 0)))


@given(st.integers(1, 200), st.integers(1, 4), st.integers(1, 4), st.integers(0, 3))
def test_shards_share_each_epoch_without_overlap(size, ranks, workers, epoch):
    begin, end = epoch * size, (epoch + 1) * size
    shares = [
        list(WindowProgress().rest(WindowShard(number, ranks * workers), begin, end))
        for number in range(ranks * workers)
    ]

    assert sorted(chain(*shares)) == list(range(begin, end))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.integers(1, 150), st.integers(1, 3), st.integers(1, 3), st.integers(1, 7), st.data())
def test_the_rest_of_an_epoch_is_what_was_not_given_also_among_others(size, ranks, workers, after, data):
    """Each rank notes what its workers gave; all go on together among more or fewer."""
    given_positions, states = [], []
    for rank in range(ranks):
        progress = started(ranks, workers, rank)
        for number in list(progress.following):
            share = list(WindowProgress().rest(WindowShard(number, ranks * workers), 0, size))
            taken = share[: data.draw(st.integers(0, len(share)))]
            for position in taken:
                progress.note(position)
            given_positions += taken
        states.append(kept(progress))
    resumed = ORDER.progress(states)

    rest = [
        position for number in range(after) for position in resumed.rest(WindowShard(number, after), 0, size)
    ]

    assert sorted(given_positions + rest) == list(range(size))


@given(st.integers(1, 40), st.integers(1, 3), st.integers(1, 3))
def test_ranks_in_step_go_on_from_the_state_of_one(rounds, ranks, workers):
    states = []
    for rank in range(ranks):
        progress = started(ranks, workers, rank)
        for number in list(progress.following):
            for position in islice(
                WindowProgress().rest(WindowShard(number, ranks * workers), 0, 10_000), rounds
            ):
                progress.note(position)
        states.append(kept(progress))

    for number in range(ranks * workers):
        rest = [
            next(ORDER.progress(state).rest(WindowShard(number, ranks * workers), 0, 10_000))
            for state in states
        ]

        assert set(rest) == {number + rounds * ranks * workers}


def test_the_next_window_is_there_at_once():
    progress = WindowProgress(8, {3: 8 * 10**11 + 3})

    assert next(progress.rest(WindowShard(3, 8), 0, 10**12)) == 8 * 10**11 + 3
    assert next(progress.rest(WindowShard(0, 1), 0, 10**12)) >= 8 * 10**11


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 2}, "no state"),
        ({"shards": 0}, "no state"),
        ({"shards": 10**30}, "no state"),
        ({"following": {}}, "no state"),
        ({"following": {"0": 2 * 10**30}}, "no state"),
        ({"following": {"0": 1}}, "no state"),
        ({"following": None}, "no state"),
        ({"windows": "others"}, "of other windows"),
        ({"seed": 6}, "of seed=6, not 5"),
    ],
)
def test_what_is_no_state_of_these_windows_is_refused(change, sentence):
    state = {**kept(started(1, 2, 0)), **change}

    with pytest.raises(UsageError, match=sentence):
        ORDER.progress(state)


@pytest.mark.parametrize("state", [None, "x", 3, {}, [], [None]])
def test_what_is_no_state_at_all_is_refused(state):
    with pytest.raises(UsageError, match=r"no state|not of ranks"):
        ORDER.progress(state)
