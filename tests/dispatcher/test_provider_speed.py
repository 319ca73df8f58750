"""What the dispatcher expects of a provider it has worked with for a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.dispatcher.provider_speed import ProviderSpeed
from stemline.records import Job, Phase

START = datetime(2026, 3, 1, tzinfo=UTC)


def job(took, duration=100.0):
    completed = None if took is None else START + timedelta(seconds=took)
    return Job("job", Phase.DONE, duration_seconds=duration, created_at=START, completed_at=completed)


def test_the_facts_file_is_believed_at_first():
    assert ProviderSpeed(0.8, 10.0).expect(180.0) == pytest.approx(154.0)


@pytest.mark.parametrize("rate", [0.05, 0.5, 3.0])
def test_finished_jobs_are_believed_after_a_while(rate):
    speed = ProviderSpeed(0.8, 10.0)
    for _ in range(40):
        speed.learn(job(10.0 + rate * 100))
    assert speed.expect(200.0) == pytest.approx(10.0 + rate * 200, rel=0.02)


def test_one_strange_job_moves_little():
    speed = ProviderSpeed(1.0, 0.0)
    speed.learn(job(1_000.0))
    assert speed.expect(100.0) < 300


def test_jobs_that_outlasted_an_outage_do_not_put_off_the_polls_of_the_next_ones():
    speed = ProviderSpeed(0.1, 2.0)
    for _ in range(2):
        speed.learn(job(6 * 3_600.0))
    assert speed.expect(100.0) < 60


@pytest.mark.parametrize("strange", [job(None), job(5.0, duration=None), job(5.0, duration=0.0)])
def test_a_job_without_times_teaches_nothing(strange):
    speed = ProviderSpeed(1.0, 2.0)
    speed.learn(strange)
    assert speed.expect(10.0) == 12.0


@given(st.lists(st.floats(-100, 1e6), max_size=20), st.floats(0, 1e5))
def test_an_expectation_is_never_below_the_latency(times, duration):
    speed = ProviderSpeed(0.1, 1.0)
    for took in times:
        speed.learn(job(took))
    assert speed.expect(duration) >= 1.0
