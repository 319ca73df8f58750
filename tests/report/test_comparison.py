"""What a run was expected to come to beside what it came to, and what the vendor's balance says of it."""

from __future__ import annotations

import re

import pytest

from stemline.report.comparison import PredictedFigure, compare_prediction
from stemline.report.digest import gather
from stemline.report.page import render

PREDICTED = {
    "tracks": 3,
    "credits": {"low": 530, "high": 540},
    "requests": {"low": 11, "high": 14},
    "seconds": {"low": 80.0, "high": 120.0},
    "bottleneck": "rate limit",
}
CREDITS = {"reserved": 0, "charged": 540, "balance": 5_000}


@pytest.fixture
def night3(night):
    """Three tracks of 180 credits, published."""
    for _ in range(3):
        night.publish(night.plan())
    return night


def shown(night, **totals) -> str:
    night.finish(0, **totals)
    return compare_prediction(gather(night.ledger, night.store, night.run_id))


def rows(markup: str) -> list[list[str]]:
    lines = re.findall(r"<tr>(<td.*?)</tr>", markup)
    return [re.findall(r"<td[^>]*>([^<]*)</td>", line) for line in lines]


def test_predicted_and_actual_stand_side_by_side(night3):
    found = shown(night3, predicted=PREDICTED)

    assert rows(found) == [
        ["Tracks", "3", "3", "as predicted"],
        ["Credits", "530 to 540", "540", "as predicted"],
        ["Requests", "11 to 14", "21", "50% more"],
        ["Duration", "1 min 20 s to 2 min", "1 min 30 s", "as predicted"],
    ]
    assert "Expected to be set by: rate limit." in found


def test_tracks_of_an_earlier_run_are_not_taken_for_this_ones(night):
    old = night.plan("old")
    night.publish(old)
    night.advance(hours=24)
    night.run_id = night.ledger.runs.start(
        "nightly", "stemsplit", night.ledger.runs.get(night.run_id).recipe, "d"
    )
    night.ledger.tracks.plan(night.run_id, [old])
    night.publish(night.plan("new"))

    assert rows(shown(night, predicted=PREDICTED))[0] == ["Tracks", "3", "1", "67% less"]


@pytest.mark.parametrize(
    ("drift", "words"),
    [
        (0, "The vendor&#x27;s balance agrees."),
        (7, "The vendor took 7 credits more than the ledger charged."),
        (-1, "The vendor took 1 credit less than the ledger charged"),
    ],
)
def test_the_balance_has_its_say(night3, drift, words):
    assert words in shown(night3, predicted=PREDICTED, credits=CREDITS | {"drift": drift})


def test_drift_alone_is_shown_under_its_own_title(night3):
    found = shown(night3, credits=CREDITS | {"drift": 0})

    assert "The vendor&#x27;s balance</h2>" in found
    assert "<table" not in found


@pytest.mark.parametrize("totals", [{}, {"credits": CREDITS | {"drift": None}}])
def test_a_run_that_told_neither_shows_nothing(night3, totals):
    assert shown(night3, **totals) == ""


def test_a_run_under_way_shows_nothing(night3):
    assert compare_prediction(gather(night3.ledger, night3.store, night3.run_id)) == ""


def test_it_is_on_the_page(night3):
    night3.finish(0, predicted=PREDICTED)

    assert "Predicted and actual" in render(gather(night3.ledger, night3.store, night3.run_id))


@pytest.mark.parametrize(
    ("low", "high", "actual", "verdict"),
    [
        (10, 20, 10, "as predicted"),
        (10, 20, 20, "as predicted"),
        (10, 20, 30, "50% more"),
        (10, 20, 5, "50% less"),
        (0, 0, 3, "more"),
    ],
)
def test_what_lies_outside_is_measured_from_the_nearer_end(low, high, actual, verdict):
    assert PredictedFigure("x", low, high, actual, str).cells[-1] == verdict
