"""Outbound requests to addresses that clients name: http and https only, public hosts only unless allowed otherwise.

The address that was checked is the address that is connected to, so that a name that resolves differently the
second time does not lead into a private network.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Self

import httpx

from stemline import __version__
from stemline_local.refusal import Refusal, RefusalReason

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
USER_AGENT = f"stemline/{__version__}"
CONNECT_SECONDS = 15.0


def is_public(address: IpAddress) -> bool:
    """Tell whether an address belongs to the open internet."""
    mapped = getattr(address, "ipv4_mapped", None)
    seen: IpAddress = mapped or address
    return seen.is_global and not seen.is_multicast


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """A request to be sent."""

    method: str = "GET"
    headers: Mapping[str, str] | None = None
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """Which addresses may be called, and in which words one is refused."""

    is_allowed: Callable[[IpAddress], bool]
    name: str
    refused: RefusalReason
    unreachable: RefusalReason

    @classmethod
    def for_sources(cls, is_allowed: Callable[[IpAddress], bool]) -> Self:
        """Give the policy for a `sourceUrl`."""
        return cls(
            is_allowed, "The source URL", RefusalReason.SOURCE_REFUSED, RefusalReason.SOURCE_UNREACHABLE
        )

    @classmethod
    def for_webhooks(cls, *, may_be_private: bool) -> Self:
        """Give the policy for a webhook."""
        is_allowed = (lambda _: True) if may_be_private else is_public
        return cls(
            is_allowed, "The webhook URL", RefusalReason.WEBHOOK_REFUSED, RefusalReason.WEBHOOK_REFUSED
        )

    def parse(self, text: str) -> httpx.URL:
        """Read an address.

        Raises:
            Refusal: it is none that may be called.
        """
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL as error:
            raise self.refusal("is not a URL") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise self.refusal("must start with http:// or https://")
        return url

    async def resolve(self, url: httpx.URL) -> list[IpAddress]:
        """Give the addresses of a host.

        Raises:
            Refusal: it has none, or one that may not be called.
        """
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise self.failure("its host is unknown") from error
        addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
        self.check(addresses)
        return addresses

    def check(self, addresses: Iterable[IpAddress]) -> None:
        """Refuse a host of which one address is not allowed, whichever would be connected to.

        Raises:
            Refusal: with the reason `refused`.
        """
        if not all(self.is_allowed(address) for address in addresses):
            raise self.refusal("leads to a private address")

    @asynccontextmanager
    async def send(
        self, client: httpx.AsyncClient, url: httpx.URL, outbound: OutboundRequest
    ) -> AsyncIterator[httpx.Response]:
        """Send to the first address that can be connected to, under the host's own name; give the answer unread.

        Raises:
            Refusal: nobody may be asked, or nobody is there.
        """
        for address in await self.resolve(url):
            request = client.build_request(
                outbound.method,
                url.copy_with(host=str(address)),
                headers={**(outbound.headers or {}), "Host": url.netloc.decode()},
                content=outbound.content,
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
        raise self.failure("nobody answers at its host")

    def refusal(self, what: str) -> Refusal:
        """Give the refusal of an address that may not be called."""
        return Refusal(self.refused, f"{self.name} {what}.")

    def failure(self, why: str) -> Refusal:
        """Give the refusal of an address that cannot be called."""
        return Refusal(self.unreachable, f"{self.name} cannot be called: {why}.")


def new_client() -> httpx.AsyncClient:
    """Give a client that heeds no environment variable and no redirect, with a connection for each request."""
    return httpx.AsyncClient(
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        timeout=CONNECT_SECONDS,
        trust_env=False,
        verify=_tls(),
        # A kept connection belongs to an address, and two hosts may share one.
        limits=httpx.Limits(max_keepalive_connections=0),
    )


@cache
def _tls() -> ssl.SSLContext:
    """Give the trusted certificates, which take as long to load as a small file to fetch."""
    return httpx.create_ssl_context(trust_env=False)
