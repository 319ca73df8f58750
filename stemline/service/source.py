"""Fetching a `sourceUrl`: http and https only, public hosts only, bounded in size and time.

The address that was checked is the address that is connected to, and every redirect is checked again,
so that neither a name that resolves differently the second time nor a redirect leads into a private network.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from urllib.parse import urljoin

import httpx

from stemline import __version__
from stemline.service.refusal import Reason, Refusal
from stemline.service.storage import Storage, check_size

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_REDIRECTS = 5
FETCH_SECONDS = 60.0
_HEADERS = {"User-Agent": f"stemline/{__version__}", "Accept-Encoding": "identity"}


def is_public(address: IpAddress) -> bool:
    """Tell whether an address belongs to the open internet."""
    mapped = getattr(address, "ipv4_mapped", None)
    seen: IpAddress = mapped or address
    return seen.is_global and not seen.is_multicast


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Brings the file behind a URL into the storage."""

    storage: Storage
    is_allowed: Callable[[IpAddress], bool] = is_public

    async def fetch(self, url: str, name: str) -> int:
        """Store what `url` leads to under `name` and give its size in bytes.

        Raises:
            Refusal: SOURCE_REFUSED, SOURCE_UNREACHABLE or FILE_TOO_LARGE.
        """
        try:
            async with (
                asyncio.timeout(FETCH_SECONDS),
                httpx.AsyncClient(headers=_HEADERS, timeout=15.0, trust_env=False, verify=_tls()) as client,
                self._open(client, url) as response,
            ):
                check_size(int(response.headers.get("content-length", 0)))
                return await self.storage.receive(name, response.aiter_raw())
        except (httpx.HTTPError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise Refusal(
                Reason.SOURCE_UNREACHABLE, f"The source URL cannot be fetched: {reason}."
            ) from error

    @asynccontextmanager
    async def _open(self, client: httpx.AsyncClient, text: str) -> AsyncIterator[httpx.Response]:
        for _ in range(MAX_REDIRECTS + 1):
            url = _parsed(text)
            async with self._request(client, url, await self._addresses(url)) as response:
                if not response.has_redirect_location:
                    if not response.is_success:
                        raise _unreachable(f"it answers {response.status_code}")
                    yield response
                    return
                text = _joined(url, response.headers["location"])
        raise _unreachable("it redirects too often")

    async def _addresses(self, url: httpx.URL) -> list[IpAddress]:
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise _unreachable("its host is unknown") from error
        addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
        self.check(addresses)
        return addresses

    def check(self, addresses: Iterable[IpAddress]) -> None:
        """Refuse a host of which one address is not allowed, whichever would be connected to.

        Raises:
            Refusal: SOURCE_REFUSED.
        """
        if not all(self.is_allowed(address) for address in addresses):
            raise Refusal(Reason.SOURCE_REFUSED, "The source URL leads to a private address.")

    @asynccontextmanager
    async def _request(
        self, client: httpx.AsyncClient, url: httpx.URL, addresses: list[IpAddress]
    ) -> AsyncIterator[httpx.Response]:
        """Ask the first address that can be connected to, under the host's own name."""
        for address in addresses:
            request = client.build_request(
                "GET",
                url.copy_with(host=str(address)),
                headers={"Host": url.netloc.decode()},
                extensions={"sni_hostname": url.host},
            )
            try:
                response = await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            try:
                yield response
            finally:
                await response.aclose()
            return
        raise _unreachable("nobody answers at its host")


@cache
def _tls() -> ssl.SSLContext:
    """Give the trusted certificates, which take as long to load as a small file to fetch."""
    return httpx.create_ssl_context(trust_env=False)


def _joined(url: httpx.URL, location: str) -> str:
    try:
        return urljoin(str(url), location)
    except ValueError as error:
        raise Refusal(Reason.SOURCE_REFUSED, "The source URL redirects to what is no URL.") from error


def _parsed(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise Refusal(Reason.SOURCE_REFUSED, "The source URL is not a URL.") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise Refusal(Reason.SOURCE_REFUSED, "The source URL must start with http:// or https://.")
    return url


def _unreachable(why: str) -> Refusal:
    return Refusal(Reason.SOURCE_UNREACHABLE, f"The source URL cannot be fetched: {why}.")
