"""Planning and queueing tracks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy

from stemline.budget import Limits
from stemline.errors import LedgerConflict
from stemline.ledger import PlanCounts
from stemline.records import Code, Failure, Reject, State


def test_a_new_track_is_planned_and_comes_back_as_it_went_in(case) -> None:
    columns = {
        "label": "a",
        "year": 1999,
        "out": date(2024, 1, 31),
        "price": Decimal("1.10"),
        "tags": ["x", None],
    }
    track = case.track(1, columns=columns, size_bytes=5, duration_seconds=10.25, priority=3)
    assert case.ledger.tracks.plan(case.run_id, [track]) == PlanCounts(new=1, known=0, revived=0)
    assert case.ledger.tracks.next_planned(case.run_id, 10) == [track]


def test_planning_again_changes_nothing_and_writes_no_event(case) -> None:
    case.plan(1, 2)
    assert case.ledger.tracks.plan(case.run_id, [case.track(1), case.track(2)]) == PlanCounts(0, 2, 0)
    assert [event["verb"] for event in case.ledger.queries.history("t1")] == ["plan"]


def test_the_queue_runs_by_priority_then_by_the_manifest(case) -> None:
    rows = [case.track(n, priority=p) for n, p in ((1, 0), (2, 5), (3, 0), (4, 5), (5, -1))]
    case.ledger.tracks.plan(case.run_id, list(reversed(rows)))
    whole = case.ledger.tracks.next_planned(case.run_id, 10)
    assert [track.track_id for track in whole] == ["t2", "t4", "t1", "t3", "t5"]
    paged = []
    while page := case.ledger.tracks.next_planned(case.run_id, 2, after=paged[-1] if paged else None):
        paged += page
    assert paged == whole


def test_pages_lose_no_track_when_positions_repeat(case) -> None:
    case.ledger.tracks.plan(case.run_id, [case.track(n, position=7) for n in range(1, 6)])
    first = case.ledger.tracks.next_planned(case.run_id, 2)
    rest = case.ledger.tracks.next_planned(case.run_id, 10, after=first[-1])
    assert len({track.track_id for track in first + rest}) == 5


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_page_reads_no_more_of_a_larger_run(case, monkeypatch) -> None:
    monkeypatch.setattr("stemline.ledger.track.MANY", 50)
    steps = []
    for first, end in ((0, 200), (200, 2_000)):
        case.plan(*range(first, end))
        with counted_steps(case.ledger) as counted:
            assert len(case.ledger.tracks.next_planned(case.run_id, 10)) == 10
        steps.append(len(counted))
    assert 0 < steps[1] <= 1.2 * steps[0]


@contextmanager
def counted_steps(ledger) -> Iterator[list[int]]:
    """Give a list that grows by one with every ten steps of SQLite's machine."""
    engine, counted = ledger.database._engine, []

    def watch(connection, *_) -> None:
        connection.set_progress_handler(lambda: counted.append(10), 10)

    sqlalchemy.event.listen(engine, "checkout", watch)
    try:
        yield counted
    finally:
        sqlalchemy.event.remove(engine, "checkout", watch)


def test_a_manifest_in_another_order_and_size_plans_the_same_tracks(case) -> None:
    rows = [case.track(n) for n in range(1, 8)]
    case.ledger.tracks.plan(case.run_id, rows)
    for row in reversed(rows):
        assert case.ledger.tracks.plan(case.run_id, [row]).new == 0
    assert case.ledger.queries.counts(case.run_id) == {State.PLANNED: 7}


def test_the_same_track_twice_in_one_call_is_one_track(case) -> None:
    assert case.ledger.tracks.plan(case.run_id, [case.track(1), case.track(1, priority=9)]).new == 1
    assert case.ledger.tracks.next_planned(case.run_id, 10)[0].priority == 9


def test_another_recipe_is_another_piece_of_work(case) -> None:
    case.published(1)
    other = case.ledger.runs.start("nightly", case.provider, replace(case.recipe, stems="six"), "d")
    assert case.ledger.tracks.plan(other, [case.track(1)]) == PlanCounts(1, 0, 0)
    assert case.ledger.tracks.plan(case.start(), [case.track(1)]) == PlanCounts(0, 1, 0)


def test_a_changed_manifest_refreshes_a_track_that_waits(case) -> None:
    case.plan(1)
    changed = case.track(
        1, location="/new.mp3", priority=4, position=9, columns={"a": 1}, duration_seconds=20.0
    )
    case.ledger.tracks.plan(case.run_id, [changed])
    assert case.ledger.tracks.next_planned(case.run_id, 1) == [changed]


