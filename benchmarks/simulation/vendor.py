"""The network and the vendor in one transport: requests take their time, are counted, and are answered in a dialect."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

import httpx

from benchmarks.simulation.account import Account, Job
from benchmarks.simulation.conduct import Conduct
from benchmarks.simulation.window import RateWindow
from stemline.clock import loop_time

API_URL = "http://vendor.test/api"
STORAGE_HOST = "storage.test"
TRACK_SECONDS = 180


class Dialect(Protocol):
    """What one vendor's words are."""

    def answer(self, account: Account, request: httpx.Request, make: Callable[[str], Job]) -> tuple[int, Any]:
        """Give the status and the JSON of an answer; `make` makes a job of a name."""

    def stored(self) -> Any:  # noqa: ANN401 - JSON
        """Give what the storage answers to an upload."""

    def refusal(self) -> Any:  # noqa: ANN401 - JSON
        """Give what a request too many is answered with."""


class Vendor(httpx.AsyncBaseTransport):
    """One vendor, seen from the client of one key."""

    def __init__(
        self, conduct: Conduct, dialect: Dialect, number: int, on_done: Callable[[Job], object]
    ) -> None:
        """Open an account; `on_done` is called when a job ends, if the vendor calls back."""
        self.account = Account(
            number, RateWindow(conduct.requests_per_minute, conduct.window), conduct.max_running
        )
        self.uploads = 0
        self._conduct, self._dialect, self._on_done = conduct, dialect, on_done
        self._chance = random.Random(conduct.seed * 1_000 + number)  # noqa: S311 - a simulation

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request there, and its answer back."""
        await request.aread()
        await asyncio.sleep(self._conduct.draw_trip(self._chance))
        response = self._respond(request)
        await asyncio.sleep(self._conduct.draw_trip(self._chance))
        return response

    def _respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == STORAGE_HOST:
            self.uploads += 1
            return httpx.Response(HTTPStatus.OK, json=self._dialect.stored())
        is_allowed, headers = self.account.enter(loop_time())
        if not is_allowed:
            return httpx.Response(HTTPStatus.TOO_MANY_REQUESTS, headers=headers, json=self._dialect.refusal())
        status, tree = self._dialect.answer(self.account, request, self._make_job)
        return httpx.Response(status, headers=headers, json=tree)

    def _make_job(self, name: str) -> Job:
        takes = self._conduct.draw_job(self._chance)
        job = self.account.make_job(name, TRACK_SECONDS, takes, loop_time())
        if self._conduct.calls_back:
            called_at = job.done_at + self._conduct.draw_trip(self._chance)
            asyncio.get_running_loop().call_at(called_at, self._on_done, job)
        return job


def body_of(request: httpx.Request) -> dict[str, Any]:
    """Give the JSON object that a request carries."""
    tree: dict[str, Any] = json.loads(request.content)
    return tree
