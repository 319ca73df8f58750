"""A vendor that dies and comes back, over real HTTP: few requests meanwhile, nothing lost, nothing sent twice."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from functools import partial

import pytest
from support.client_calls import (
    ANSWERS,
    BALANCE,
    BROKEN,
    END_SECONDS,
    JOB,
    QUICK,
    end_after,
    open_client,
    until,
)
from support.scripted_server import HANG_UP, serving

from stemline.client import RetryPolicy
from stemline.client.circuit import OPENS_AFTER
from stemline.errors import NoAnswer, ProviderDown

REFUSAL = (400, {}, b'{"error": {"message": "No."}}')


@pytest.fixture
def vendor():
    with serving() as served:
        served.answers = dict(ANSWERS)
        yield served


@pytest.fixture
def using(vendor):
    """Open a client of the vendor, which has answered it once."""
    return partial(open_client, vendor)


@pytest.mark.parametrize("trouble", [BROKEN, (502, {}, b"<html>"), (404, {}, b"<html>"), HANG_UP])
@pytest.mark.long
def test_everybody_waits_for_a_dead_vendor_and_is_served_when_it_is_back(vendor, using, trouble):
    async def go():
        async with using() as key:
            vendor.outage_answer = trouble
            first = await key.wait_until_open()
            under_way = len(vendor.seen)
            end_after(vendor, under_way + 6)
            waiting = [*(key.read() for _ in range(20)), *(key.submit() for _ in range(20))]
            assert await asyncio.gather(first, *waiting) == [77, *["j1"] * 40]
            assert not key.client.circuit.is_open
        return under_way

    assert asyncio.run(go()) == OPENS_AFTER
    assert vendor.paths().count("POST /jobs") == 20
    assert len({seen.body for seen in vendor.seen if seen.method == "POST"}) == 20
    assert "POST /jobs" not in vendor.paths()[: OPENS_AFTER + 6]


def test_a_vendor_that_nobody_can_reach_is_waited_for(vendor, using):
    async def go():
        async with using() as key:
            vendor.outage_answer = HANG_UP  # for the connections that are open
            vendor.close()
            first = await key.wait_until_open()
            waiting = [asyncio.create_task(key.submit()) for _ in range(10)]
            await until(lambda: key.client.circuit._failed_probes > 1)
            vendor.outage_answer = None
            vendor.open()
            assert await asyncio.gather(first, *waiting) == [77, *["j1"] * 10]

    asyncio.run(go())
    assert vendor.paths().count("POST /jobs") == 10


def test_a_paid_request_that_met_the_outage_is_not_sent_again(vendor, using):
    async def go():
        async with using() as key:
            vendor.outage_answer = BROKEN
            met = await asyncio.gather(*(key.submit() for _ in range(OPENS_AFTER)), return_exceptions=True)
            assert [type(error) for error in met] == [NoAnswer] * OPENS_AFTER
            assert key.client.circuit.is_open
            end_after(vendor, OPENS_AFTER + 2)
            assert await key.submit() == "j1"

    asyncio.run(go())
    assert vendor.paths().count("POST /jobs") == OPENS_AFTER + 1


def test_where_only_paid_requests_wait_the_balance_is_the_probe(vendor, using):
    async def go():
        async with using() as key:
            vendor.outage_answer = BROKEN
            await asyncio.gather(*(key.submit() for _ in range(OPENS_AFTER)), return_exceptions=True)
            end_after(vendor, OPENS_AFTER + 4)
            assert await asyncio.gather(*(key.submit() for _ in range(5))) == ["j1"] * 5

    asyncio.run(go())
    assert vendor.paths() == [*["POST /jobs"] * OPENS_AFTER, *["GET /balance"] * 5, *["POST /jobs"] * 5]


def test_nobody_probes_twice_before_everybody_has_who_pays_nothing(vendor, using):
    async def go():
        async with using() as key:
            vendor.outage_answer = BROKEN
            await asyncio.gather(*(key.submit() for _ in range(OPENS_AFTER)), return_exceptions=True)
            end_after(vendor, OPENS_AFTER + 4)
            await asyncio.gather(key.submit(), key.balance(), key.read("j2"), key.read("j3"))

    vendor.answers.update({"GET /jobs/j2": [JOB], "GET /jobs/j3": [JOB]})
    asyncio.run(go())
    probes = vendor.paths()[OPENS_AFTER:][:4]
    assert sorted(probes) == ["GET /balance", "GET /balance", "GET /jobs/j2", "GET /jobs/j3"]


def test_a_single_job_that_the_vendor_chokes_on_is_no_outage(vendor, using):
    vendor.answers["GET /jobs/j1"] = [BROKEN]

    async def go():
        async with using() as key:
            with pytest.raises(ProviderDown, match="GET /jobs/j1"):
                await key.read()
            assert not key.client.circuit.is_open
            assert key.client.circuit.outages == 0

    asyncio.run(go())
    assert "GET /balance" in vendor.paths()
    assert vendor.paths().count("GET /jobs/j1") <= 2 * QUICK.tries


@pytest.mark.long
@pytest.mark.parametrize(
    "told",
    [
        [BROKEN, BROKEN, REFUSAL, BROKEN, JOB],
        [*[REFUSAL] * OPENS_AFTER, JOB],
        [*[(429, {"Retry-After": "1"}, b"{}")] * OPENS_AFTER, JOB],
    ],
)
def test_a_refusal_is_no_sign_of_death(vendor, using, caplog, told):
    vendor.answers["GET /jobs/j1"] = told

    async def go():
        async with using(RetryPolicy(9, 0.01, 0.02)) as key:
            return await key.read()

    assert asyncio.run(go()) == "j1"
    assert caplog.messages == []


def test_what_failed_before_an_outage_is_forgiven_after_it(vendor, using):
    vendor.answers["GET /jobs/j1"] = [*[BROKEN] * (OPENS_AFTER + 2), JOB]

    async def go():
        async with using() as key:
            vendor.answers["GET /balance"] = [BROKEN, BALANCE]
            return await key.read()

    assert asyncio.run(go()) == "j1"


def test_a_probe_whose_caller_gives_up_is_followed_by_another(vendor, using):
    held, release = threading.Event(), threading.Event()

    def hold(seen):
        if seen.path.startswith("/jobs/j1"):
            held.set()
            release.wait(END_SECONDS)
        else:
            vendor.outage_answer = None

    async def go():
        async with using() as key:
            vendor.outage_answer = BROKEN
            first = await key.wait_until_open()
            vendor.on_request = hold
            probing = asyncio.create_task(key.read())
            await asyncio.to_thread(held.wait, END_SECONDS)
            probing.cancel()
            assert await first == 77
            release.set()

    asyncio.run(go())


def test_the_waiting_wake_as_soon_as_anybody_is_answered(vendor, using):
    """The next probe would leave in an hour, and a slow request that left long ago is answered before."""
    held, release = threading.Event(), threading.Event()

    def hold(seen):
        if seen.path.startswith("/jobs/j1"):
            held.set()
            release.wait(END_SECONDS)

    async def go():
        async with using(RetryPolicy(3, 0.01, 0.02, 9_999, 7_200, 7_200)) as key:
            vendor.on_request = hold
            slow = asyncio.create_task(key.read())
            await asyncio.to_thread(held.wait, END_SECONDS)
            vendor.outage_answer = BROKEN
            first = await key.wait_until_open()
            assert key.client.circuit.wait(asyncio.get_running_loop().time()) > 3_000
            vendor.outage_answer = None
            release.set()
            assert await asyncio.gather(slow, first) == ["j1", 77]

    asyncio.run(go())


def test_it_is_said_once_that_the_vendor_is_silent_and_once_that_it_is_back(vendor, using, caplog):
    caplog.set_level(logging.INFO, "stemline")

    async def go():
        async with using() as key:
            assert key.client.circuit.failing_since is None
            vendor.outage_answer = BROKEN
            began = asyncio.get_running_loop().time()
            first = await key.wait_until_open()
            assert began <= key.client.circuit.failing_since <= asyncio.get_running_loop().time()
            end_after(vendor, OPENS_AFTER + 6)
            await asyncio.gather(first, *(key.read() for _ in range(10)))

    asyncio.run(go())
    silent, back = [record.getMessage() for record in caplog.records if record.name.startswith("stemline")]
    assert re.fullmatch(
        r"The provider is out of reach since \d\d:\d\d \(StemSplit answered .* with status 500: down\); "
        r"asking again in 1 s\. Nothing is lost\.",
        silent,
    )
    assert re.fullmatch(r"The provider answers again, after \d+ s\.", back)
