"""The service as an ASGI application: the storage's transfers and one set of routes a dialect."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Route

from stemline.service.backend import Backend, open_backend
from stemline.service.options import Options
from stemline.service.stemsplit import PREFIX, StemSplit
from stemline.service.transfer import transfer_routes

DIALECTS = {"stemsplit": PREFIX}
"""Where each vendor's API begins."""


def create_app(options: Options, clock: Callable[[], float] = time.time) -> Starlette:
    """Give the application; its folder is held from now until it shuts down.

    Raises:
        UsageError: another service holds the folder.
    """
    backend = open_backend(options, clock)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with backend.running():
            yield

    return Starlette(routes=_routes(backend), lifespan=lifespan)


def _routes(backend: Backend) -> list[Route]:
    return [*transfer_routes(backend.storage, backend.signer), *StemSplit(backend).routes()]
