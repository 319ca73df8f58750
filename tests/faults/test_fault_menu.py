"""Every fault of the vendor's menu in a whole run, then no fault and the run again: alone, and mixed."""

from __future__ import annotations

import random
import signal

import pytest
from endings import ENDINGS, TRACKS, Ending
from schedule import draw_faults
from verdict import assert_invariants, jobs_by_track, judge

from stemline_local.faults import MENU

CASES = [(ending, dialect) for ending in ENDINGS for dialect in ending.dialects]
MIXES = range(1, 6)


def test_every_fault_of_the_menu_has_its_ending():
    assert {fault["fault"] for ending in ENDINGS for fault in ending.faults} | {"job_stuck"} == set(MENU)


@pytest.fixture
def hooks(free_port):
    return {"public_url": f"http://127.0.0.1:{free_port}", "listen": f"127.0.0.1:{free_port}"}


@pytest.mark.parametrize(
    ("ending", "dialect"), CASES, ids=[f"{ending.name}-{dialect}" for ending, dialect in CASES]
)
def test_alone(set_stage, vendor, hooks, ending: Ending, dialect: str):
    stage = set_stage(TRACKS, dialect=dialect, **({"webhooks": hooks} if ending.is_heard else {}))
    vendor.set_faults(list(ending.faults))
    under = stage.run()
    struck = vendor.clear_faults()
    assert under.code in ({0, 3} if ending.may_wait else {ending.code}), under.out + under.err
    assert all(struck.values()), struck
    afterwards = stage.run()
    assert afterwards.code == (3 if ending.ends else 0), afterwards.out + afterwards.err
    assert_invariants(stage, **ending.ends)
    failed = [job for made in jobs_by_track(stage).values() for job in made if job["status"] == "FAILED"]
    assert len(failed) == (ending.failed_jobs if dialect == "stemsplit" else 0)


def test_what_failed_after_charging_is_booked_by_the_balance(set_stage, vendor):
    stage = set_stage(TRACKS)
    vendor.set_faults([{"fault": "failed_after_charging", "nth": 1}])
    assert stage.run().code == 0
    price = sum(job["creditsCharged"] for made in jobs_by_track(stage).values() for job in made)
    assert stage.bench.charges() == stage.charged == price
    assert stage.bench.open_reservations() == 0


def test_a_stuck_job_keeps_nobody_else_and_is_collected_when_it_moves(set_stage, vendor):
    stage = set_stage(TRACKS)
    vendor.set_faults([{"fault": "job_stuck", "nth": 2}])
    running = stage.start()
    assert running.until(lambda: stage.bench.has_happened("publish", TRACKS - 1))
    running.send(signal.SIGINT)
    assert running.wait().code == 130
    vendor.restart()
    assert stage.run().code == 0
    assert_invariants(stage)


@pytest.mark.parametrize("seed", MIXES)
@pytest.mark.parametrize("dialect", ["stemsplit", "aistemsplitter"])
def test_mixed(set_stage, vendor, seed, dialect):
    chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
    stage = set_stage(TRACKS, dialect=dialect)
    vendor.set_faults(draw_faults(chance, chance.randint(3, 5)))
    under = stage.run()
    vendor.clear_faults()
    assert under.code in {0, 3, 5}, under.out + under.err
    codes = [stage.run().code for _ in range(2)]
    assert codes[-1] in {0, 3}, codes
    verdict = judge(stage)
    assert verdict.is_clean, str(verdict)
