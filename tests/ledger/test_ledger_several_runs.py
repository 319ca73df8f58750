"""Several runs about the same tracks: each has its own, and none takes what another one is at."""

from __future__ import annotations

from stemline.budget import Limits
from stemline.ledger.queries import PublishedShares
from stemline.records import Code, Failure, State


def other_run(case, *numbers: int, key: str = "key-2") -> str:
    case.clock.advance(seconds=1)
    run_id = case.ledger.runs.start("nightly", case.provider, case.recipe, "digest", key)
    case.ledger.tracks.plan(run_id, [case.track(number) for number in numbers])
    return run_id


def queue(case, run_id: str) -> list[str]:
    return [track.track_id for track in case.ledger.tracks.next_planned(run_id, 10)]


def test_a_second_run_leaves_the_first_one_its_queue(case) -> None:
    case.plan(1, 2, 3)
    second = other_run(case, 2, 3, 4)
    assert queue(case, case.run_id) == ["t1", "t2", "t3"]
    assert queue(case, second) == ["t2", "t3", "t4"]
    case.ledger.attempts.reserve(second, case.track(2), "b2", 10, Limits(), key_id="key-2")
    assert queue(case, case.run_id) == ["t1", "t3"]
    assert case.ledger.queries.counts(case.run_id) == {State.PLANNED: 2, State.SUBMITTING: 1}


def test_a_large_run_has_the_same_queue(case, monkeypatch) -> None:
    monkeypatch.setattr("stemline.ledger.track.MANY", 2)
    test_a_second_run_leaves_the_first_one_its_queue(case)


def test_a_run_that_stops_holds_only_what_no_living_run_is_about(case) -> None:
    case.plan(1, 2)
    second = other_run(case, 2)
    case.ledger.leases.acquire("key-2", "host:1", 60)
    assert case.ledger.tracks.hold(case.run_id, Code.RUN_STOPPED, "Stopped.") == 1
    assert queue(case, second) == ["t2"]
    case.clock.advance(seconds=61)
    assert case.ledger.tracks.hold(case.run_id, Code.RUN_STOPPED, "Stopped.") == 1


def test_a_run_with_the_key_of_a_dead_one_has_outlived_it(case) -> None:
    case.plan(1)
    other_run(case, 1)
    third = other_run(case, 1)
    case.ledger.leases.acquire("key-2", "host:2", 60)
    assert case.ledger.tracks.hold(third, Code.RUN_STOPPED, "Stopped.") == 1


def test_only_what_no_living_lease_holds_is_healed(case) -> None:
    case.collected(1)
    batches, where = case.ledger.batches, (case.provider, case.recipe)
    assert batches.collected_unbatched(*where, spared=["key-1"]) == []
    assert batches.collected_unbatched(*where, spared=["key-2"]) == ["a1"]
    batches.open(case.run_id, "b1", ["a1"])
    assert batches.unpublished(*where, spared=["key-1"]) == []
    assert batches.unpublished(*where) == ["b1"]


def test_a_run_knows_what_others_are_at_of_its_tracks(case) -> None:
    case.processing(1)
    second = other_run(case, 1, 2)
    recovery = case.ledger.recovery
    assert recovery.under_way_elsewhere(second, ["key-2"]) == 0
    case.ledger.leases.acquire("key-1", "host:1", 60)
    assert recovery.under_way_elsewhere(second, ["key-2"]) == 1
    assert recovery.under_way_elsewhere(case.run_id, ["key-1"]) == 0
    case.ledger.attempts.fail(Failure("a1", State.FAILED, Code.JOB_FAILED, "It broke."))
    assert recovery.under_way_elsewhere(second, ["key-2"]) == 0


def test_each_run_says_by_whom_its_tracks_were_published(case) -> None:
    case.published(1)
    case.plan(2)
    second = other_run(case, 1, 2, 3)
    case.published(2)
    first, case.run_id = case.run_id, second
    case.published(3)
    assert case.ledger.queries.published_shares(second) == PublishedShares(1, 1, 1)
    assert case.ledger.queries.published_shares(first) == PublishedShares(2, 0, 0)
    assert case.ledger.queries.counts(second) == {State.PUBLISHED: 3}


def test_a_night_over_what_is_published_writes_one_row_for_all_of_it(case) -> None:
    for number in range(1, 4):
        case.published(number)
    second = other_run(case, 1, 2, 3)
    other_run(case, 1, 2, 3)
    with case.ledger.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM run_tracks").scalar_one()
        events = connection.exec_driver_sql("SELECT count(*) FROM events WHERE verb = 'plan'").scalar_one()
    assert (rows, events) == (3, 3)
    assert case.ledger.queries.counts(second) == {State.PUBLISHED: 3}


def test_a_run_with_nothing_to_do_hides_no_other(case) -> None:
    case.plan(1)
    case.ledger.runs.finish(case.run_id, 3, {})
    case.clock.advance(seconds=1)
    idle = case.start()
    assert case.ledger.runs.last("nightly").run_id == idle, "it may be about to do something"
    case.ledger.runs.finish(idle, 0, {})
    assert case.ledger.runs.last("nightly").run_id == case.run_id


def test_what_was_charged_for_an_earlier_runs_jobs_is_told(case) -> None:
    attempt = case.processing(1)
    case.clock.advance(seconds=1)
    second = case.start()
    case.ledger.attempts.record_ready(attempt.token, case.job(1))
    assert case.ledger.credits.charged_for_earlier(second, ["key-1"]) == 10
    assert case.ledger.credits.charged_for_earlier(second, ["key-2"]) == 0
    assert case.ledger.credits.charged_for_earlier(case.run_id, ["key-1"]) == 0
