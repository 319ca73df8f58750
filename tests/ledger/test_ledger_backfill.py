"""Backfills in the ledger: rows frozen and put in order, progress, what a person may do, limits of their own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stemline.budget import BudgetHold, Limits
from stemline.errors import LeaseHeld, LedgerConflict
from stemline.ledger import Backfill, BackfillOrder, BackfillState, FrozenRow
from stemline.records import Code, Failure, Recipe, State

RECIPE = Recipe("four", "best", "flac")


def frozen(case, number: int, year: int | None, *, priority: int = 0, **facts: object) -> FrozenRow:
    track = case.track(number, priority=priority, **facts)
    dated = None if year is None else datetime(year, 1, 1, tzinfo=UTC)
    return FrozenRow(str(year), track, "digest 10", 10, dated)


def freeze(case, rows, name: str = "deep", order: str = "newest", **facts: object) -> Backfill:
    run = case.ledger.runs.get(case.run_id)
    made = case.clock()
    request = {"order": order, "mode": "missing", "slice": "year"}
    backfill = Backfill(name, run.provider, run.recipe, "config", "rows", "1", {}, request, made, **facts)
    case.ledger.backfills.freeze(backfill, rows)
    return backfill


def begin(case, name: str = "deep") -> str:
    """Begin a run of the backfill, with all that it has left planned."""
    run = case.ledger.runs.get(case.run_id)
    run_id = case.ledger.runs.start("night", run.provider, run.recipe, "config", "key-1", backfill=name)
    left = case.ledger.backfills.to_do(name, -1, 100)
    again = {row.track.track_id: row.last_attempt for _, row in left if row.last_attempt is not None}
    case.ledger.tracks.plan(run_id, [row.track for _, row in left], again=again)
    return run_id


def order_of(case, run_id: str) -> list[str]:
    return [track.track_id for track in case.ledger.tracks.next_planned(run_id, 100)]


def ids(case, *numbers: int) -> list[str]:
    return [case.track(number).track_id for number in numbers]


ORDERS = [
    ("newest", (3, 1, 2, 4)),
    ("oldest", (2, 1, 3, 4)),
    ("priority", (2, 4, 3, 1)),
    ("shortest", (4, 3, 1, 2)),
]


@pytest.mark.parametrize(("order", "wanted"), ORDERS)
def test_a_run_sends_its_tracks_in_the_order_asked_for(case, order, wanted):
    rows = [
        frozen(case, 1, 2002, duration_seconds=30.0),
        frozen(case, 2, 2001, priority=5, duration_seconds=None),
        frozen(case, 3, 2003, duration_seconds=20.0),
        frozen(case, 4, None, priority=1, duration_seconds=10.0),
    ]
    freeze(case, rows, order=order)
    assert order_of(case, begin(case)) == ids(case, *wanted)


def test_equals_stay_as_the_manifest_has_them(case):
    freeze(case, [frozen(case, number, 2000) for number in (3, 1, 2)])
    assert order_of(case, begin(case)) == ids(case, 3, 1, 2)


def test_another_order_holds_at_once_for_a_run_under_way(case):
    freeze(case, [frozen(case, number, 2000 + number) for number in (1, 2, 3)])
    run_id = begin(case)
    case.ledger.backfills.change("deep", order=BackfillOrder.OLDEST)
    assert order_of(case, run_id) == ids(case, 1, 2, 3)


def test_a_page_behind_a_track_goes_on_after_it(case):
    freeze(case, [frozen(case, number, 2000 + number) for number in (1, 2, 3)])
    run_id = begin(case)
    (first,) = case.ledger.tracks.next_planned(run_id, 1)
    behind = case.ledger.tracks.next_planned(run_id, 5, after=first)
    assert [first.track_id, *(track.track_id for track in behind)] == ids(case, 3, 2, 1)


def test_rows_are_kept_as_they_were(case):
    row = frozen(case, 1, 2001, priority=3, columns={"released": datetime(2001, 1, 1, tzinfo=UTC).date()})
    freeze(case, [row])
    ((_, kept),) = case.ledger.backfills.to_do("deep", -1, 10)
    assert kept == row
    assert case.ledger.backfills.rows_of("deep", "", 10) == [row]


def test_a_name_is_given_once(case):
    kept = freeze(case, [frozen(case, 1, 2001)])
    with pytest.raises(LedgerConflict):
        freeze(case, [frozen(case, 2, 2001)])
    assert case.ledger.backfills.get("deep") == kept
    assert case.ledger.backfills.get("other") is None


def test_progress_is_that_of_the_tracks_whoever_made_them(case):
    case.published(1)
    freeze(case, [frozen(case, 1, 2001), frozen(case, 2, 2001), frozen(case, 3, 2000)])
    before = {each.slice: (each.tracks, each.credits, dict(each.states)) for each in _progress(case)}
    assert before == {
        "2001": (2, 20, {"published": 1, "waiting": 1}),
        "2000": (1, 10, {"waiting": 1}),
    }
    assert [row.track.track_id for _, row in case.ledger.backfills.to_do("deep", -1, 10)] == ids(case, 2, 3)
    begin(case)
    assert [dict(each.states) for each in _progress(case)] == [{"published": 1, "planned": 1}, {"planned": 1}]
    assert [each.done for each in _progress(case)] == [1, 0]


def _progress(case):
    return case.ledger.backfills.progress("deep")


def test_a_failed_track_that_is_asked_for_is_planned_once_more_and_no_more(case):
    attempt = case.processing(1)
    case.ledger.attempts.fail(Failure(attempt.token, State.FAILED, Code.JOB_FAILED, "It failed."))
    row = frozen(case, 1, 2001)
    freeze(case, [FrozenRow(row.slice, row.track, row.row_digest, 10, row.dated, last_attempt=1)])
    assert dict(_progress(case)[0].states) == {"waiting": 1}
    run_id = begin(case)
    assert order_of(case, run_id) == ids(case, 1)
    again = case.ledger.attempts.reserve(run_id, case.track(1), "second", 10, Limits())
    case.ledger.attempts.release(again.token, Code.REFUSED, "Refused.", state=State.FAILED)
    assert order_of(case, begin(case)) == []
    assert dict(_progress(case)[0].states) == {"failed": 1}


MOVES = [
    (BackfillState.PAUSED, BackfillState.OPEN),
    (BackfillState.CANCELLED,),
    (BackfillState.PAUSED, BackfillState.CANCELLED),
    (BackfillState.FINISHED, BackfillState.OPEN),
]
FORBIDDEN = [
    (BackfillState.CANCELLED, BackfillState.OPEN),
    (BackfillState.CANCELLED, BackfillState.PAUSED),
    (BackfillState.FINISHED, BackfillState.CANCELLED),
    (BackfillState.PAUSED, BackfillState.FINISHED),
]


@pytest.mark.parametrize("moves", MOVES)
def test_a_backfill_moves_as_the_diagram_has_it(case, moves):
    freeze(case, [frozen(case, 1, 2001)])
    for state in moves:
        case.ledger.backfills.move("deep", state)
        assert case.ledger.backfills.move("deep", state).state is state
    kept = case.ledger.backfills.get("deep")
    assert (kept.state, kept.finished_at is not None) == (moves[-1], moves[-1] in ("cancelled", "finished"))


@pytest.mark.parametrize("moves", FORBIDDEN)
def test_no_other_way_leads_from_one_state_to_another(case, moves):
    freeze(case, [frozen(case, 1, 2001)])
    case.ledger.backfills.move("deep", moves[0])
    with pytest.raises(LedgerConflict):
        case.ledger.backfills.move("deep", moves[1])
    assert case.ledger.backfills.get("deep").state is moves[0]


def test_its_ceiling_counts_over_all_its_runs_and_its_share_by_the_day(case):
    freeze(case, [frozen(case, number, 2001) for number in (1, 2, 3)], ceiling=25)
    limits = Limits(backfill=25, backfill_day=15)
    first = begin(case)
    reserved = case.ledger.attempts.reserve(first, case.track(1), "one", 10, limits)
    assert reserved.credits_reserved == 10
    held = case.ledger.attempts.reserve(first, case.track(2), "two", 10, limits)
    assert isinstance(held, BudgetHold)
    assert held.code is Code.BUDGET_SHARE
    assert held.resumes_at is not None
    case.clock.advance(days=1)
    second = begin(case)
    case.ledger.attempts.reserve(second, case.track(2), "two", 10, limits)
    held = case.ledger.attempts.reserve(second, case.track(3), "three", 10, limits)
    assert (held.code, held.resumes_at) == (Code.BUDGET_BACKFILL, None)
    assert case.ledger.backfills.spent("deep") == {"reserved": 20, "charged": 0}
    case.ledger.attempts.release("one")
    assert case.ledger.backfills.spent("deep") == {"reserved": 10, "charged": 0}
    assert case.ledger.backfills.runs_of("deep") == [first, second]


def test_what_others_spend_counts_in_no_backfill(case):
    freeze(case, [frozen(case, 1, 2001)], ceiling=10)
    case.processing(2)
    found = case.ledger.credits.spending_of(case.ledger.runs.get(case.run_id).provider, "deep")
    assert (found.day.total, found.backfill.total, found.backfill_day.total) == (10, 0, 0)


def test_a_lease_that_gives_way_is_kept_for_who_wants_it(ledger):
    leases = ledger.leases
    fence = leases.acquire("key", "deep", 60, gives_way=True)
    assert not leases.is_wanted(["key"])
    assert leases.want("key")
    assert leases.is_wanted(["key", "other"])
    leases.release("key", fence)
    with pytest.raises(LeaseHeld, match="wants this API key"):
        leases.acquire("key", "another lane", 60, gives_way=True)
    leases.acquire("key", "night", 60)
    assert not leases.is_wanted(["key"])
    assert not leases.want("key")


def test_who_wants_a_lease_and_is_never_heard_of_again_keeps_nobody_from_it(ledger, clock):
    fence = ledger.leases.acquire("key", "deep", 60, gives_way=True)
    ledger.leases.want("key")
    ledger.leases.release("key", fence)
    clock.advance(seconds=16)
    assert ledger.leases.acquire("key", "another lane", 60, gives_way=True) > fence