def test_columns_that_the_tables_cannot_hold_follow_a_manifest_that_has_none(case) -> None:
    case.ledger.tracks.plan(case.run_id, [case.track(1, columns={"mood": "glad"})])
    token = case.collected(1).token
    case.ledger.tracks.plan(
        case.run_id, [case.track(1)]
    )  # the tags of a file that is not opened again are kept
    (kept,) = case.ledger.batches.collected([token])
    assert kept.attempt.track.columns == {"mood": "glad"}
    case.ledger.batches.set_aside({token: 'Column "mood": "glad" cannot be double.'})
    case.ledger.tracks.plan(case.run_id, [case.track(1)])
    (refreshed,) = case.ledger.batches.collected([token])
    assert refreshed.attempt.track.columns == {}


def test_a_manifest_without_lengths_does_not_erase_what_probing_found(case) -> None:
    case.ledger.tracks.plan(case.run_id, [case.track(1, duration_seconds=None)])
    attempt = case.ledger.attempts.reserve(case.run_id, case.track(1, size_bytes=7), "a1", 10, Limits())
    case.ledger.attempts.release(attempt.token)
    case.ledger.tracks.plan(case.run_id, [case.track(1, duration_seconds=None, priority=2)])
    assert case.ledger.tracks.next_planned(case.run_id, 1) == [case.track(1, size_bytes=7, priority=2)]


def test_a_changed_manifest_leaves_the_length_of_a_paid_track_alone(case) -> None:
    case.processing(1)
    case.ledger.tracks.plan(case.run_id, [case.track(1, duration_seconds=99.0, columns={"a": 1})])
    assert case.ledger.attempts.get("a1").track == case.track(1, columns={"a": 1})


def test_a_published_track_keeps_the_row_it_was_published_with(case) -> None:
    case.published(1)
    run = case.start()
    case.ledger.tracks.plan(run, [case.track(1, columns={"a": 1})])
    assert case.ledger.attempts.get("a1").track == case.track(1)
    assert case.ledger.queries.counts(run) == {State.PUBLISHED: 1}


def test_held_and_rejected_tracks_are_planned_again(case) -> None:
    case.submitting(1)
    case.plan(2)
    case.ledger.attempts.release("a1", Code.TOO_LONG, "t1 is too long.", state=State.REJECTED)
    assert case.ledger.tracks.hold(case.run_id, Code.BUDGET_DAY, "The day is over.") == 1
    assert case.ledger.queries.codes(case.run_id) == {Code.TOO_LONG: 1, Code.BUDGET_DAY: 1}
    run = case.start()
    assert case.ledger.tracks.plan(run, [case.track(1), case.track(2)]).revived == 2
    assert case.ledger.queries.counts(run) == {State.PLANNED: 2}
    assert case.ledger.queries.codes(run) == {Code.OK: 2}


def test_a_retryable_failure_returns_until_its_attempts_are_used_up(case) -> None:
    for number in (1, 2):
        case.ledger.tracks.plan(case.run_id, [case.track(1)], max_attempts=2)
        case.ledger.attempts.reserve(case.run_id, case.track(1), f"a{number}", 10, Limits())
        case.ledger.attempts.release(
            f"a{number}", Code.SOURCE_UNREACHABLE, f"try {number}", state=State.FAILED, is_retryable=True
        )
    assert case.ledger.tracks.plan(case.run_id, [case.track(1)], max_attempts=2).revived == 0
    assert case.state() == State.FAILED
    assert case.ledger.tracks.retry_failed(case.run_id, max_attempts=2) == 0
    assert case.ledger.tracks.retry_failed(case.run_id, max_attempts=3) == 1


def test_an_upload_that_failed_is_tried_by_every_later_run(case) -> None:
    """It cost nothing: the attempts of one run say nothing of the vendor's storage a night later."""
    for number in range(1, 6):
        run = case.start()
        assert case.ledger.tracks.plan(run, [case.track(1)], max_attempts=2).revived == (number > 1)
        case.ledger.attempts.reserve(run, case.track(1), f"a{number}", 10, Limits())
        case.ledger.attempts.release(
            f"a{number}", Code.UPLOAD_FAILED, "It broke off.", state=State.FAILED, is_retryable=True
        )
        assert case.ledger.tracks.retry_failed(run, max_attempts=2) == (number == 1)
        if number == 1:
            case.ledger.tracks.hold(run, Code.RUN_STOPPED, "It stopped.")


def test_a_terminal_failure_returns_only_when_a_person_asks(case) -> None:
    case.processing(1)
    case.ledger.attempts.fail(Failure("a1", State.FAILED, Code.JOB_FAILED, "It broke."))
    run = case.start()
    assert case.ledger.tracks.plan(run, [case.track(1)]).revived == 0
    assert case.ledger.tracks.retry_failed(run) == 0
    assert case.ledger.redrive_queue.redrive(run, [Code.TOO_LONG]) == 0
    assert case.ledger.redrive_queue.redrive(run) == 1
    assert case.state() == State.PLANNED


