"""The service as an ASGI application: the storage's transfers and one set of routes a dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from stemline_local import stemsplit
from stemline_local.aistemsplitter import PREFIX as SPLITTER_PREFIX
from stemline_local.aistemsplitter import AIStemSplitter
from stemline_local.backend import Backend
from stemline_local.fault_endpoint import fault_routes
from stemline_local.job import Kind
from stemline_local.mishap import Mishaps
from stemline_local.stemsplit import StemSplit
from stemline_local.transfer import transfer_routes

DIALECTS = {"stemsplit": stemsplit.PREFIX, "aistemsplitter": SPLITTER_PREFIX}
"""Where each vendor's API begins."""


def app_of(backend: Backend) -> Starlette:
    """Give the application over a backend, which it holds until it shuts down."""
    vendor, splitter = StemSplit(backend), AIStemSplitter(backend)
    composers = {
        Kind.STEM: vendor.compose,
        Kind.YOUTUBE: vendor.compose,
        Kind.SPLIT: splitter.compose,
    }

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with backend.running(composers):
            yield

    routes = [
        *transfer_routes(backend.storage, backend.signer),
        *vendor.routes(),
        *splitter.routes(),
        *fault_routes(backend),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.add_middleware(Mishaps, backend=backend)
    return app
