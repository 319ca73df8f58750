"""The receiver: an ASGI app that believes only what is signed, and answers only for what is stored.

A provider gives us a few seconds and may send twice, late, early or never: so nothing here asks anybody over the
network, an event is in the ledger before it is acknowledged, and a repetition is acknowledged like the first.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from stemline.errors import EventRefused, SignatureRefused, StemlineError
from stemline.ledger import Ledger
from stemline.protocol import Provider, WebhookDelivery
from stemline.records import Event

MAX_BODY_BYTES = 1 << 20
BODY_SECONDS = 10.0
"""How long a body may take to arrive: the sender itself waits no longer for its answer."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """What one receiver is for, and whose word it believes."""

    kind: str
    """The provider, by the name the ledger knows it under."""
    provider: Provider
    secrets: Collection[str] = field(repr=False)
    """One of them signs a delivery; read anew for each."""
    public_url: str = ""
    """Its path may or may not have been removed by the proxy in front: both are served."""
    body_seconds: float = BODY_SECONDS


def create_app(
    ledger: Ledger,
    settings: ReceiverSettings,
    on_event: Callable[[Event], object],
    further: Sequence[BaseRoute] = (),
) -> Starlette:
    """Give the app: `POST /hooks/<provider>`, `GET /health`, and further routes, which are not for the public.

    `on_event` is called once per event that is news, after it is stored, in a thread of the app's own; it should
    return at once.
    """

    async def receive(request: Request) -> Response:
        try:
            async with asyncio.timeout(settings.body_seconds):
                body = await _read_body(request)
        except TimeoutError:
            return _refuse(HTTPStatus.REQUEST_TIMEOUT)
        except ClientDisconnect:
            return _refuse(HTTPStatus.BAD_REQUEST)
        if body is None:
            return _refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        headers = {name.lower(): value for name, value in request.headers.items()}
        delivery = WebhookDelivery(headers, body, datetime.now(UTC))
        return await run_in_threadpool(_receive, ledger, settings, delivery, on_event)

    async def tell_health(_: Request) -> Response:
        return JSONResponse(health(ledger, settings.kind))

    prefixes = {"", urlsplit(settings.public_url).path.rstrip("/")}
    routes = [Route(f"{prefix}/hooks/{settings.kind}", receive, methods=["POST"]) for prefix in prefixes]
    routes += [Route(f"{prefix}/health", tell_health) for prefix in prefixes]
    return Starlette(routes=[*routes, *further])


def health(ledger: Ledger, kind: str) -> dict[str, str]:
    """Give what tells one receiver from another: whose events it takes, and the ledger it writes to as a digest."""
    name = str(Path(ledger.url.database or "").resolve()) if ledger.database.is_sqlite else ledger.name
    return {"provider": kind, "ledger": hashlib.sha256(name.encode()).hexdigest()[:16]}


def _receive(
    ledger: Ledger, settings: ReceiverSettings, delivery: WebhookDelivery, on_event: Callable[[Event], object]
) -> Response:
    """Verify, store, answer, and only then notify."""
    try:
        event = _read(settings, delivery)
    except SignatureRefused as error:
        logger.info("A delivery for %s was refused: %s", settings.kind, error)
        return _refuse(HTTPStatus.UNAUTHORIZED)
    except EventRefused as error:
        logger.info("A delivery of %s was refused: %s", settings.kind, error)
        return _refuse(HTTPStatus.BAD_REQUEST)
    if event is None:
        return JSONResponse({"received": False})  # acknowledged: sending it again would not help
    try:
        is_news = ledger.inbox.receive(settings.kind, event)
    except StemlineError:
        logger.exception("The event about job %s could not be stored.", event.job_id)
        return _refuse(HTTPStatus.SERVICE_UNAVAILABLE)
    if is_news:
        try:
            on_event(event)
        except Exception:  # it is stored: whoever could not be told finds it in the inbox
            logger.exception("Nobody could be told of the event about job %s.", event.job_id)
    return JSONResponse({"received": True})


def _read(settings: ReceiverSettings, delivery: WebhookDelivery) -> Event | None:
    """Give what a delivery says, whoever of ours it is signed for; raises as the provider's `read_event` does."""
    refusal = SignatureRefused("There is no secret to know a delivery by.")
    for secret in tuple(settings.secrets):
        try:
            return settings.provider.read_event(delivery, secret)
        except SignatureRefused as error:
            refusal = error
    raise refusal


async def _read_body(request: Request) -> bytes | None:
    """Give the body, None when it is too large: seen from its announced length, or while it arrives."""
    announced = request.headers.get("content-length", "")
    if (
        announced.isascii()
        and announced.isdecimal()
        and (len(announced) > 9 or int(announced) > MAX_BODY_BYTES)
    ):
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _refuse(status: HTTPStatus) -> Response:
    """Answer with the status and nothing that helps to try again better; the connection ends with it."""
    return JSONResponse({"error": status.phrase}, status, headers={"Connection": "close"})
