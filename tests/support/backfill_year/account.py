"""The one account that all runs of a year share: it keeps books of its own on what was ordered, and by whom."""

from __future__ import annotations

import asyncio
from array import array
from collections import defaultdict
from dataclasses import dataclass

import httpx
from support.backfill_year.process import Process
from support.simulation.scenario import DIALECTS
from support.simulation.vendor import SimulatedJob, SimulatedVendor, VendorBehaviour

from stemline.clock import loop_time


class SharedAccount(SimulatedVendor):
    """A simulated vendor that several processes use with one key, one after another."""

    def __init__(self, behaviour: VendorBehaviour) -> None:
        """Open it."""
        super().__init__(behaviour, DIALECTS[behaviour.dialect](), 0, lambda _: None)
        self.orders: list[tuple[float, str]] = []
        """When each job was made, and the client's own word for it."""
        self.sent: dict[str, array[float]] = defaultdict(lambda: array("d"))
        """When requests were let in, by the kind of process that sent them."""
        self._is_idempotent = behaviour.dialect == "aistemsplitter"
        self._by_name: dict[str, SimulatedJob] = {}

    def _make_job(self, name: str) -> SimulatedJob:
        if self._is_idempotent and name in self._by_name:
            return self._by_name[name]
        job = super()._make_job(name)
        self.orders.append((job.created_at, name))
        self._by_name[name] = job
        return job


@dataclass
class Connection(httpx.AsyncBaseTransport):
    """The account as one process sees it."""

    account: SharedAccount
    process: Process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request, unless the process is dead."""
        if self.process.is_killed:
            raise asyncio.CancelledError
        before = len(self.account.account.granted)
        response = await self.account.handle_async_request(request)
        if len(self.account.account.granted) > before:
            self.account.sent[self.process.kind].append(loop_time())
        return response
