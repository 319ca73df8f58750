"""Random schedules over the real dispatchers: a vendor and a network that go wrong, moving limits, kill upon kill."""

from __future__ import annotations

import math
from collections import Counter
from itertools import count
from operator import attrgetter, itemgetter

import pytest
from dispatch_schedule import KIND, ProcessPlan, Schedule, ScheduleRun, key_id_of
from faulty_behaviour import FaultSpan, FaultyBehaviour, JobFate, RequestFault
from faulty_vendor import WINDOW_SECONDS
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from support.random_examples import examples

from stemline.budget import Limits
from stemline.ledger import open_ledger
from stemline.ledger.tables import entries
from stemline.records import State

HARMLESS = (
    RequestFault.LOST_AFTER,
    RequestFault.LOST_BEFORE,
    RequestFault.GARBLED,
    RequestFault.ERROR_AFTER,
    RequestFault.THROTTLED,
)
KEYS = st.sampled_from([(0,), (0, 1), (1,)])
MOMENTS = st.sampled_from([0.0, 2.0, 10.0, 60.0, 200.0, 700.0])
REQUEST_FAULTS = st.sampled_from(
    [*RequestFault, RequestFault.THROTTLED, RequestFault.THROTTLED_BY_DATE, RequestFault.LOST_AFTER]
)
FAULTS = st.builds(FaultSpan, st.integers(0, 40), st.sampled_from([1, 2, 4, 40]), REQUEST_FAULTS)
FATES = st.lists(st.sampled_from([*JobFate, JobFate.FAILS]), max_size=2).map(tuple)
RATES = st.lists(st.tuples(MOMENTS, st.sampled_from([4, 12, 60])), max_size=2).map(sorted).map(tuple)
BEHAVIOURS = st.builds(
    FaultyBehaviour,
    faults=st.lists(FAULTS, min_size=1, max_size=8).map(tuple),
    fates=st.lists(FATES, max_size=9).map(tuple),
    rates=RATES,
    retry_after=st.sampled_from([7, 1, 45, 200]),
    takes_when_made=st.booleans(),
    refunds=st.booleans(),
    remembers_seconds=st.sampled_from([math.inf, math.inf, 600.0]),
    seed=st.integers(0, 1_000),
)
PROCESSES = st.builds(
    ProcessPlan,
    keys=KEYS,
    transactions=st.none() | st.integers(3, 70),
    seconds=st.sampled_from([3_600.0, 3.0, 10.0, 100.0, 400.0]),
    pause=st.sampled_from([0.0, 1.0, 30.0, 100.0]),
    is_spared=st.sampled_from([False, False, True]),
)
LIMITS = st.builds(Limits, run=st.none() | st.integers(10, 60), day=st.none() | st.integers(10, 60))
BUDGETS = st.lists(st.tuples(MOMENTS, LIMITS), min_size=1, max_size=3).map(
    lambda steps: tuple(sorted(steps, key=itemgetter(0)))
)
SCHEDULES = st.builds(
    Schedule,
    tracks=st.integers(0, 8).map(lambda missing: 9 - missing),
    behaviour=BEHAVIOURS,
    processes=st.lists(PROCESSES, min_size=1, max_size=4).map(tuple),
    last_keys=KEYS,
    budgets=BUDGETS,
    on_limit=st.sampled_from(["stop", "wait"]),
    stale=st.lists(st.integers(0, 2), max_size=9).map(tuple),
    max_in_flight=st.integers(1, 6),
)
HARMLESS_FAULTS = st.builds(
    FaultSpan, st.integers(1, 10).map(lambda number: 3 * number), st.integers(1, 2), st.sampled_from(HARMLESS)
)
"""Never three in a row: a vendor that is dead when the run ends is not asked for its last balance again."""
UNBROKEN = st.builds(
    Schedule,
    tracks=st.integers(1, 6),
    behaviour=st.builds(
        FaultyBehaviour,
        faults=st.lists(HARMLESS_FAULTS, max_size=4, unique_by=attrgetter("first")).map(tuple),
        fates=st.lists(
            st.sampled_from([(JobFate.FAILS,), (JobFate.HIDDEN,), (JobFate.FAILS, JobFate.FAILS)]), max_size=6
        ).map(tuple),
        takes_when_made=st.booleans(),
        refunds=st.booleans(),
        seed=st.integers(0, 1_000),
    ),
    processes=st.just((ProcessPlan(keys=(0,)),)),
)
"""One run with one key that nothing stops."""


