"""What became of a job: charged once, collected once, published whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy

from stemline.errors import LedgerConflict
from stemline.records import Code, Failure, Recipe, State


def test_a_ready_track_is_charged_what_the_provider_says(case) -> None:
    case.processing(1)
    assert case.ledger.attempts.record_ready("a1", case.job(1, credits_charged=9))
    assert case.spent() == (0, 9)
    assert case.state() == State.READY


def test_without_a_figure_the_reservation_is_the_charge(case) -> None:
    case.processing(1)
    case.ledger.attempts.record_ready("a1", case.job(1, credits_charged=None))
    assert case.spent() == (0, 10)


def test_a_ready_track_recorded_twice_is_charged_once(case) -> None:
    case.ready(1)
    assert not case.ledger.attempts.record_ready("a1", case.job(1, credits_charged=99))
    case.ledger.attempts.record_collected(case.stems(1))
    assert not case.ledger.attempts.record_ready("a1", case.job(1, credits_charged=99))
    assert case.spent() == (0, 10)


@pytest.mark.parametrize("kind", ["charge", "reserve"])
def test_the_database_itself_refuses_a_second_booking(case, kind: str) -> None:
    case.ready(1)
    with pytest.raises(LedgerConflict, match="already booked"), case.ledger.database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO credit_entries (at, token, run_id, provider, kind, amount, day, month)"
            f" SELECT at, token, run_id, provider, '{kind}', 1, day, month FROM credit_entries"
            " WHERE kind = 'charge'"
        )


@pytest.mark.long
def test_another_jobs_outputs_are_refused(case) -> None:
    case.processing(1)
    with pytest.raises(LedgerConflict, match="a1 is job j1, not job j2"):
        case.ledger.attempts.record_ready("a1", case.job(2))


def test_what_is_paid_and_not_collected_is_listed_oldest_first(case) -> None:
    case.ready(2)
    case.clock.advance(seconds=1)
    case.ready(1)
    ready = case.ledger.recovery.ready(case.provider, "key-1")
    assert [track.attempt.token for track in ready] == ["a2", "a1"]
    assert ready[0].job == case.job(2, bpm=120.5, key="Am")


def test_a_collected_track_keeps_every_fact_of_its_stems(case) -> None:
    case.collected(1)
    assert not case.ledger.attempts.record_collected(case.stems(1))
    case.ledger.batches.open(case.run_id, "b1", ["a1"])
    row = case.ledger.batches.rows("b1")[0]
    assert row.collected == case.stems(1)
    assert row.job == case.job(1, bpm=120.5, key="Am")
    assert (row.run_id, row.credits_charged) == (case.run_id, 10)
    assert (row.attempt.track, row.attempt.job_id) == (case.track(1), "j1")


def test_nothing_is_collected_before_it_is_ready(case) -> None:
    case.processing(1)
    with pytest.raises(LedgerConflict, match="record_collected cannot follow"):
        case.ledger.attempts.record_collected(case.stems(1))


def failure(state: State, code: Code) -> Failure:
    return Failure("a1", state, code, "It broke.", is_retryable=True)


def test_a_failed_jobs_credits_stay_reserved_until_a_balance_shows_them_free(case) -> None:
    case.processing(1)
    assert case.ledger.attempts.fail(failure(State.FAILED, Code.JOB_FAILED)) is State.FAILED
    assert case.spent() == (10, 0)
    assert case.ledger.credits.disputed(case.provider) == {case.run_id: 10}
    assert case.ledger.credits.release_disputed(case.run_id) == 10
    assert case.ledger.credits.release_disputed(case.run_id) == 0
    assert case.spent() == (0, 0)
    assert case.ledger.credits.disputed(case.provider) == {}


def test_a_failed_job_that_the_balance_shows_charged_is_booked(case) -> None:
    case.processing(1)
    case.ledger.attempts.fail(failure(State.FAILED, Code.JOB_FAILED))
    assert case.ledger.credits.charge_disputed(case.run_id) == 10
    assert case.spent() == (0, 10)


@pytest.mark.parametrize("charged", [0, 7])
def test_a_failed_job_whose_price_is_known_is_settled_at_once(case, charged: int) -> None:
    case.processing(1)
    case.ledger.attempts.fail(failure(State.FAILED, Code.JOB_FAILED), credits_charged=charged)
    assert case.spent() == (0, charged)
    assert case.ledger.credits.disputed(case.provider) == {}


def test_a_refused_submit_costs_nothing(case) -> None:
    case.sent(1)
    case.ledger.attempts.fail(failure(State.FAILED, Code.REFUSED))
    assert case.spent() == (0, 0)


def test_an_unknown_given_up_may_have_been_charged(case) -> None:
    case.sent(1)
    case.ledger.attempts.fail(failure(State.UNKNOWN, Code.SUBMIT_UNANSWERED))
    assert case.state() == State.UNKNOWN
    case.ledger.attempts.fail(failure(State.FAILED, Code.JOB_LOST))
    assert case.spent() == (10, 0)
    assert case.ledger.credits.disputed(case.provider) == {case.run_id: 10}


def test_a_failed_track_can_be_tried_again_while_the_first_try_is_disputed(case) -> None:
    case.processing(1)
    case.ledger.attempts.fail(failure(State.FAILED, Code.JOB_FAILED))
    case.ledger.tracks.retry_failed(case.run_id)
    case.submitting(11)
    assert case.spent() == (20, 0)


def test_a_paid_track_that_could_not_be_fetched_is_kept_not_paid_again(case) -> None:
    case.ready(1)
    assert case.ledger.attempts.fail(failure(State.FAILED, Code.DOWNLOAD_FAILED)) is State.READY
    assert case.ledger.queries.codes(case.run_id) == {Code.DOWNLOAD_FAILED: 1}
    run = case.start()
    assert case.ledger.tracks.plan(run, [case.track(1)]).revived == 0
    assert len(case.ledger.recovery.ready(case.provider)) == 1
    case.ledger.attempts.record_collected(case.stems(1))
    assert case.ledger.queries.codes(run) == {Code.OK: 1}


@pytest.mark.parametrize(
    ("state", "code"),
    [(State.QUARANTINED, Code.ALL_SILENT), (State.EXPIRED, Code.OUTPUTS_EXPIRED)],
)
def test_a_paid_track_may_end_beside_the_dataset(case, state: State, code: Code) -> None:
    case.ready(1)
    for _ in range(2):
        assert case.ledger.attempts.fail(failure(state, code)) is state
    assert case.spent() == (0, 10)
    assert case.ledger.tracks.plan(case.start(), [case.track(1)]).revived == 0


def test_a_job_found_expired_was_paid(case) -> None:
    case.processing(1)
    case.ledger.attempts.fail(failure(State.EXPIRED, Code.OUTPUTS_EXPIRED))
    assert case.spent() == (0, 10)


def test_a_published_track_cannot_fail(case) -> None:
    case.published(1)
    with pytest.raises(LedgerConflict, match="a1 is published: fail to failed cannot follow"):
        case.ledger.attempts.fail(failure(State.FAILED, Code.JOB_FAILED))


def test_failures_are_listed_with_their_reasons(case) -> None:
    case.processing(1)
    case.published(2)
    case.ledger.attempts.fail(failure(State.FAILED, Code.JOB_FAILED))
    listed = [
        (row.track_id, row.state, row.code, row.sentence) for row in case.ledger.queries.failures(case.run_id)
    ]
    assert listed == [("t1", State.FAILED, Code.JOB_FAILED, "It broke.")]


def test_a_batch_is_published_whole_and_once(case) -> None:
    for number in (2, 1, 3):
        case.collected(number)
    assert case.ledger.batches.collected_unbatched(case.provider, case.recipe, limit=2) == ["a1", "a2"]
    for _ in range(2):
        case.ledger.batches.open(case.run_id, "b1", ["a2", "a1"])
    assert case.ledger.batches.collected_unbatched(case.provider, case.recipe) == ["a3"]
    assert case.ledger.batches.unpublished(case.provider, case.recipe) == ["b1"]
    before = case.ledger.batches.rows("b1")
    assert [row.attempt.token for row in before] == ["a1", "a2"]
    assert case.ledger.batches.publish("b1") == 2
    assert case.ledger.batches.publish("b1") == 0
    assert case.ledger.queries.counts(case.run_id) == {State.PUBLISHED: 2, State.COLLECTED: 1}
    assert case.ledger.batches.unpublished(case.provider, case.recipe) == []
    assert case.ledger.batches.rows("b1") == before


def test_a_batch_takes_only_free_collected_attempts_or_nothing(case) -> None:
    case.collected(1)
    case.collected(2)
    case.ready(3)
    case.ledger.batches.open(case.run_id, "b1", ["a1"])
    for tokens in (["a2", "a1"], ["a2", "a3"], ["a2", "a9"], []):
        with pytest.raises(LedgerConflict, match="Batch b2 cannot hold"):
            case.ledger.batches.open(case.run_id, "b2", tokens)
    assert case.ledger.batches.collected_unbatched(case.provider, case.recipe) == ["a2"]
    with pytest.raises(LedgerConflict, match="knows no batch b2"):
        case.ledger.batches.publish("b2")


def test_batches_of_another_recipe_are_left_to_its_own_runs(case) -> None:
    case.collected(1)
    case.ledger.batches.open(case.run_id, "b1", ["a1"])
    assert case.ledger.batches.unpublished(case.provider, Recipe("six", "best", "flac")) == []
    assert case.ledger.batches.unpublished("local", case.recipe) == []


@pytest.mark.long
def test_a_larger_batch_is_published_in_no_more_statements(case) -> None:
    """The ledger's only writer is busy meanwhile: a server elsewhere answers each of them in a millisecond or more."""
    counted = []
    for first, end in ((1, 3), (3, 15)):
        tokens = [case.collected(number).token for number in range(first, end)]
        case.ledger.batches.open(case.run_id, f"b{first}", tokens)
        with counted_statements(case.ledger) as statements:
            assert case.ledger.batches.publish(f"b{first}") == len(tokens)
        counted.append(len(statements))
        assert {case.state(number) for number in range(first, end)} == {State.PUBLISHED}
    assert counted[0] == counted[1]
    assert [each["verb"] for each in case.ledger.queries.history("t14")][-1] == "publish"


@contextmanager
def counted_statements(ledger) -> Iterator[list[str]]:
    engine, statements = ledger.database._engine, []

    def note(_connection, _cursor, statement, *_) -> None:
        statements.append(statement)

    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sqlalchemy.event.remove(engine, "before_cursor_execute", note)
