"""From the intent to the provider's answer: reserving, sending, and what a submit turned out to be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stemline.budget import BudgetHold, Limits, Spent
from stemline.errors import LeaseHeld, LedgerConflict
from stemline.records import Code, State, Submission


def test_an_intent_is_written_before_anything_is_sent(case) -> None:
    attempt = case.submitting(1)
    assert (attempt.token, attempt.number, attempt.credits_reserved) == ("a1", 1, 10)
    assert (attempt.sent_at, attempt.job_id, attempt.track) == (None, None, case.track(1))
    assert case.state() == State.SUBMITTING
    assert case.spent() == (10, 0)
    assert case.ledger.recovery.never_sent(case.provider, "key-1") == [attempt]
    assert case.ledger.recovery.unanswered(case.provider) == []


def test_a_second_attempt_of_the_same_track_is_refused(case) -> None:
    case.submitting(1)
    with pytest.raises(LedgerConflict, match="t1 is submitting, not planned"):
        case.ledger.attempts.reserve(case.run_id, case.track(1), "a2", 10, Limits())
    assert case.spent() == (10, 0)


def test_the_database_itself_refuses_a_second_live_attempt(case) -> None:
    case.published(1)
    with (
        pytest.raises(LedgerConflict, match="already has a live attempt"),
        case.ledger.database.write() as connection,
    ):
        connection.exec_driver_sql(
            "INSERT INTO attempts (token, track_id, recipe, provider, number, run_id, state, code, sentence,"
            " credits_reserved, is_disputed, reserved_at, updated_at)"
            " SELECT 'a2', track_id, recipe, provider, 2, run_id, 'submitting', 'ok', '',"
            " 10, is_disputed, reserved_at, updated_at FROM attempts"
        )


def test_a_token_is_used_once(case) -> None:
    case.submitting(1)
    case.plan(2)
    with pytest.raises(LedgerConflict, match="token is already in use"):
        case.ledger.attempts.reserve(case.run_id, case.track(2), "a1", 10, Limits())
    assert case.state(2) == State.PLANNED
    assert case.spent() == (10, 0)


LIMITS = [
    (Limits(run=25), Code.BUDGET_RUN),
    (Limits(day=25), Code.BUDGET_DAY),
    (Limits(month=25), Code.BUDGET_MONTH),
    (Limits(floor=5, balance=30), Code.BUDGET_FLOOR),
]


@pytest.mark.parametrize(("limits", "code"), LIMITS)
def test_a_limit_holds_the_track_that_would_pass_it_and_nothing_changes(case, limits, code) -> None:
    case.plan(1, 2, 3)
    for number in (1, 2):
        case.ledger.attempts.reserve(case.run_id, case.track(number), f"a{number}", 10, limits)
    held = case.ledger.attempts.reserve(case.run_id, case.track(3), "a3", 10, limits)
    assert isinstance(held, BudgetHold)
    assert held.code == code
    assert case.state(3) == State.PLANNED
    assert case.spent() == (20, 0)
    assert case.ledger.attempts.of_track(case.provider, "t3") == []


def test_a_days_limit_opens_again_at_midnight_and_a_months_does_not(case) -> None:
    limits = Limits(day=10, month=15)
    case.plan(1, 2, 3)
    case.ledger.attempts.reserve(case.run_id, case.track(1), "a1", 10, limits)
    held = case.ledger.attempts.reserve(case.run_id, case.track(2), "a2", 5, limits)
    assert held.resumes_at == datetime(2026, 4, 1, tzinfo=UTC)
    case.clock.now = datetime(2026, 3, 30, 23, tzinfo=UTC)
    case.ledger.attempts.reserve(case.run_id, case.track(2), "a2", 5, limits)
    assert case.ledger.attempts.reserve(case.run_id, case.track(3), "a3", 1, limits).code == Code.BUDGET_MONTH


def test_credits_count_in_the_window_they_were_reserved_in(case) -> None:
    case.processing(1)
    case.clock.advance(days=1)
    case.ledger.attempts.record_ready("a1", case.job(1))
    today = case.ledger.credits.spending(case.run_id)
    assert (today.run, today.day, today.month) == (Spent(0, 10), Spent(), Spent())
    case.clock.advance(days=-1)
    assert case.ledger.credits.spending(case.run_id).day == Spent(0, 10)


def test_limits_cover_other_runs_but_not_other_providers(case) -> None:
    case.submitting(1)
    second = case.start()
    other = case.ledger.runs.start("nightly", "aistemsplitter", case.recipe, "d")
    limits = Limits(day=15)
    for run in (second, other):
        case.ledger.tracks.plan(run, [case.track(2)])
    assert isinstance(case.ledger.attempts.reserve(second, case.track(2), "a2", 10, limits), BudgetHold)
    assert case.ledger.attempts.reserve(other, case.track(2), "a3", 10, limits).provider == "aistemsplitter"


def test_the_floor_counts_what_the_balance_does_not_show_yet(case) -> None:
    case.ready(1)
    seen = case.clock.now
    limits = Limits(floor=5, balance=30, balance_at=seen)
    case.clock.advance(seconds=1)
    case.ready(2)
    case.submitting(3)
    assert case.ledger.credits.spending(case.run_id, limits).not_in_balance == 30
    later = replace(limits, balance_at=case.clock.now + timedelta(seconds=1))
    assert case.ledger.credits.spending(case.run_id, later).not_in_balance == 10


def test_the_moment_of_sending_is_committed_and_kept(case) -> None:
    sent = case.sent(1)
    assert sent.sent_at == case.clock.now
    case.clock.advance(minutes=1)
    assert case.ledger.attempts.mark_sending("a1").sent_at == sent.sent_at
    assert case.ledger.recovery.never_sent(case.provider) == []
    assert case.ledger.recovery.unanswered(case.provider, "key-1") == [sent]
    assert case.ledger.recovery.unanswered(case.provider, "key-2") == []


def test_an_accepted_submit_is_in_flight_with_its_job(case) -> None:
    attempt = case.processing(1)
    assert attempt.job_id == "j1"
    assert case.state() == State.PROCESSING
    assert case.ledger.recovery.in_flight(case.provider, "key-1") == [attempt]
    assert case.ledger.attempts.find_by_job(case.provider, "j1") == attempt
    assert case.ledger.attempts.find_by_job(case.provider, "j2") is None


def test_the_same_submission_recorded_twice_changes_nothing(case) -> None:
    first = case.processing(1)
    assert case.ledger.attempts.record_submission("a1", Submission("j1", 99)) == first
    assert case.spent() == (10, 0)


def test_an_attempt_has_one_job_and_a_job_has_one_attempt(case) -> None:
    case.processing(1)
    with pytest.raises(LedgerConflict, match="record_submission cannot follow"):
        case.ledger.attempts.record_submission("a1", Submission("j9"))
    case.sent(2)
    with pytest.raises(LedgerConflict, match="belongs to another attempt"):
        case.ledger.attempts.record_submission("a2", Submission("j1"))
    assert case.state(2) == State.SUBMITTING


@pytest.mark.parametrize("asked", [4, 10, 12])
def test_a_reservation_follows_what_the_provider_asks(case, asked: int) -> None:
    case.sent(1)
    assert case.ledger.attempts.record_submission("a1", Submission("j1", asked)).credits_reserved == asked
    assert case.spent() == (asked, 0)


def test_a_reservation_follows_the_length_that_was_found_where_no_price_is_told(case) -> None:
    """A track said to be 10 s that turns out to be ten minutes takes ten minutes of the budget."""
    case.sent(1)
    found = case.ledger.attempts.record_submission("a1", Submission("j1", duration_seconds=599.2))
    assert found.credits_reserved == 600
    assert case.spent() == (600, 0)


@pytest.mark.parametrize("found", [None, 9.0, 10.4])
def test_a_length_that_is_only_rounded_otherwise_leaves_the_reservation_as_it_is(case, found) -> None:
    case.sent(1)
    case.ledger.attempts.record_submission("a1", Submission("j1", duration_seconds=found))
    assert case.spent() == (10, 0)


@pytest.mark.parametrize("state", [State.PLANNED, State.FAILED, State.HELD, State.REJECTED])
def test_a_released_attempt_gives_its_credits_back(case, state: State) -> None:
    case.sent(1)
    for _ in range(2):
        case.ledger.attempts.release("a1", Code.REFUSED, "Refused.", state=state)
    assert case.spent() == (0, 0)
    assert case.state() == state
    status = case.ledger.tracks.status(case.run_id, ["t1"])["t1"]
    assert (status.code, status.sentence, status.failures) == (
        Code.REFUSED,
        "Refused.",
        state is State.FAILED,
    )


def test_a_released_track_gets_a_new_attempt_with_the_next_number(case) -> None:
    case.submitting(1)
    case.ledger.attempts.release("a1")
    again = case.ledger.attempts.reserve(case.run_id, case.track(1), "a1-2", 10, Limits())
    assert again.number == 2
    assert [attempt.token for attempt in case.ledger.attempts.of_track(case.provider, "t1")] == ["a1", "a1-2"]


def test_an_accepted_attempt_cannot_be_released(case) -> None:
    case.processing(1)
    with pytest.raises(LedgerConflict, match="a1 is processing: release cannot follow"):
        case.ledger.attempts.release("a1")


def test_an_unanswered_submit_stays_unknown_and_reserved_until_it_is_resolved(case) -> None:
    case.sent(1)
    for _ in range(2):
        case.ledger.attempts.mark_unknown("a1", "No answer came.")
    assert case.state() == State.UNKNOWN
    assert case.spent() == (10, 0)
    assert case.ledger.tracks.plan(case.start(), [case.track(1)]).revived == 0
    assert [attempt.token for attempt in case.ledger.recovery.unknown(case.provider)] == ["a1"]
    case.ledger.attempts.record_submission("a1", Submission("j1"))
    assert case.state() == State.PROCESSING


def test_an_unknown_says_what_was_found_out_last(case) -> None:
    case.sent(1)
    case.ledger.attempts.mark_unknown("a1", "The run ended first.")
    case.ledger.attempts.mark_unknown("a1", "The list shows nothing.")
    assert case.ledger.tracks.status(case.run_id, ["t1"])["t1"].sentence == "The list shows nothing."
    assert [event["verb"] for event in case.ledger.queries.history("t1")].count("mark_unknown") == 1


def test_a_stale_holder_cannot_send(case) -> None:
    stale = case.ledger.leases.acquire("key-1", "a", 60)
    case.submitting(1)
    case.clock.advance(seconds=61)
    fresh = case.ledger.leases.acquire("key-1", "b", 60)
    with pytest.raises(LeaseHeld, match="b holds it now"):
        case.ledger.attempts.mark_sending("a1", fence=stale)
    assert case.ledger.recovery.never_sent(case.provider)
    assert case.ledger.attempts.mark_sending("a1", fence=fresh).sent_at


def test_a_stale_fence_cannot_free_what_another_run_may_be_sending_again(case) -> None:
    stale = case.ledger.leases.acquire("key-1", "a", 60)
    case.sent(1)
    case.clock.advance(seconds=61)
    fresh = case.ledger.leases.acquire("key-1", "b", 60)
    with pytest.raises(LeaseHeld, match="b holds it now"):
        case.ledger.attempts.release("a1", fence=stale)
    assert case.ledger.recovery.unanswered(case.provider)
    case.ledger.attempts.release("a1", fence=fresh)
    assert not case.ledger.recovery.unanswered(case.provider)
    case.ledger.attempts.release("a1", fence=stale)  # said again, it changes nothing


def test_a_fence_that_was_let_go_cannot_send(case) -> None:
    fence = case.ledger.leases.acquire("key-1", "a", 60)
    case.submitting(1)
    case.ledger.leases.release("key-1", fence)
    with pytest.raises(LeaseHeld, match="nobody holds it now"):
        case.ledger.attempts.mark_sending("a1", fence=fence)
    with pytest.raises(LeaseHeld, match="nobody holds it now"):
        case.ledger.leases.renew("key-1", fence, 60)
    assert case.ledger.recovery.never_sent(case.provider)


def test_a_request_is_not_sent_past_the_end_of_its_lease(case) -> None:
    fence = case.ledger.leases.acquire("key-1", "a", 60)
    case.submitting(1)
    case.clock.advance(seconds=60)
    with pytest.raises(LeaseHeld, match="has run out"):
        case.ledger.attempts.mark_sending("a1", fence=fence)
    case.ledger.leases.renew("key-1", fence, 60)
    assert case.ledger.attempts.mark_sending("a1", fence=fence).sent_at


def test_an_intent_that_left_meanwhile_cannot_be_withdrawn(case) -> None:
    """Whoever reads what another run left under way may come a moment after that run woke up."""
    case.submitting(1)
    case.submitting(2)
    case.ledger.attempts.mark_sending("a2")
    assert case.ledger.attempts.withdraw("a1")
    assert case.ledger.attempts.withdraw("a1")
    assert not case.ledger.attempts.withdraw("a2")
    assert (case.state(1), case.state(2)) == (State.PLANNED, State.SUBMITTING)
    assert case.spent() == (10, 0)
    with pytest.raises(LedgerConflict, match="a1 is released: mark_sending cannot follow"):
        case.ledger.attempts.mark_sending("a1")


def test_an_unknown_token_is_refused(case) -> None:
    for verb in (case.ledger.attempts.get, case.ledger.attempts.mark_sending, case.ledger.attempts.release):
        with pytest.raises(LedgerConflict, match="knows no attempt a9"):
            verb("a9")


def test_every_step_of_a_track_is_an_event(case) -> None:
    case.published(1)
    steps = [
        (event["verb"], event["from_state"], event["to_state"]) for event in case.ledger.queries.history("t1")
    ]
    assert steps == [
        ("plan", None, "planned"),
        ("reserve", "planned", "submitting"),
        ("mark_sending", "submitting", "submitting"),
        ("record_submission", "submitting", "processing"),
        ("record_ready", "processing", "ready"),
        ("record_collected", "ready", "collected"),
        ("publish", "collected", "published"),
    ]


def test_a_request_is_kept_until_it_is_answered_and_no_longer(case) -> None:
    case.submitting(1)
    link = {"sourceUrl": "https://store.example/a.flac?signature=secret"}
    case.ledger.attempts.mark_sending("a1", request=link)
    assert case.ledger.attempts.get("a1").request == link
    case.ledger.attempts.record_submission("a1", Submission("j1"))
    assert case.ledger.attempts.get("a1").request is None