LOWERED = Schedule(9, processes=(ProcessPlan(),), budgets=((0.0, Limits(run=50)), (2.0, Limits(run=20))))
REPLACED = Schedule(3, processes=(ProcessPlan(keys=(0,), seconds=10.0),), last_keys=(1,))
TAKEN_OVER = Schedule(
    9,
    processes=(ProcessPlan((0,), seconds=3.0, is_spared=True), ProcessPlan((0,), seconds=100.0)),
    max_in_flight=2,
)
FREED_BY_THE_DEAD = Schedule(
    9,
    behaviour=FaultyBehaviour(
        faults=(
            FaultSpan(0, 2, RequestFault.THROTTLED_BY_DATE),
            FaultSpan(6, 40, RequestFault.REFUSED),
        ),
        seed=0,
    ),
    processes=(ProcessPlan((1,), seconds=10.0, pause=30.0, is_spared=True), ProcessPlan((1,))),
    last_keys=(0,),
    max_in_flight=5,
)


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory):
    """The URLs of new ledgers, one after another."""
    folder = tmp_path_factory.mktemp("ledgers")
    return (f"sqlite:///{folder}/{number}.db" for number in count())


@example(schedule=LOWERED)
@example(schedule=REPLACED)
@example(schedule=TAKEN_OVER)
@example(schedule=FREED_BY_THE_DEAD)
@settings(max_examples=examples(6), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schedule=SCHEDULES)
def test_every_schedule_ends_with_all_tracks_paid_once(ledgers, schedule):
    run = ScheduleRun(schedule, next(ledgers))
    run.run()
    with open_ledger(run.url, clock=run.clock) as ledger:
        no_track_is_paid_twice(run)
        only_what_needs_a_missing_key_is_left(run)
        every_row_is_in_one_final_state(run, ledger)
        the_ledger_agrees_with_the_vendor(run, ledger)
        no_limit_was_ever_passed(run, ledger)
    the_pace_was_kept(run)


@settings(max_examples=examples(3), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schedule=UNBROKEN)
@pytest.mark.long
def test_a_run_of_its_own_ends_with_the_vendors_total(ledgers, schedule):
    """The balance tells what its failed jobs have cost; what it leaves reserved are submits that nothing proves."""
    run = ScheduleRun(schedule, next(ledgers))
    run.run()
    first = run.ended[0]
    assert first.is_clean
    assert first.reconciliation.drift == 0
    with open_ledger(run.url, clock=run.clock) as ledger:
        spent = ledger.credits.spending(first.run_id).run
        left = sum(attempt.credits_reserved for attempt in unproven(run, ledger).values())
    made = [job for job in run.vendor.jobs.values() if job.made_at <= first.at]  # not by those that follow it
    assert (spent.reserved, spent.charged) == (left, sum(map(run.vendor.price, made)))


def no_track_is_paid_twice(run):
    for number in range(run.schedule.tracks):
        *before, _last = [job.fate for job in run.vendor.jobs_of(number)] or [None]
        assert set(before) <= {JobFate.FAILS}


def unproven(run, ledger):
    """Give the unknown submits; nothing that the list shows at the end is older than any of them."""
    found = ledger.recovery.unknown(KIND)
    assert not any(map(run.lists_older, found))
    return {attempt.token: attempt for attempt in found}


