"""One request over HTTP, once."""

from __future__ import annotations

from dataclasses import replace

import httpx

from stemline import __version__
from stemline.client.access import Access, Traffic
from stemline.client.body import Body
from stemline.client.trouble import broken, down
from stemline.wire import Answer, Request

_TIMEOUT = httpx.Timeout(connect=10, read=150, write=60, pool=None)
"""A submit by URL may have the vendor probe the source first, hence the long read."""


class Courier:
    """Carries requests to the provider, and files to its storage, for one API key."""

    def __init__(self, access: Access, transport: httpx.AsyncBaseTransport | None) -> None:
        """Open nothing yet; `transport` carries the requests in place of the network."""
        self.traffic = Traffic()
        self._access = access
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT,
            headers={"User-Agent": f"stemline/{__version__}"},
            limits=httpx.Limits(max_connections=64),
            transport=transport,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def carry(self, request: Request) -> Answer:
        """Give what a request is answered with, be it a refusal.

        Raises ProviderDown, or TransferFailed, when nothing was asked; NoAnswer when a paid request got none.
        """
        body = Body(request.body, self._access.storage_options) if request.body is not None else None
        try:
            message = await self._build(request, body)
            response = await self._http.send(message)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL) as error:
            raise down(request, error) from error
        except httpx.HTTPError as error:
            self._count(request)
            raise broken(request, error) from error
        self._count(request)
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(response.status_code, headers, response.content)
        return replace(answer, sent_sha256=body.sha256()) if body else answer

    async def _build(self, request: Request, body: Body | None) -> httpx.Request:
        headers = dict(request.headers)
        if body is not None:
            # Presigned storage wants the length up front and refuses a chunked body.
            headers["Content-Length"] = str(await body.size())
        if request.is_transfer:
            return self._http.build_request(
                request.method, request.url, headers=headers, content=body.blocks() if body else None
            )
        headers["Authorization"] = f"Bearer {self._access.api_key}"
        url = self._access.base_url.rstrip("/") + request.url
        return self._http.build_request(
            request.method, url, headers=headers, params=dict(request.params) or None, json=request.json
        )

    def _count(self, request: Request) -> None:
        if request.is_transfer:
            self.traffic.transfers += 1
        else:
            self.traffic.sent += 1
