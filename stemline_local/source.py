"""Fetching a `sourceUrl`: http and https only, public hosts only, bounded in size and time.

Every redirect is checked again (see `reach`), so that none leads into a private network.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx

from stemline_local.reach import IpAddress, Letter, Reach, is_public, new_client
from stemline_local.storage import Storage, check_size

MAX_REDIRECTS = 5
FETCH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Brings the file behind a URL into the storage."""

    storage: Storage
    is_allowed: Callable[[IpAddress], bool] = is_public

    @property
    def reach(self) -> Reach:
        """How far it may go."""
        return Reach.of_sources(self.is_allowed)

    async def fetch(self, url: str, name: str) -> int:
        """Store what `url` leads to under `name` and give its size in bytes.

        Raises:
            Refusal: SOURCE_REFUSED, SOURCE_UNREACHABLE or FILE_TOO_LARGE.
        """
        try:
            async with (
                asyncio.timeout(FETCH_SECONDS),
                new_client() as client,
                self._open(client, url) as response,
            ):
                check_size(int(response.headers.get("content-length", 0)))
                return await self.storage.receive(name, response.aiter_raw())
        except (httpx.HTTPError, TimeoutError) as error:
            raise self.reach.failure(str(error) or type(error).__name__) from error

    @asynccontextmanager
    async def _open(self, client: httpx.AsyncClient, text: str) -> AsyncIterator[httpx.Response]:
        reach = self.reach
        for _ in range(MAX_REDIRECTS + 1):
            url = reach.parsed(text)
            async with reach.request(client, url, Letter()) as response:
                if not response.has_redirect_location:
                    if not response.is_success:
                        raise reach.failure(f"it answers {response.status_code}")
                    yield response
                    return
                text = self._joined(url, response.headers["location"])
        raise reach.failure("it redirects too often")

    def _joined(self, url: httpx.URL, location: str) -> str:
        try:
            return urljoin(str(url), location)
        except ValueError as error:
            raise self.reach.refusal("redirects to what is no URL") from error