def only_what_needs_a_missing_key_is_left(run):
    """Jobs are collected whichever key made them; a submit that got no answer is asked about with its own key."""
    missing = {key_id_of(number) for number in {0, 1} - set(run.schedule.last_keys)}
    assert all(
        (each.key in missing or each.is_unproven) and each.is_sent and not each.is_job_known
        for each in run.left
    )


def every_row_is_in_one_final_state(run, ledger):
    run_id, tracks = run.ended[-1].run_id, run.schedule.tracks
    assert sum(ledger.queries.counts(run_id).values()) == tracks
    found = ledger.tracks.status(run_id, [f"t{number}" for number in range(tracks)])
    for number in range(tracks):
        status, jobs = found[f"t{number}"], run.vendor.jobs_of(number)
        if status.state is State.FAILED:
            assert status.failures >= 3 or not status.is_retryable
            assert {job.fate for job in jobs} <= {JobFate.FAILS}
        elif status.state is State.EXPIRED:
            assert jobs[-1].fate is JobFate.EXPIRES
        elif status.state is State.UNKNOWN:
            assert f"t{number}" in {each.track.track_id for each in unproven(run, ledger).values()}
        else:
            assert status.state is State.COLLECTED


def the_ledger_agrees_with_the_vendor(run, ledger):
    """Every job is known, at the vendor's price; of a failed one it may stay open or unclear what it cost."""
    assert not ledger.recovery.ready(KIND)
    charges, disputed = entries_by_token(ledger)
    unknown = unproven(run, ledger)
    for job in run.vendor.jobs.values():
        attempt = ledger.attempts.find_by_job(KIND, job.job_id)
        if attempt is None:
            assert any(token in job.name for token in unknown)
            continue
        if job.fate is not JobFate.FAILS:
            assert charges.pop(attempt.token) == run.vendor.price(job)
        elif attempt.token not in disputed:
            assert charges.pop(attempt.token, 0) in {0, job.seconds}
    assert not charges
    open_credits = ledger.credits.spending(run.ended[-1].run_id).not_in_balance
    assert open_credits == sum(disputed.values()) + sum(each.credits_reserved for each in unknown.values())


def entries_by_token(ledger):
    with ledger.database.read() as connection:
        charges = connection.execute(
            text("SELECT token, amount FROM credit_entries WHERE kind = 'charge'")
        ).all()
        disputed = connection.execute(
            text("SELECT token, credits_reserved FROM attempts WHERE is_disputed")
        ).all()
    return dict(map(tuple, charges)), dict(map(tuple, disputed))


def no_limit_was_ever_passed(run, ledger):
    """Read the credit entries again: whatever was let in fitted the limits in force at that time."""
    with ledger.database.read() as connection:
        query = select(entries.c["at", "kind", "amount", "run_id", "day"]).order_by(entries.c.entry_id)
        booked = connection.execute(query).all()
    sums = Counter()
    for at, kind, amount, run_id, day in booked:
        sums[run_id] += amount
        sums[day] += amount
        limits = run.limits_at(at)
        if kind == "reserve":
            assert limits.run is None or sums[run_id] <= limits.run
            assert limits.day is None or sums[day] <= limits.day


def the_pace_was_kept(run):
    for ended in run.ended:
        for connection in ended.connections:
            assert not connection.too_early
            assert not connection.stale
            times = [time for time, _ in connection.left]
            for first, last in windows_of(times, WINDOW_SECONDS):
                granted = max(limit for _, limit in connection.left[first : last + 1])
                assert last - first + 1 <= granted


def windows_of(times: list[float], seconds: float) -> list[tuple[int, int]]:
    """Give for each time, in order, the places of the first and last inside the window that ends with it."""
    first, found = 0, []
    for last, time in enumerate(times):
        while times[first] <= time - seconds:
            first += 1
        found.append((first, last))
    return found
