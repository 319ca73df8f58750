"""The service as an ASGI application: the storage's routes, those of each dialect, and the fault endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from stemline_local.api.fault_endpoint import fault_routes
from stemline_local.api.fault_middleware import FaultMiddleware
from stemline_local.api.metrics_endpoint import metrics_routes
from stemline_local.api.storage_endpoint import storage_routes
from stemline_local.backend import ServiceBackend
from stemline_local.dialects.aistemsplitter.dialect import PREFIX as AISTEMSPLITTER_PREFIX
from stemline_local.dialects.aistemsplitter.dialect import AIStemSplitterDialect
from stemline_local.dialects.stemsplit.dialect import StemSplitDialect
from stemline_local.dialects.stemsplit.vocabulary import PREFIX as STEMSPLIT_PREFIX
from stemline_local.jobs.job import JobKind

DIALECTS = {"stemsplit": STEMSPLIT_PREFIX, "aistemsplitter": AISTEMSPLITTER_PREFIX}
"""Where each vendor's API begins."""


def build_app(backend: ServiceBackend) -> Starlette:
    """Give the application over a backend, which it holds until it shuts down."""
    stemsplit, aistemsplitter = StemSplitDialect(backend), AIStemSplitterDialect(backend)
    call_makers = {
        JobKind.STEM: stemsplit.compose,
        JobKind.YOUTUBE: stemsplit.compose,
        JobKind.SPLIT: aistemsplitter.compose,
    }

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with backend.running(call_makers):
            yield

    routes = [
        *storage_routes(backend.storage, backend.signer),
        *stemsplit.routes(),
        *aistemsplitter.routes(),
        *fault_routes(backend),
        *metrics_routes(backend),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.add_middleware(FaultMiddleware, backend=backend)
    return app
