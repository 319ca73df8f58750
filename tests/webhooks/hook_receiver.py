"""A receiver on a real port, and what it told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from hook_sender import SECRET, Sender
from sqlalchemy import select

from stemline.ledger import Ledger
from stemline.ledger.tables import inbox
from stemline.providers import load_provider
from stemline.records import Event
from stemline.settings import load_facts
from stemline.webhooks import ReceiverSettings, create_app, serve_receiver

WEB = httpx.Client(timeout=30)
"""One for all: making a client takes longer than a delivery."""


def stored_events(ledger: Ledger, kind: str) -> list[tuple[str, str]]:
    """Give job and phase of every event in the inbox, in the order of arrival."""
    query = select(inbox.c.job_id, inbox.c.phase).where(inbox.c.provider == kind).order_by(inbox.c.number)
    with ledger.database.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


@dataclass
class Receiver:
    """A running receiver and what it told."""

    url: str
    ledger: Ledger
    kind: str
    told: list[Event] = field(default_factory=list)

    def post(self, body: bytes, headers: dict[str, str], path: str = "") -> httpx.Response:
        url = self.url + (path or f"/hooks/{self.kind}")
        return WEB.post(url, content=body, headers=headers)

    def deliver(self, sender: Sender, *args: Any, **changes: Any) -> httpx.Response:
        body = sender.body(*args, **changes)
        return self.post(body, sender.headers(body))

    @property
    def stored(self) -> list[tuple[str, str]]:
        return stored_events(self.ledger, self.kind)


class Stand:
    """One server for all tests, its app being whose turn it is: one for each would take longer than the tests."""

    def __init__(self) -> None:
        self.url = ""
        self.app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    @contextmanager
    def receiving(self, ledger: Ledger, kind: str, on_event=None, **changes: Any) -> Iterator[Receiver]:
        """Be a receiver for the length of a block."""
        receiver = Receiver(self.url, ledger, kind)
        post = ReceiverSettings(kind, load_provider(load_facts(kind)), (SECRET,), **changes)
        self.app = create_app(ledger, post, on_event or receiver.told.append)
        yield receiver


@contextmanager
def serving_stand() -> Iterator[Stand]:
    """Run the server on a free port."""
    stand = Stand()
    with serve_receiver(stand, "127.0.0.1:0") as server:
        stand.url = f"http://127.0.0.1:{server.port}"
        yield stand
