"""A vendor that stays dead, over real HTTP: it is given up, everybody is told, and nothing is paid."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from support.client_calls import ANSWERS, BROKEN, open_client
from support.scripted_server import HANG_UP, serving

from stemline.client import RetryPolicy
from stemline.client.circuit import OPENS_AFTER
from stemline.errors import NoAnswer, ProviderGone


@pytest.fixture
def vendor():
    with serving() as served:
        served.answers = dict(ANSWERS)
        yield served


@pytest.fixture
def using(vendor):
    """Open a client of the vendor, which has answered it once."""
    return partial(open_client, vendor)


def test_a_vendor_that_stays_dead_is_given_up_and_everybody_told(vendor, using):
    patience = RetryPolicy(3, 0.01, 0.02, 0.5, 0.02, 0.1)

    async def go():
        async with using(patience) as key:
            vendor.outage_answer = BROKEN
            first = await key.wait_until_open()
            waiting = [*(key.read() for _ in range(10)), *(key.submit() for _ in range(10))]
            told = await asyncio.gather(first, *waiting, return_exceptions=True)
            assert [type(error) for error in told] == [ProviderGone] * 21
            assert all("status 500" in str(error) and "Run again later" in str(error) for error in told)
            sent = len(vendor.seen)
            with pytest.raises(ProviderGone):
                await key.balance()
            assert len(vendor.seen) == sent

    asyncio.run(go())
    assert "POST /jobs" not in vendor.paths()
    assert len(vendor.seen) <= OPENS_AFTER + 3 + 0.5 / 0.05


def test_whoever_leaves_need_not_wait_for_a_dead_vendor(vendor, using):
    async def go():
        async with using(RetryPolicy(3, 0.01, 0.02, 9_999, 7_200, 7_200)) as key:
            key.client.give_up()
            assert await key.balance() == 77
            vendor.outage_answer = BROKEN
            told = await asyncio.gather(
                key.balance(), *(key.submit() for _ in range(5)), return_exceptions=True
            )
            assert {type(error) for error in told} <= {ProviderGone, NoAnswer}
            assert isinstance(told[0], ProviderGone)

    asyncio.run(go())


def test_those_who_wait_are_told_at_once_when_the_vendor_is_given_up(vendor, using):
    async def go():
        async with using(RetryPolicy(3, 0.01, 0.02, 9_999, 7_200, 7_200)) as key:
            vendor.outage_answer = BROKEN
            waiting = [await key.wait_until_open(), *(asyncio.create_task(key.submit()) for _ in range(5))]
            await asyncio.sleep(0)
            key.client.give_up()
            told = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(error) for error in told] == [ProviderGone] * 6

    asyncio.run(go())
    assert "POST /jobs" not in vendor.paths()


@pytest.mark.parametrize("trouble", [BROKEN, (200, {}, b"<html>"), HANG_UP])
def test_a_vendor_that_never_answered_anybody_is_given_up_soon(vendor, using, trouble):
    vendor.outage_answer = trouble

    async def go():
        async with using(per_minute=300, is_known=False) as key:
            told = await asyncio.gather(*(key.read() for _ in range(40)), return_exceptions=True)
        assert [type(error) for error in told] == [ProviderGone] * 40
        assert all("Check provider.base_url" in str(error) for error in told)

    asyncio.run(go())
    assert len(vendor.seen) < 40  # not even each of them asked once
