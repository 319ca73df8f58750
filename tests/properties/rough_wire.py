"""The simulated vendor as one process with one key reaches it, and a watch over what that process sends."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

import httpx
from rough_vendor import Vendor

from stemline.clock import loop_time


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """The vendor as one process with one key sees it, and what that process may not do."""

    vendor: Vendor
    key: str
    fence: int
    limit: int
    """How many requests a minute it was told it may make, or believes."""
    left: list[tuple[float, int]] = field(default_factory=list)
    """When each request left, and the limit known then."""
    closed_until: float = -math.inf
    too_early: list[float] = field(default_factory=list)
    """By how many seconds requests left before a Retry-After was over."""
    stale: int = 0
    """How many jobs were ordered after the key went to another process."""
    is_cut: bool = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        if self.is_cut:  # the process is dead: this is its last task being cancelled
            await asyncio.Event().wait()
        now = loop_time()
        self.left.append((now, self.limit))
        if now < self.closed_until:
            self.too_early.append(self.closed_until - now)
        self.stale += request.method == "POST" and self.vendor.fences[self.key] != self.fence
        task = asyncio.create_task(self.vendor.serve(request, self.key))
        self.vendor.tasks.add(task)
        task.add_done_callback(self._forget)
        response = await asyncio.shield(task)
        self._learn(response)
        return response

    def _forget(self, task: asyncio.Task) -> None:
        self.vendor.tasks.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be left to be told

    def _learn(self, response: httpx.Response) -> None:
        self.limit = int(response.headers.get("X-RateLimit-Limit", self.limit))
        if response.status_code == 429 and "Retry-After" in response.headers:
            self.closed_until = max(self.closed_until, loop_time() + self.vendor.conduct.retry_after)
