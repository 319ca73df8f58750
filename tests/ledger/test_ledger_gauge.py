"""Gauges: one look at how a run stands and what money is at risk."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from stemline.ledger import LEASE_SECONDS, TrafficReading
from stemline.records import Code, Output, State

READING = TrafficReading(sent=90, throttled=2, sent_last_minute=45, granted_a_minute=60)


def gauges(case):
    return case.ledger.gauges.read("nightly")


def left(found):
    return found.seconds_for(found.credits_to_come)


def test_nothing_is_read_where_nothing_has_run(ledger):
    assert ledger.gauges.read("nightly") is None


def test_what_is_paid_and_not_collected_is_counted_with_its_first_link(case):
    expires_at = case.clock() + timedelta(hours=1)
    for number, later in ((1, 5), (2, 0)):
        case.processing(number)
        links = tuple(Output(stem, "http://x", expires_at + timedelta(minutes=later)) for stem in "ab")
        case.ledger.attempts.record_ready(f"a{number}", case.job(number, outputs=links))
    case.collected(3)

    at_risk = gauges(case).at_risk

    assert (at_risk.uncollected, at_risk.uncollected_credits) == (2, 20)
    assert at_risk.links_expire_at == expires_at
    assert at_risk.oldest_sent_at == case.clock()


def test_links_that_are_made_anew_expire_later_and_are_charged_once(case):
    case.processing(1)
    job = case.job(1, outputs=(Output("vocals", "http://x", case.clock() + timedelta(hours=1)),))
    case.ledger.attempts.record_ready("a1", job)
    anew = replace(job.outputs[0], expires_at=case.clock() + timedelta(hours=2))

    assert not case.ledger.attempts.record_ready("a1", replace(job, outputs=(anew,)))

    assert gauges(case).at_risk.links_expire_at == anew.expires_at
    assert case.spent() == (0, 10)


def test_what_is_with_the_provider_or_unknown_or_in_dispute_is_told_apart(case):
    case.processing(1)
    case.sent(2)
    case.ledger.attempts.mark_unknown("a2", "no answer")

    at_risk = gauges(case).at_risk

    assert (at_risk.in_flight, at_risk.unknown, at_risk.unknown_credits) == (1, 1, 10)
    assert at_risk.uncollected == at_risk.disputed_credits == 0
    assert at_risk.links_expire_at is None


def test_counts_and_codes_are_those_of_reports(case):
    case.published(1)
    case.sent(2)
    case.ledger.attempts.mark_unknown("a2", "no answer")
    case.plan(3)

    found, queries = gauges(case), case.ledger.queries

    assert found.counts == queries.counts(case.run_id)
    assert found.codes == queries.codes(case.run_id)
    assert found.counts[State.UNKNOWN] == found.codes[Code.SUBMIT_UNANSWERED] == 1


def test_the_rest_takes_as_long_as_the_pace_so_far_says(case):
    case.published(1)
    assert left(gauges(case)) == 0
    case.plan(2, 3)
    case.clock.advance(seconds=50)

    found = gauges(case)

    assert found.credits_to_come == 20
    assert left(found) == pytest.approx(100)


def test_nobody_can_tell_how_long_it_takes_before_anything_is_done(case):
    case.plan(1)

    assert left(gauges(case)) is None


def test_the_present_pace_counts_more_than_that_of_hours_ago(case):
    """An hour for the first track, ten seconds each for the two after it."""
    case.processing(1)
    case.clock.advance(hours=1)
    case.ledger.attempts.record_ready("a1", case.job(1))
    case.clock.advance(minutes=10)
    for number in (2, 3):
        case.processing(number)
        case.clock.advance(seconds=10)
        case.ledger.attempts.record_ready(f"a{number}", case.job(number))
    case.plan(4, 5, 6)

    found = gauges(case)

    assert found.pace.tracks_a_minute == pytest.approx(6)
    assert left(found) == pytest.approx(30)
    case.clock.advance(minutes=4)
    assert gauges(case).pace.tracks_a_minute is None


def test_a_look_is_the_same_by_the_run_and_by_its_name(case):
    case.ready(1)
    case.plan(2)

    assert case.ledger.gauges.of_run(case.run_id) == gauges(case)


def test_a_run_is_leased_until_its_key_is_let_go_or_it_ends(case):
    case.plan(1)
    assert not gauges(case).is_leased
    fence = case.ledger.leases.acquire("key-1", "host:1", LEASE_SECONDS)
    assert gauges(case).is_leased
    case.ledger.runs.finish(case.run_id, 0, {"credits": {"drift": 7}})
    found = gauges(case)
    assert not found.is_leased
    assert found.drift == 7
    case.ledger.leases.release("key-1", fence)


def test_traffic_adds_up_over_keys_and_what_was_said_long_ago_is_not_of_this_minute(case):
    case.plan(1)
    case.ledger.traffic.record(case.run_id, "key-1", READING)
    case.ledger.traffic.record(case.run_id, "key-1", replace(READING, sent=100))
    case.ledger.traffic.record(case.run_id, "key-2", READING)
    assert gauges(case).traffic == TrafficReading(190, 4, 90, 120)
    assert gauges(case).traffic.utilization == 0.75
    case.clock.advance(seconds=61)
    assert gauges(case).traffic == TrafficReading(190, 4)
    assert gauges(case).traffic.utilization is None
