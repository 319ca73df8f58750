"""What two readings of a balance prove about a submit without an answer, and what spoils the proof."""

from __future__ import annotations

import pytest

from stemline.budget import Limits
from stemline.ledger import BalanceReading
from stemline.records import Code, Failure, Job, Phase, State, Submission

BEFORE = 1_000


@pytest.fixture
def lost(case):
    """Track 1: sent, and set aside without an answer; a minute has passed."""
    case.submitting(1)
    case.ledger.attempts.mark_sending("a1", balance=BalanceReading(BEFORE, case.clock()))
    case.ledger.attempts.mark_unknown("a1", "No answer.")
    case.clock.advance(minutes=1)
    return case


def is_absent(case, balance: int = BEFORE) -> bool:
    return case.ledger.balances.prove_absence("a1", BalanceReading(balance, case.clock()))


def with_another_key(case, number: int = 2) -> None:
    """Have a track sent with another key, which may be of the same account."""
    case.plan(number)
    track, token = case.track(number), f"a{number}"
    case.ledger.attempts.reserve(case.run_id, track, token, 10, Limits(), key_id="key-2")
    case.ledger.attempts.mark_sending(token)
    case.ledger.attempts.record_submission(token, Submission(f"j{number}", 10))


def fail(case, token: str) -> None:
    case.ledger.attempts.fail(Failure(token, State.FAILED, Code.JOB_FAILED, "It failed."))


def test_a_balance_that_did_not_move_proves_that_nothing_was_charged(lost) -> None:
    assert is_absent(lost)
    assert not is_absent(lost, BEFORE - 10)


def test_what_others_were_charged_is_taken_off_it(lost) -> None:
    lost.ready(2)
    assert is_absent(lost, BEFORE - 10)
    assert not is_absent(lost, BEFORE - 20)


def test_a_charge_that_the_provider_did_not_tell_is_no_figure_to_reckon_with(lost) -> None:
    lost.processing(2)
    lost.ledger.attempts.record_ready("a2", Job("j2", Phase.DONE))
    assert not is_absent(lost, BEFORE - 10)


def test_a_charge_for_what_was_sent_before_the_first_reading_may_be_in_it(case) -> None:
    case.processing(2)
    case.clock.advance(minutes=1)
    case.submitting(1)
    case.ledger.attempts.mark_sending("a1", balance=BalanceReading(BEFORE, case.clock()))
    case.ledger.attempts.mark_unknown("a1", "No answer.")
    case.clock.advance(minutes=1)
    case.ledger.attempts.record_ready("a2", case.job(2))
    assert not is_absent(case)
    assert not is_absent(case, BEFORE - 10)


def test_nothing_else_may_be_under_way_with_any_key(lost) -> None:
    with_another_key(lost)
    assert not is_absent(lost)


def test_a_job_that_failed_with_any_key_may_have_been_refunded(lost) -> None:
    with_another_key(lost)
    fail(lost, "a2")
    assert not is_absent(lost)


def test_a_job_in_dispute_may_be_refunded_long_after(case) -> None:
    case.processing(2)
    fail(case, "a2")
    case.clock.advance(hours=1)
    case.submitting(1)
    case.ledger.attempts.mark_sending("a1", balance=BalanceReading(BEFORE, case.clock()))
    case.ledger.attempts.mark_unknown("a1", "No answer.")
    case.clock.advance(minutes=1)
    assert not is_absent(case)


def test_readings_that_lie_far_apart_prove_nothing_for_accounts_are_filled_up(lost) -> None:
    lost.clock.advance(days=1)
    assert not is_absent(lost)


def test_without_a_first_reading_there_is_no_proof(case) -> None:
    case.sent(1)
    case.ledger.attempts.mark_unknown("a1", "No answer.")
    assert not is_absent(case)


def test_only_what_a_living_run_has_under_way_moves_a_balance(case) -> None:
    with_another_key(case)
    assert not case.ledger.balances.is_moving("stemsplit", "key-1")  # nobody holds that key
    case.ledger.leases.acquire("key-2", "another run", 60)
    assert case.ledger.balances.is_moving("stemsplit", "key-1")
    assert not case.ledger.balances.is_moving("stemsplit", "key-2")
    case.ledger.attempts.mark_late("a2", "It takes long.")
    assert not case.ledger.balances.is_moving("stemsplit", "key-1")
    assert case.ledger.balances.felt_before("stemsplit") == 10
