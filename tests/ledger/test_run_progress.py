"""How far a run is: what is done of it, what it spends of which budget, and what waits for what."""

from __future__ import annotations

import pytest

from stemline.ledger import LEASE_SECONDS, TrafficReading
from stemline.records import Code, Reject, State
from stemline.settings import BudgetSettings
from stemline.telemetry.run_progress import RunProgress


def progress(case, **budget):
    return RunProgress(case.ledger.gauges.of_run(case.run_id), BudgetSettings(**budget))


def reject(case, number):
    row = Reject(number, f"t{number}", f"/music/{number}.mp3", Code.MISSING_FILE, "gone")
    case.ledger.runs.reject(case.run_id, [row])


def test_rows_that_cannot_be_used_are_no_progress(case):
    case.published(1)
    case.plan(2)
    reject(case, 3)

    found = progress(case)

    assert found.gauges.counts[State.REJECTED] == 1
    assert (found.done, found.total) == (1, 2)
    assert found.done_words() == "1 of 2 tracks"
    assert list(found.problems()) == ["1 rejected"]


def test_what_was_published_before_the_run_began_is_no_progress_of_it(case):
    case.published(1)
    case.ledger.runs.finish(case.run_id, 0, {})
    case.clock.advance(days=1)
    case.run_id = case.start()
    case.plan(1, 2)

    found = progress(case)

    assert found.gauges.counts == {State.PUBLISHED: 1, State.PLANNED: 1}
    assert (found.done, found.total) == (0, 1)
    assert found.as_tree()["published_before"] == 1


def test_it_ends_where_its_budget_does(case):
    """Each costs 10 credits: of five in line, 25 credits have room for two."""
    case.processing(1)
    case.plan(2, 3, 4, 5, 6)

    found = progress(case, day=35, month=1_000)

    assert (found.done, found.total) == (0, 3)
    assert list(found.waiting()) == [
        "1 with the provider",
        "2 in line",
        "3 held by the day's budget until 00:00 UTC",
    ]
    assert found.credit_words() == "10 of the day's budget of 35 credits, 10 of them reserved"


def test_the_time_left_is_that_of_what_the_budget_allows(case):
    case.ready(1)
    case.plan(*range(2, 102))
    case.clock.advance(seconds=10)

    assert progress(case).seconds_left == pytest.approx(1_000)
    assert progress(case, run=40).seconds_left == pytest.approx(30)


def test_what_an_earlier_night_held_is_in_line_again_until_the_run_ends(case):
    case.plan(1)
    case.ledger.tracks.hold(case.run_id, Code.BUDGET_MONTH, "no room")
    case.ledger.runs.finish(case.run_id, 4, {})
    assert list(progress(case, month=5).waiting()) == ["1 held by the month's budget until 00:00 UTC"]
    case.clock.advance(days=1)
    case.run_id = case.start()
    case.plan(1)

    assert list(progress(case, month=100).waiting()) == ["1 in line"]


def test_a_full_pace_is_named_as_what_the_rest_waits_for(case):
    case.plan(1)
    case.ledger.traffic.record(case.run_id, "key-1", TrafficReading(60, 0, 58, 60))

    assert list(progress(case).waiting()) == ["1 waiting for the provider's 60 requests a minute"]


def test_all_of_it_is_one_line(case):
    case.ledger.leases.acquire("key-1", "host:1", LEASE_SECONDS)
    case.published(1)
    case.clock.advance(seconds=6)
    case.plan(2, 3)
    reject(case, 4)

    assert progress(case).line() == (
        "1 of 3 tracks; 10 tracks a minute, about 12 s to go; 10 credits; 2 in line; 1 rejected"
    )


def test_before_anything_is_planned_nothing_is_said(case):
    assert progress(case).line() == ""
