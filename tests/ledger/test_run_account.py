from __future__ import annotations

import pytest

from stemline.errors import LedgerConflict
from stemline.records import Code, Failure, State


def test_each_track_comes_with_its_state_and_what_this_run_paid(case):
    case.published(2)
    case.ready(1)
    case.ledger.attempts.fail(Failure("a1", State.QUARANTINED, Code.WRONG_DURATION, "Too short."))
    case.plan(3)
    told = [
        (each.track_id, each.state, each.credits_charged, each.bpm, len(each.stems))
        for each in case.ledger.accounts.tracks(case.run_id)
    ]
    assert [row[:3] for row in told] == [
        ("t1", State.QUARANTINED, 10),
        ("t2", State.PUBLISHED, 10),
        ("t3", State.PLANNED, 0),
    ]
    assert told[1][3] == 120.5
    assert told[1][4]


def test_what_an_earlier_run_paid_is_not_this_ones(case, clock):
    case.ready(1)
    clock.advance(days=1)
    case.run_id = case.start()
    case.plan(1)
    (told,) = case.ledger.accounts.tracks(case.run_id)
    assert (told.state, told.credits_charged) == (State.READY, 0)


def test_the_history_has_the_runs_of_some_days_with_what_they_spent(case, clock):
    first = case.run_id
    case.published(1)
    case.ledger.runs.finish(first, 0, {"published": {"by_this_run": 1}})
    clock.advance(days=10)
    second = case.run_id = case.start()
    case.published(2)
    clock.advance(hours=1)
    case.start()
    told = [(each.run_id, each.charged, each.published) for each in case.ledger.accounts.history(second, 30)]
    assert told == [(first, 10, 1), (second, 10, None)]
    assert [each.run_id for each in case.ledger.accounts.history(second, 5)] == [second]


def test_a_run_nobody_knows_has_no_account(case):
    with pytest.raises(LedgerConflict, match="knows no run"):
        list(case.ledger.accounts.tracks("nobody"))
