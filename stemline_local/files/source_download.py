"""Downloading a `sourceUrl`: http and https only, public hosts only, bounded in size and time.

Every redirect is checked again (see `outbound`), so that none leads into a private network.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx

from stemline_local.files.file_storage import FileStorage, check_size
from stemline_local.files.outbound import IpAddress, OutboundPolicy, OutboundRequest, is_public, new_client

MAX_REDIRECTS = 5
FETCH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SourceDownloader:
    """Downloads the file behind a URL into the storage."""

    storage: FileStorage
    is_allowed: Callable[[IpAddress], bool] = is_public

    @property
    def policy(self) -> OutboundPolicy:
        """Which addresses it may call."""
        return OutboundPolicy.for_sources(self.is_allowed)

    async def download(self, url: str, name: str) -> int:
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
                # Of an answer that was compressed although nobody asked for it, the audio is what it unpacks to.
                check_size(int(response.headers.get("content-length", 0)))
                return await self.storage.receive(name, response.aiter_bytes())
        except (httpx.HTTPError, TimeoutError) as error:
            raise self.policy.failure(str(error) or type(error).__name__) from error

    @asynccontextmanager
    async def _open(self, client: httpx.AsyncClient, text: str) -> AsyncIterator[httpx.Response]:
        policy = self.policy
        for _ in range(MAX_REDIRECTS + 1):
            url = policy.parse(text)
            async with policy.send(client, url, OutboundRequest()) as response:
                if not response.has_redirect_location:
                    if not response.is_success:
                        raise policy.failure(f"it answers {response.status_code}")
                    yield response
                    return
                text = self._join(url, response.headers["location"])
        raise policy.failure("it redirects too often")

    def _join(self, url: httpx.URL, location: str) -> str:
        try:
            return urljoin(str(url), location)
        except ValueError as error:
            raise self.policy.refusal("redirects to what is no URL") from error
