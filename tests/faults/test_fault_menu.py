"""Every fault of the vendor's menu in a whole run, then no fault and the run again: alone, and mixed."""

from __future__ import annotations

import random
import signal

import pytest
from fault_cases import FAULT_CASES, TRACKS, FaultCase
from invariants import assert_invariants, examine, jobs_by_track
from schedule import draw_faults

from stemline_local.faults import MENU

pytestmark = pytest.mark.by_turns

MIXES = [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 6))]
IN_BOTH_DIALECTS = {"timeout_after_accept"}
"""What `make test` tries in the second dialect as well."""


def every_case():
    """Give each case in each of its dialects, as long tests what is left to `make test-long`."""
    for case in FAULT_CASES:
        for dialect in case.dialects:
            is_short = not case.is_long and (dialect == "stemsplit" or case.name in IN_BOTH_DIALECTS)
            marks = () if is_short else pytest.mark.long
            yield pytest.param(case, dialect, marks=marks, id=f"{case.name}-{dialect}")


def test_every_fault_of_the_menu_has_its_ending():
    assert {fault["fault"] for case in FAULT_CASES for fault in case.faults} | {"job_stuck"} == set(MENU)


@pytest.fixture
def webhooks(free_port):
    return {"public_url": f"http://127.0.0.1:{free_port}", "listen": f"127.0.0.1:{free_port}"}


@pytest.mark.parametrize(("case", "dialect"), every_case())
def test_alone(new_scenario, vendor, webhooks, case: FaultCase, dialect: str):
    scenario = new_scenario(TRACKS, dialect=dialect, **({"webhooks": webhooks} if case.has_webhooks else {}))
    vendor.set_faults(list(case.faults))
    under = scenario.run()
    struck = vendor.clear_faults()
    assert under.code in ({0, 3} if case.may_wait else {case.code}), under.out + under.err
    assert all(struck.values()) or not case.is_certain, struck
    afterwards = scenario.run()
    assert afterwards.code == (3 if case.ends else 0), afterwards.out + afterwards.err
    assert_invariants(scenario, **case.ends)
    failed = [job for made in jobs_by_track(scenario).values() for job in made if job["status"] == "FAILED"]
    assert len(failed) == (case.failed_jobs if dialect == "stemsplit" else 0)


@pytest.mark.long
def test_what_failed_after_charging_is_booked_by_the_balance(new_scenario, vendor):
    scenario = new_scenario(TRACKS)
    vendor.set_faults([{"fault": "failed_after_charging", "nth": 1}])
    assert scenario.run().code == 0
    price = sum(job["creditsCharged"] for made in jobs_by_track(scenario).values() for job in made)
    assert scenario.project.charges() == scenario.charged == price
    assert scenario.project.open_reservations() == 0


@pytest.mark.long
def test_a_stuck_job_keeps_nobody_else_and_is_collected_when_it_moves(new_scenario, vendor):
    scenario = new_scenario(TRACKS)
    vendor.set_faults([{"fault": "job_stuck", "nth": 2}])
    running = scenario.start()
    assert running.until(lambda: scenario.project.has_happened("publish", TRACKS - 1))
    running.send(signal.SIGINT)
    assert running.wait().code == 130
    vendor.restart()
    assert scenario.run().code == 0
    assert_invariants(scenario)


@pytest.mark.parametrize("seed", MIXES)
@pytest.mark.parametrize("dialect", ["stemsplit", "aistemsplitter"])
@pytest.mark.long
def test_mixed(new_scenario, vendor, seed, dialect):
    chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
    scenario = new_scenario(TRACKS, dialect=dialect)
    vendor.set_faults(draw_faults(chance, chance.randint(3, 5)))
    under = scenario.run()
    vendor.clear_faults()
    assert under.code in {0, 3, 5}, under.out + under.err
    codes = [scenario.run().code for _ in range(2)]
    assert codes[-1] in {0, 3}, codes
    findings = examine(scenario)
    assert findings.is_clean, str(findings)
