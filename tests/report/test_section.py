from __future__ import annotations

import pytest

from stemline.records import Code, State
from stemline.report.chart import ColumnChart, axis_marks, column_chart, round_top, short
from stemline.report.digest import STEPS
from stemline.report.player import clock
from stemline.wording import CODES, STATES, length


def test_every_state_and_code_has_its_words():
    assert set(STATES) == set(State)
    assert set(CODES) == set(Code)


def test_every_code_but_ok_says_what_to_do_next():
    assert [code for code, wording in CODES.items() if not wording.next_step] == [Code.OK]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.25, "0.2 s"),
        (59, "59 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (3_600, "1 h"),
        (3_660, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (86_400_000, "1,000 d"),
    ],
)
def test_lengths_are_said_in_two_units(seconds, said):
    assert length(seconds) == said


def test_a_players_clock_counts_minutes():
    assert [clock(seconds) for seconds in (0, 59.6, 187)] == ["0:00", "1:00", "3:07"]


@pytest.mark.parametrize(
    ("highest", "top"), [(1, 1), (3, 4), (7, 8), (9, 10), (10, 10), (11, 20), (450, 500)]
)
def test_an_axis_ends_at_a_round_number(highest, top):
    assert round_top(highest) == top


@pytest.mark.parametrize(
    ("highest", "marks"), [(0, (1, 0)), (1, (1, 0)), (2, (2, 1, 0)), (5, (6, 3, 0)), (45, (50, 25, 0))]
)
def test_what_is_counted_has_whole_numbers_at_its_axis(highest, marks):
    assert axis_marks(highest, is_count=True) == marks


def test_what_is_measured_may_have_parts_of_one():
    assert axis_marks(0.03, is_count=False) == (0.04, 0.02, 0.0)


def test_the_highest_column_stays_below_the_top():
    drawn = column_chart(ColumnChart("x", [0.0, 3.0, 8.0], ["a", "b", "c"], {}))
    assert drawn.count("<rect") == 2
    assert 'height="100.0"' in drawn


def test_the_steps_of_the_timeline_grow():
    assert list(STEPS) == sorted(set(STEPS))


@pytest.mark.parametrize(
    ("count", "said"), [(7, "7"), (9_999, "9,999"), (10_000, "10k"), (19_745, "19.7k"), (2_000_000, "2M")]
)
def test_counts_on_the_wheel_stay_short(count, said):
    assert short(count) == said
