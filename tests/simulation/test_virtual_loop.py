"""The loop whose clock jumps: timers in their order, other threads waited for, and no waiting in vain."""

from __future__ import annotations

import asyncio
import time

import pytest
from support.simulation import VirtualLoop, virtual_loop

DAY_SECONDS = 86_400.0


@pytest.fixture
def virtual():
    virtual = VirtualLoop()
    yield virtual
    virtual.run_until_complete(virtual.shutdown_default_executor())
    virtual.close()


def test_timers_go_off_in_their_order_and_at_their_time(virtual):
    seen = []

    async def wait(seconds):
        await asyncio.sleep(seconds)
        seen.append((seconds, virtual.time()))

    async def simulate():
        await asyncio.gather(*(wait(seconds) for seconds in (DAY_SECONDS, 3.0, 0.5, 60.0)))

    virtual.run_until_complete(simulate())
    assert seen == [(seconds, pytest.approx(seconds)) for seconds in (0.5, 3.0, 60.0, DAY_SECONDS)]


def test_the_clock_stands_still_while_another_thread_is_busy(virtual):
    async def simulate():
        timer = asyncio.create_task(asyncio.sleep(0.01))
        answer = await asyncio.to_thread(lambda: time.sleep(0.05) or "read")
        assert (answer, timer.done(), virtual.time()) == ("read", False, 0.0)
        await timer

    virtual.run_until_complete(simulate())
    assert virtual.time() == pytest.approx(0.01)


def test_a_timeout_ends_what_takes_too_long(virtual):
    async def simulate():
        async with asyncio.timeout(10):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        virtual.run_until_complete(simulate())
    assert virtual.time() == pytest.approx(10)


def test_waiting_for_what_nobody_will_do_is_an_error(virtual, monkeypatch):
    monkeypatch.setattr(virtual_loop, "STUCK_SECONDS", 0.01)

    with pytest.raises(RuntimeError, match="stuck"):
        virtual.run_until_complete(asyncio.Event().wait())
    monkeypatch.undo()
