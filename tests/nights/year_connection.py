"""What carries the requests of one process of a simulated year to its vendor."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
from year_vendor import YearVendor


@dataclass
class YearConnection(httpx.AsyncBaseTransport):
    """The vendor as one process with one key sees it."""

    vendor: YearVendor
    key: str
    process: str
    is_dead: Any
    """Whether the process is dead: what it still tries is its last tasks being cancelled."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request, to the end even where the process dies meanwhile."""
        await request.aread()
        if self.is_dead():
            raise asyncio.CancelledError
        task = asyncio.create_task(self.vendor.serve(request, self.key, self.process))
        self.vendor.tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task) -> None:
        self.vendor.tasks.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be left to be told
