"""Calls of a client to a scripted server, and how that server fails and recovers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

from support.scripted_server import ScriptedServer

from stemline.client import Access, Client, Lane, Pacer, RetryPolicy
from stemline.providers import load_provider
from stemline.records import Attempt, Recipe, Track
from stemline.settings import load_facts

BALANCE = (200, {}, b'{"balanceSeconds": 77}')
JOB = (200, {}, b'{"id": "j1"}')
CREATED = (201, {}, b'{"id": "j1", "creditsRequired": 10}')
ANSWERS = {"GET /balance": [BALANCE], "GET /jobs/j1": [JOB], "POST /jobs": [CREATED]}
"""Of a vendor that is well."""
BROKEN = (500, {}, b'{"error": {"message": "down"}}')
QUICK = RetryPolicy(3, 0.01, 0.02, first_probe_seconds=0.02, longest_probe_seconds=0.1)
END_SECONDS = 30
"""Whoever is not done by then hangs."""


class ClientCalls:
    """A client, and what is asked with it."""

    def __init__(self, client: Client) -> None:
        self.client, self.provider = client, client.provider
        self._numbers = count()

    async def balance(self) -> int:
        return await self.client.run(self.provider.read_balance(), Lane.POLL)

    async def read(self, job_id: str = "j1") -> str:
        return (await self.client.run(self.provider.read_job(job_id), Lane.COLLECT)).job_id

    async def submit(self) -> str:
        track = Track("t1", "https://example.com/a.mp3", 1, duration_seconds=10.0)
        token = f"sl{next(self._numbers)}"
        attempt = Attempt(token, track, Recipe("four", "best", "flac"), "stemsplit", 1, 10)
        return (await self.client.run(self.provider.submit(attempt), Lane.SUBMIT)).job_id

    async def wait_until_open(self) -> asyncio.Task[int]:
        """Ask until the circuit opens; give the question that is still to be answered."""
        asked = asyncio.create_task(self.balance())
        await until(lambda: self.client.circuit.is_open)
        return asked


@asynccontextmanager
async def open_client(
    vendor: ScriptedServer, retry: RetryPolicy = QUICK, *, per_minute: int = 60_000, is_known: bool = True
) -> AsyncIterator[ClientCalls]:
    """Open a client; unless told otherwise, of a vendor that has answered it once."""
    provider, access = load_provider(load_facts("stemsplit")), Access(vendor.url, "sk_live_loopback", {})
    async with Client(provider, access, Pacer(per_minute), retry) as client, asyncio.timeout(END_SECONDS):
        calls = ClientCalls(client)
        if is_known:
            await calls.balance()
            vendor.seen.clear()
        yield calls


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - the circuit tells the log alone
        await asyncio.sleep(0.005)


def end_after(vendor: ScriptedServer, requests: int) -> None:
    """Have the outage end with the so-many-th request that met it."""

    def count_down(_seen: object) -> None:
        if len(vendor.seen) >= requests:
            vendor.outage_answer = None

    vendor.on_request = count_down
