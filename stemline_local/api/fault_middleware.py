"""Middleware around every request: injects the faults of the connection, and stamps the Date of every answer."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import formatdate
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stemline_local.api.request_reading import iso_time
from stemline_local.backend import ServiceBackend
from stemline_local.faults import Fault

TRANSPORT = "stemline.transport"
"""Where the server keeps the connection of a request in its scope."""
_STAMP = re.compile(rb'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"')
_PAGE = b"<html><body>We are down for maintenance.</body></html>"
_EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
ANSWER_FAULTS = (
    "timeout_after_accept",
    "webhook_early",
    "clock_skew",
    "truncated_body",
    "page_for_stem",
    "connection_cut",
    "link_expired_mid_download",
)
"""The faults that are applied to the finished answer."""


@dataclass(frozen=True, slots=True)
class BufferedResponse:
    """A whole answer, kept until the faults have changed it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    async def send(self, send: Send, length: int | None = None) -> None:
        """Send it, or only the first `length` bytes of its body; its headers promise the whole."""
        headers = [(name, value) for name, value in self.headers if name.lower() != b"content-length"]
        headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        is_part = length is not None and length < len(self.body)
        await send({"type": "http.response.body", "body": self.body[:length], "more_body": is_part})


@dataclass(slots=True)
class FaultMiddleware:
    """ASGI middleware that lets the active faults strike requests and answers."""

    app: ASGIApp
    backend: ServiceBackend
    _dead_links: set[bytes] = field(default_factory=set)
    """The queries of links that expired while they were read."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the faults that strike it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        dated = self._with_date(send, 0)
        if not self.backend.faults.are_set():
            await self.app(scope, receive, dated)
            return
        request = f"{scope['method']} {scope['path']}"
        if scope["query_string"] in self._dead_links:
            await BufferedResponse(403, ((b"content-type", b"application/xml"),), _EXPIRED).send(dated)
            return
        if fault := self.backend.faults.strikes("timeout_before_accept", request):
            await _hold(receive, fault.seconds)
            await _cut(scope, receive)
            return
        struck = {
            name: fault for name in ANSWER_FAULTS if (fault := self.backend.faults.strikes(name, request))
        }
        if struck:
            await self._apply(struck, scope, receive, send)
        else:
            await self.app(scope, receive, dated)

    async def _apply(self, struck: Mapping[str, Fault], scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._buffer(scope, receive)
        if fault := struck.get("webhook_early"):
            await self._wait_for_webhooks(response, fault.seconds)
        if fault := struck.get("timeout_after_accept"):
            await _hold(receive, fault.seconds)
            await _cut(scope, receive)
            return
        skew = 0.0
        if fault := struck.get("clock_skew"):
            skew = fault.seconds
            response = _skewed(response, skew)
        if "page_for_stem" in struck:
            response = BufferedResponse(200, ((b"content-type", b"text/html"),), _PAGE)
        if "truncated_body" in struck:
            response = replace(response, body=response.body[: len(response.body) // 2])
        if "connection_cut" in struck or "link_expired_mid_download" in struck:
            await response.send(self._with_date(send, skew), len(response.body) // 2)
            await _cut(scope, receive)
            if "link_expired_mid_download" in struck:
                self._dead_links.add(scope["query_string"])
            return
        await response.send(self._with_date(send, skew))

    async def _buffer(self, scope: Scope, receive: Receive) -> BufferedResponse:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(scope, receive, keep)
        start, *parts = messages
        body = b"".join(part.get("body", b"") for part in parts)
        return BufferedResponse(start["status"], tuple(start["headers"]), body)

    async def _wait_for_webhooks(self, response: BufferedResponse, seconds: float) -> None:
        """Wait until the job of a create answer has ended and its webhooks have been called."""
        with suppress(ValueError, KeyError):
            tree = json.loads(response.body)
            await self.backend.webhook_sender.wait_until_delivered(tree.get("data", tree)["id"], seconds)

    def _with_date(self, send: Send, skew: float) -> Send:
        async def send_with_date(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self.backend.clock() + skew, usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        return send_with_date


def _skewed(response: BufferedResponse, seconds: float) -> BufferedResponse:
    """Give the answer of a service whose clock is so many seconds wrong."""

    def moved(match: re.Match[bytes]) -> bytes:
        moment = datetime.fromisoformat(match[1].decode()).timestamp() + seconds
        return json.dumps(iso_time(moment)).encode()

    headers = tuple(
        (name, str(int(value) + int(seconds)).encode() if name.lower() == b"x-ratelimit-reset" else value)
        for name, value in response.headers
    )
    is_json = any(value.startswith(b"application/json") for _, value in response.headers)
    return BufferedResponse(
        response.status, headers, _STAMP.sub(moved, response.body) if is_json else response.body
    )


async def _hold(receive: Receive, seconds: float) -> None:
    """Say nothing for a while, or until the client goes away."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await _wait_for_disconnect(receive)


async def _cut(scope: Mapping[str, Any], receive: Receive) -> None:
    """Close the connection, and wait until it is."""
    transport = scope.get(TRANSPORT)
    if isinstance(transport, asyncio.Transport):
        transport.close()
        await _hold(receive, 1.0)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
