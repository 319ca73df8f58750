"""The dispatcher's request numbers over a small catalogue: figures of a simulation, the same each time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest
from support.simulation import Scenario, SimulationResult, VendorBehaviour, VirtualLoop, simulate
from support.simulation.scenario import DIALECTS
from support.simulation.vendor import API_URL, SimulatedVendor

TRACKS = 60
BOTH_BALANCES = 2 / TRACKS
CALLED = VendorBehaviour(has_webhooks=True)


@pytest.mark.long
@pytest.mark.parametrize(("is_upload", "most"), [(False, 2.0), (True, 3.0)])
def test_with_webhooks_a_track_takes_its_submit_and_its_detail(tmp_path, is_upload, most):
    result = simulate(Scenario(CALLED, TRACKS, is_upload=is_upload), tmp_path)

    assert (result.tracks, result.jobs, result.refused) == (TRACKS, TRACKS, 0)
    assert result.requests_per_track == pytest.approx(most + BOTH_BALANCES)


@pytest.mark.long
def test_without_webhooks_a_list_page_tells_of_many_jobs(tmp_path):
    result = simulate(Scenario(VendorBehaviour(), TRACKS), tmp_path)

    assert (result.tracks, result.jobs, result.refused) == (TRACKS, TRACKS, 0)
    assert result.requests_per_track <= 2.4


@pytest.mark.by_turns
@pytest.mark.parametrize(
    ("tracks", "is_of_before"),
    [
        pytest.param(200, True, marks=pytest.mark.long),
        pytest.param(300, True, marks=pytest.mark.long),
        pytest.param(300, False, marks=pytest.mark.long),
    ],
)
def test_a_stuck_job_costs_few_requests_and_no_pace(tmp_path, tracks, is_of_before):
    for folder in ("free", "stuck"):
        (tmp_path / folder).mkdir()
    stuck = Scenario(VendorBehaviour(stuck=1), tracks + 1)
    if is_of_before:
        stuck = Scenario(VendorBehaviour(), tracks, is_stuck_of_before=True)
    free = simulate(Scenario(VendorBehaviour(), tracks), tmp_path / "free")
    held_up = simulate(stuck, tmp_path / "stuck")

    assert held_up.tracks == free.tracks == tracks
    assert nearly_all(held_up) <= 1.03 * nearly_all(free)
    assert held_up.seconds <= free.seconds + 40  # the very last job may be read one late look later
    assert sum(map(len, held_up.granted)) <= sum(map(len, free.granted)) + 40


def nearly_all(result: SimulationResult) -> float:
    """Give when all but ten tracks were collected: the pace, without the end that the last job makes."""
    return sorted(result.collected_at)[-11]


@pytest.mark.long
def test_without_a_list_a_job_is_read_about_when_it_should_be_done(tmp_path):
    behaviour = VendorBehaviour("aistemsplitter", job_seconds=80.0)  # as its facts file expects
    result = simulate(Scenario(behaviour, TRACKS), tmp_path)

    assert (result.tracks, result.jobs, result.refused) == (TRACKS, TRACKS, 0)
    assert result.requests_per_track <= 2.8


@pytest.mark.long
def test_keys_share_one_queue_and_nothing_is_paid_twice(tmp_path):
    behaviour = replace(CALLED, job_seconds=20.0)
    result = simulate(Scenario(behaviour, TRACKS, keys=3, max_in_flight=10), tmp_path)

    assert result.tracks == result.jobs == TRACKS
    assert all(len(times) > 2 for times in result.granted)


@pytest.mark.long
def test_a_run_may_be_left_before_its_end(tmp_path):
    result = simulate(Scenario(CALLED, TRACKS, minutes=3.0), tmp_path)

    assert 0 < result.tracks < result.jobs <= TRACKS
    assert max(result.granted[0]) <= 181.0
    assert 0 < result.vendor_cpu_seconds < result.cpu_seconds
    assert 0 < result.collector_cpu_seconds < result.cpu_seconds


@pytest.mark.parametrize("dialect", ["stemsplit", "aistemsplitter"])
def test_a_request_too_many_is_refused(dialect):
    """Without this the zeros above would prove nothing."""
    loop = VirtualLoop()
    vendor = SimulatedVendor(VendorBehaviour(requests_per_minute=5), DIALECTS[dialect](), 0, lambda _: None)

    async def ask() -> list[int]:
        path = {"stemsplit": "/balance", "aistemsplitter": "/credits"}[dialect]
        async with httpx.AsyncClient(transport=vendor) as client:
            answers = await asyncio.gather(*(client.get(API_URL + path) for _ in range(7)))
        return sorted(answer.status_code for answer in answers)

    assert loop.run_until_complete(ask()) == [200] * 5 + [429] * 2
    assert (len(vendor.account.granted), vendor.account.refused) == (5, 2)
    loop.close()
