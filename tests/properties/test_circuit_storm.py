"""The circuit against a simulated vendor that dies and comes back: few probes meanwhile, and no storm after."""

from __future__ import annotations

import asyncio
import math
import random
import selectors
from bisect import bisect_left
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import count

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline.client import Access, Client, Lane, Pacer, RetryPolicy
from stemline.clock import loop_time
from stemline.errors import NoAnswer, StemlineError
from stemline.providers import load_provider
from stemline.records import Attempt, Recipe, Track
from stemline.settings import load_facts

PROVIDER = load_provider(load_facts("stemsplit"))
POLICY = RetryPolicy()
LATENCY_SECONDS = 0.9
UNIX = 1_800_000_000
ANSWERS = {"/balance": b'{"balanceSeconds": 77}', "/jobs": b'{"id": "j1", "creditsRequired": 10}'}


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer when nothing is ready."""

    def __init__(self):
        self.now = 0.0
        super().__init__(JumpingSelector(self))

    def time(self):
        return self.now


class JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self.loop = loop

    def select(self, timeout=None):
        assert timeout is not None, "everybody waits and no timer runs"
        self.loop.now += max(0.0, timeout)
        return super().select(0)


@dataclass(frozen=True)
class Outage:
    begin: float
    seconds: float
    trouble: str
    """`refused` connections, `html` of a proxy, `500`, or a connection that breaks `off`."""


@dataclass
class SimulatedNetwork(httpx.AsyncBaseTransport):
    """A network with a vendor behind it that is dead at times, and what was sent."""

    outages: list[Outage]
    per_minute: int
    seed: int
    sent: list[float] = field(default_factory=list)
    paid: list[bytes] = field(default_factory=list)
    """The bodies of the paid requests that left over a connection."""
    met: set[Outage] = field(default_factory=set)
    """The outages that a request came into: nobody can tell of the rest."""

    def __post_init__(self):
        self._random = random.Random(self.seed)  # noqa: S311 - a simulation

    async def handle_async_request(self, request):
        self.sent.append(loop_time())
        await asyncio.sleep(self._random.uniform(0, LATENCY_SECONDS / 2))
        now = loop_time()
        outages = [each for each in self.outages if each.begin <= now < each.begin + each.seconds]
        self.met.update(outages)
        trouble = [each.trouble for each in outages]
        if trouble != ["refused"] and request.method == "POST":
            self.paid.append(request.content)
        await asyncio.sleep(self._random.uniform(0, LATENCY_SECONDS / 2))
        return self._answer(request, *trouble)

    def _answer(self, request, trouble=None):
        if trouble == "refused":
            raise httpx.ConnectError("refused", request=request)
        if trouble == "off":
            raise httpx.ReadError("broke off", request=request)
        if trouble is not None:
            return httpx.Response(502, content=b"<html>" if trouble == "html" else b'{"error": {}}')
        content = ANSWERS.get(request.url.path, b'{"id": "j1"}')
        return httpx.Response(200, headers=self._quota(), content=content)

    def _quota(self) -> dict[str, str]:
        """Give what lets the pacer know that it is alone on the key, and may send in bursts."""
        begin = loop_time() // 60 * 60
        return {
            "x-ratelimit-limit": str(self.per_minute),
            "x-ratelimit-remaining": str(max(0, self.per_minute - self.between(begin, math.inf))),
            "x-ratelimit-reset": str(UNIX + begin + 60),
            "date": formatdate(UNIX + loop_time(), usegmt=True),
        }

    def between(self, begin: float, end: float) -> int:
        return bisect_left(self.sent, end) - bisect_left(self.sent, begin)


@dataclass
class Callers:
    """Callers that ask one thing after the other: some read, some pay."""

    readers: int
    payers: int
    seconds: float
    results: list = field(default_factory=list)
    errors: list[StemlineError] = field(default_factory=list)
    _tokens: count = field(default_factory=count)

    async def call(self, client: Client) -> None:
        await client.run(PROVIDER.read_balance(), Lane.POLL)
        async with asyncio.TaskGroup() as group:
            for number in range(self.readers):
                group.create_task(self._call_repeatedly(client, self._read, Lane(number % 3)))
            for _ in range(self.payers):
                group.create_task(self._call_repeatedly(client, self._pay, Lane.SUBMIT))

    async def _call_repeatedly(self, client, steps, lane):
        while loop_time() < self.seconds:
            try:
                self.results.append(await client.run(steps(), lane))
            except StemlineError as error:
                self.errors.append(error)

    def _read(self):
        return PROVIDER.read_job("j1")

    def _pay(self):
        track = Track("t1", "https://example.com/a.mp3", 1, duration_seconds=10.0)
        token = f"sl{next(self._tokens)}"
        return PROVIDER.submit(Attempt(token, track, Recipe("four", "best", "flac"), "stemsplit", 1, 10))


def run_callers(network: SimulatedNetwork, callers: Callers) -> Client:
    """Have the callers call until their time is up; give the client they used."""

    async def go() -> Client:
        access = Access("http://vendor.test", "sk_live_simulated", {})
        async with Client(PROVIDER, access, Pacer(network.per_minute), POLICY, network) as client:
            await callers.call(client)
            return client

    random.seed(network.seed)  # else every example draws the same pauses
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(go())


def most_probes(seconds: float) -> float:
    """Give how many probes an outage may take: pauses double from a second or two to half a minute or a whole one."""
    return math.log2(seconds + 2) + seconds / (POLICY.longest_probe_seconds / 2) + 1


def most_before(per_minute: int) -> float:
    """Give how many requests leave before three failures came back: a burst, and the flow of a moment."""
    return per_minute / 12 + 2 * LATENCY_SECONDS * per_minute / 60 + 3


outages = st.builds(
    Outage,
    begin=st.floats(5, 60),
    seconds=st.floats(0.1, 800),
    trouble=st.sampled_from(["refused", "html", "500", "off"]),
)
rates = st.sampled_from([6, 60, 600])


@settings(max_examples=examples(20), deadline=None)
@given(
    outage=outages,
    readers=st.integers(1, 60),
    payers=st.integers(0, 20),
    per_minute=rates,
    seed=st.integers(0, 9_999),
)
def test_an_outage_costs_a_few_probes_and_nobody(outage, readers, payers, per_minute, seed):
    network = SimulatedNetwork([outage], per_minute, seed)
    callers = Callers(readers, payers, outage.begin + outage.seconds + 130)
    client = run_callers(network, callers)
    end = outage.begin + outage.seconds

    sent = network.between(outage.begin, end)
    assert sent <= most_before(per_minute) + most_probes(outage.seconds)
    # By then three requests have failed, however slowly they follow each other.
    opened = outage.begin + 3 * 60 / per_minute + 8
    assert network.between(opened, end) <= most_probes(outage.seconds)
    # Only what was under way when the vendor died may have been carried out or not.
    assert all(isinstance(error, NoAnswer) for error in callers.errors)
    assert len(callers.errors) <= most_before(per_minute)
    assert len(set(network.paid)) == len(network.paid)
    assert not client.circuit.is_open
    # Within a minute of its return it was asked again, and then it is worked with as before.
    assert network.between(end, end + POLICY.longest_probe_seconds + LATENCY_SECONDS) >= 1
    assert network.between(end + 65, end + 125) >= min(math.floor(0.9 * per_minute), readers * 10)


@pytest.mark.long
@example(
    breaks=[(2.0, 3.0)], trouble="refused", readers=1, per_minute=60, seed=2
)  # two failures open no circuit
@example(
    breaks=[(3.12, 1.43)], trouble="off", readers=5, per_minute=600, seed=6499
)  # a burst saved up soon after
@settings(max_examples=examples(20), deadline=None)
@given(
    breaks=st.lists(st.tuples(st.floats(0.1, 60), st.floats(0.1, 120)), min_size=1, max_size=8),
    trouble=st.sampled_from(["refused", "html", "500", "off"]),
    readers=st.integers(1, 60),
    per_minute=rates,
    seed=st.integers(0, 9_999),
)
def test_no_second_ever_sees_more_than_the_pacers_burst(breaks, trouble, readers, per_minute, seed):
    now, outages = 5.0, []
    for alive, dead in breaks:
        outages.append(Outage(now + alive, dead, trouble))
        now += alive + dead
    network, callers = SimulatedNetwork(outages, per_minute, seed), Callers(readers, 0, now + 60)
    run_callers(network, callers)

    assert callers.errors == []
    for sent in network.sent:
        assert network.between(sent, sent + 1) <= max(1, per_minute // 12) + per_minute / 60
    for outage in network.met:
        end = outage.begin + outage.seconds
        for sent in network.sent[bisect_left(network.sent, end) : bisect_left(network.sent, end + 10)]:
            # An even flow, both ends of the second, and the request that found the vendor alive.
            assert network.between(sent, sent + 1) <= math.ceil(per_minute / 60) + 2
