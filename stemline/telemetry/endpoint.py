"""`GET /metrics`, as Prometheus reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stemline.errors import StemlineError
from stemline.exposition import CONTENT_TYPE, MetricSample, expose

PATH = "/metrics"
FORWARDED = ("forwarded", "x-forwarded-for")
"""What a proxy says of whom it asks for: what is spent is not for those outside."""


def metrics_route(read: Callable[[], Sequence[MetricSample]]) -> Route:
    """Give the route that answers with what `read` gives; 404 to whoever comes through a proxy."""
    reading = asyncio.Lock()

    async def tell_metrics(request: Request) -> Response:
        if any(name in request.headers for name in FORWARDED):
            return PlainTextResponse("", HTTPStatus.NOT_FOUND)
        try:
            # One at a time: a ledger that is away keeps no more than one of the threads that store webhooks.
            async with reading:
                samples = await run_in_threadpool(read)
        except StemlineError as error:
            return PlainTextResponse(f"{error.message}\n", HTTPStatus.SERVICE_UNAVAILABLE)
        return PlainTextResponse(expose(samples), headers={"Content-Type": CONTENT_TYPE})

    return Route(PATH, tell_metrics)
