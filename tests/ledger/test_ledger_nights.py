"""Night after night: what stands as it stood is not written again, and what is old is forgotten, but no money."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import event, func, select, text

from stemline.budget import Limits
from stemline.errors import LedgerConflict
from stemline.ledger import Ledger, migration, retention, track
from stemline.ledger.tables import charge_totals, entries, events, run_tracks
from stemline.records import Code, Reject, State

HELD = "10 credits do not fit budget.day: 20 of 20 are reserved or charged."


def count(ledger: Ledger, table) -> int:
    with ledger.database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.fixture
def nights(case):
    """Give a ledger with four held tracks and a published one, and a run of the next night about them."""
    case.published(5)
    case.plan(1, 2, 3, 4)
    case.ledger.tracks.hold(case.run_id, Code.BUDGET_DAY, HELD)
    case.ledger.runs.finish(case.run_id, 4, {})
    case.clock.advance(days=1)
    return case


def next_night(case) -> str:
    case.clock.advance(days=1)
    case.run_id = case.start()
    case.plan(1, 2, 3, 4, 5)
    return case.run_id


def test_what_was_held_and_is_held_again_is_written_nowhere(nights) -> None:
    before = count(nights.ledger, events)
    run = next_night(nights)
    in_line = nights.ledger.tracks.next_planned(run, 10)
    assert nights.ledger.tracks.hold(run, Code.BUDGET_DAY, "10 credits do not fit either.") == 0
    assert count(nights.ledger, events) == before + 1, "that the run began"
    assert [each.track_id for each in in_line] == ["t1", "t2", "t3", "t4"]
    assert nights.ledger.queries.counts(run) == {State.HELD: 4, State.PUBLISHED: 1}


def test_what_another_reason_holds_says_so(nights) -> None:
    run = next_night(nights)
    assert nights.ledger.tracks.hold(run, Code.RUN_STOPPED, "Stopped.", is_further=True) == 0
    assert nights.ledger.tracks.hold(run, Code.RUN_STOPPED, "Stopped.") == 4
    assert nights.ledger.queries.codes(run) == {Code.RUN_STOPPED: 4, Code.OK: 1}


def test_what_was_held_is_sent_from_where_it_stands_and_what_is_held_now_is_not(nights) -> None:
    run = next_night(nights)
    attempt = nights.ledger.attempts.reserve(run, nights.track(1), "night-1", 10, Limits())
    nights.ledger.attempts.release(attempt.token, Code.REFUSED, "Too many.", state=State.HELD)
    assert [each.track_id for each in nights.ledger.tracks.next_planned(run, 10)] == ["t2", "t3", "t4"]
    with pytest.raises(LedgerConflict, match="is held, not planned"):
        nights.ledger.attempts.reserve(run, nights.track(1), "night-2", 10, Limits())
    assert next_night(nights) != run
    assert len(nights.ledger.tracks.next_planned(nights.run_id, 10)) == 4


def test_planned_and_held_tracks_are_one_queue(nights, monkeypatch) -> None:
    run = next_night(nights)
    nights.plan(6, 7)
    nights.ledger.tracks.plan(run, [nights.track(8, priority=1), nights.track(2, priority=2)])
    for many in (0, 5_000):
        monkeypatch.setattr(track, "MANY", many)
        found = [each.track_id for each in nights.ledger.tracks.next_planned(run, 5)]
        assert found == ["t2", "t8", "t1", "t3", "t4"]


def test_holding_moves_a_slice_in_each_transaction(case, monkeypatch) -> None:
    monkeypatch.setattr(track, "ROWS_A_MOVE", 3)
    case.plan(*range(1, 9))
    moved = []
    event.listen(
        case.ledger.database._engine,
        "after_cursor_execute",
        lambda *facts: moved.append(facts[1].rowcount) if facts[2].startswith("UPDATE tracks") else None,
    )
    assert case.ledger.tracks.hold(case.run_id, Code.BUDGET_RUN, HELD) == 8
    assert moved == [3, 3, 2]
    assert case.ledger.queries.counts(case.run_id) == {State.HELD: 8}


def members(ledger: Ledger) -> Counter[str]:
    with ledger.database.read() as connection:
        return Counter(connection.scalars(select(run_tracks.c.run_id)))


def test_earlier_runs_keep_what_they_tried_and_count_what_they_left(nights, monkeypatch) -> None:
    monkeypatch.setattr(retention, "ROWS_A_SLICE", 2)
    first = nights.run_id
    nights.ledger.runs.reject(first, [Reject(9, None, None, Code.NO_LOCATION, "No location.")])
    before = nights.ledger.queries.counts(first), nights.ledger.queries.codes(first)
    nights.clock.advance(days=1)
    nights.run_id = second = nights.start()
    nights.plan(1, 5)
    assert members(nights.ledger) == {first: 4, second: 1}, "t1 was handed over, t5 it tried"
    assert (nights.ledger.queries.counts(first), nights.ledger.queries.codes(first)) == before
    assert nights.ledger.retention.forget_rows_left(second) == 4, "t2 to t4, and the reject"
    assert nights.ledger.retention.forget_rows_left(second) == 0
    assert (nights.ledger.queries.counts(first), nights.ledger.queries.codes(first)) == before
    assert members(nights.ledger) == {first: 1, second: 1}


def test_what_waits_from_night_to_night_is_there_once(nights) -> None:
    first = nights.run_id
    for _ in range(3):
        run = next_night(nights)
        assert members(nights.ledger) == {first: 1, run: 4}, "of the first there is what it tried"
        nights.ledger.runs.finish(run, 4, {})


def test_a_run_about_nothing_forgets_nothing(nights) -> None:
    nights.clock.advance(days=1)
    empty = nights.start()
    nights.ledger.runs.finish(empty, 0, {})
    assert nights.ledger.retention.forget_rows_left(empty) == 0


def test_a_run_that_goes_on_with_another_key_forgets_nothing_of_it(case) -> None:
    case.plan(1)
    case.clock.advance(days=1)
    other = case.ledger.runs.start("nightly", case.provider, case.recipe, "digest", "key-2")
    case.ledger.tracks.plan(other, [case.track(1)])
    assert case.ledger.retention.forget_rows_left(other) == 0


@pytest.mark.parametrize(("remark", "kept"), [("ok", 0), ("format", 1)])
def test_old_stems_are_left_to_the_tables_unless_something_was_remarked(case, remark, kept) -> None:
    attempt = case.ready(1)
    collected = case.stems(1)
    stems = tuple(replace(stem, verification=remark) for stem in collected.stems)
    case.ledger.attempts.record_collected(replace(collected, stems=stems))
    case.ledger.batches.open(case.run_id, "b1", [attempt.token])
    case.ledger.batches.publish("b1")
    case.clock.advance(days=91)
    case.ledger.retention.forget_events(90)
    (row,) = case.ledger.queries.results([attempt.token])
    assert (row.collected.bpm, len(row.collected.stems)) == (120.5, kept)
    (told,) = case.ledger.queries.published_tracks(case.run_id)
    assert told.bpm == 120.5


def test_old_events_are_forgotten_a_slice_at_a_time_and_money_never(case, monkeypatch) -> None:
    monkeypatch.setattr(retention, "ROWS_A_SLICE", 2)
    case.published(1)
    old, money = count(case.ledger, events), count(case.ledger, entries)
    case.clock.advance(days=91)
    case.plan(2)
    assert case.ledger.retention.forget_events(90) == old
    assert case.ledger.retention.forget_events(90) == 0
    assert count(case.ledger, entries) == money
    assert [each["verb"] for each in case.ledger.queries.history("t2")] == ["plan"]
    assert case.spent() == (0, 10)


@pytest.mark.long
def test_a_reservation_reads_the_same_few_rows_after_many_charges(case) -> None:
    limits = Limits(balance=10**6, balance_at=case.clock())
    statements = []
    event.listen(
        case.ledger.database._engine, "before_cursor_execute", lambda *facts: statements.append(facts[2])
    )
    for number in range(1, 4):
        case.clock.advance(hours=7, seconds=11)
        case.ready(number)
        case.plan(10 + number)
        statements.clear()
        case.ledger.attempts.reserve(case.run_id, case.track(10 + number), f"n{number}", 10, limits)
        assert len(statements) < 25
        sums = [each for each in statements if "sum(credit_entries.amount)" in each.lower()]
        assert all("credit_entries.at <" in each for each in sums), "all charges since the balance are summed"
    assert case.ledger.credits.spending(case.run_id, limits).not_in_balance == 60


def test_totals_of_charges_are_made_of_what_an_older_ledger_booked(case) -> None:
    for number in range(1, 4):
        case.clock.advance(hours=13, seconds=40)
        case.ready(number)
    with case.ledger.database.read() as connection:
        kept = connection.execute(select(charge_totals).order_by(*charge_totals.c)).all()
    with case.ledger.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE charge_totals")
        connection.exec_driver_sql("ALTER TABLE runs DROP COLUMN left_as_they_stood")
        connection.execute(text("DELETE FROM migrations WHERE name = '0005_small_nights'"))
    assert migration.apply(case.ledger.database) == ["0005_small_nights"]
    with case.ledger.database.read() as connection:
        assert connection.execute(select(charge_totals).order_by(*charge_totals.c)).all() == kept
    assert len(kept) == 8
    assert sum(row.charged for row in kept if row.span == "day") == 30
