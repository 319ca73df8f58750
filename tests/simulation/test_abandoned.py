"""A dispatcher whose collector has left lets its key go at once, however many reads wait for the key's pace."""

from __future__ import annotations

import asyncio

import pytest
from support.simulation import Scenario, VendorBehaviour, VirtualLoop
from support.simulation.scenario import Simulation
from support.simulation.vendor import instant

from stemline.ledger import open_ledger

TRACKS, MANY_READS = 40, 10
SLOW = VendorBehaviour("aistemsplitter", job_seconds=80.0, spread=0.0, requests_per_minute=20)
"""A read each three seconds at most."""


@pytest.mark.long
def test_reads_that_wait_for_their_turn_are_left_to_the_next_run(tmp_path):
    loop = VirtualLoop()

    async def abandon(simulation: Simulation) -> float:
        running = asyncio.create_task(simulation.run())
        await asyncio.sleep(1.0)
        (session,) = simulation.group.sessions
        while session.reading < MANY_READS:  # noqa: ASYNC110 - it is the dispatcher's own count
            await asyncio.sleep(0.5)
        began = loop.time()
        simulation.group.abandon()
        await running
        return loop.time() - began

    with open_ledger(f"sqlite:///{tmp_path / 'scene.db'}", clock=lambda: instant(loop.time())) as ledger:
        simulation = Simulation(Scenario(SLOW, TRACKS), ledger, tmp_path)
        assert loop.run_until_complete(abandon(simulation)) < 3.0
        left = ledger.recovery.in_flight("aistemsplitter", "key-id-0")
        assert len(left) >= MANY_READS
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