def test_a_quarantined_track_is_paid_again_only_when_its_code_is_named(case) -> None:
    case.ready(1)
    case.ledger.attempts.fail(Failure("a1", State.QUARANTINED, Code.ALL_SILENT, "Silence."))
    run = case.start()
    assert case.ledger.redrive_queue.redrive(run) == 0
    assert case.ledger.redrive_queue.redrive(run, [Code.ALL_SILENT]) == 1
    again = case.ledger.attempts.reserve(run, case.track(1), "a1-2", 10, Limits())
    assert again.number == 2


def test_tracks_and_rejected_rows_sum_to_the_manifest(case) -> None:
    case.plan(1, 2)
    case.submitting(3)
    rejects = [
        Reject(4, None, None, Code.NO_LOCATION, "Row 4 has no location."),
        Reject(5, "t1", "/b.mp3", Code.DUPLICATE_ID, "Row 5 repeats t1."),
    ]
    assert case.ledger.runs.reject(case.run_id, rejects) == 2
    assert case.ledger.runs.reject(case.run_id, rejects) == 0
    case.ledger.attempts.release("a3", Code.TOO_SHORT, "t3 is too short.", state=State.REJECTED)
    assert case.ledger.queries.counts(case.run_id) == {State.PLANNED: 2, State.REJECTED: 3}
    assert sum(case.ledger.queries.codes(case.run_id).values()) == 5
    listed = [Reject(3, "t3", "/music/3.mp3", Code.TOO_SHORT, "t3 is too short."), *rejects]
    assert list(case.ledger.queries.rejected_rows(case.run_id)) == listed


def test_a_run_is_remembered_with_its_ending(case) -> None:
    case.clock.now = datetime(2026, 4, 1, tzinfo=UTC)
    newer = case.start()
    case.ledger.runs.finish(newer, 3, {"tracks": {"failed": 1}})
    run = case.ledger.runs.last("nightly")
    assert (run.run_id, run.exit_code, run.totals) == (newer, 3, {"tracks": {"failed": 1}})
    assert (run.recipe, run.provider, run.key_id) == (case.recipe, case.provider, "key-1")
    assert run.started_at == run.finished_at == case.clock.now
    assert case.ledger.runs.last("daily") is None
    assert case.ledger.runs.get(case.run_id).finished_at is None


def test_an_unknown_run_is_refused(case) -> None:
    with pytest.raises(LedgerConflict, match="knows no run"):
        case.ledger.tracks.plan("nope", [case.track()])


def test_long_lists_are_streamed_whole_and_in_order(case) -> None:
    """More than two pages of 1,000."""
    case.ledger.tracks.plan(case.run_id, [case.track(number) for number in range(2_100)])
    case.ledger.tracks.hold(case.run_id, Code.RUN_STOPPED, "Stopped.")
    rejects = [Reject(row, None, None, Code.NO_LOCATION, "No location.") for row in range(2_100)]
    case.ledger.runs.reject(case.run_id, rejects)
    listed = [row.track_id for row in case.ledger.queries.track_list(case.run_id, State.HELD)]
    assert len(set(listed)) == len(listed) == 2_100
    assert list(case.ledger.queries.rejected_rows(case.run_id)) == rejects
    assert list(case.ledger.queries.failures(case.run_id)) == []


def test_a_source_that_is_away_fails_for_this_run_alone(case) -> None:
    """Nothing was tried, so no attempt is used up; only a run, which looks at the source first, plans it again."""
    tracks = case.ledger.tracks
    row = case.track(1, duration_seconds=None)
    for night in range(5):
        run_id = case.start()
        tracks.plan(run_id, [row], max_attempts=3, away={"t1": f"night {night}"})
        assert tracks.status(run_id, ["t1"])["t1"].state is State.FAILED
        assert tracks.retry_failed(run_id) == case.ledger.redrive_queue.redrive(run_id) == 0
        assert case.ledger.redrive_queue.redrive(run_id, [Code.SOURCE_UNREACHABLE]) == 0
        assert case.ledger.queries.codes(run_id) == {Code.SOURCE_UNREACHABLE: 1}
    assert [event["verb"] for event in case.ledger.queries.history("t1")] == ["plan", "away"]

    assert tracks.plan(case.start(), [case.track(1)]).revived == 1


def test_a_source_that_is_away_leaves_what_is_paid_alone(case) -> None:
    case.submitting(1)
    case.ledger.tracks.plan(case.start(), [case.track(1)], away={"t1": "Busy."})
    assert case.ledger.tracks.status(case.run_id, ["t1"])["t1"].state is State.SUBMITTING


def test_a_file_that_is_not_opened_again_keeps_its_tags(case) -> None:
    case.ledger.tracks.plan(case.run_id, [case.track(1, columns={"artist": "Zo\u00eb"})])
    case.ledger.tracks.plan(case.run_id, [case.track(1)])
    assert case.ledger.tracks.next_planned(case.run_id, 1)[0].columns == {"artist": "Zo\u00eb"}
