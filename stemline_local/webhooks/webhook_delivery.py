"""Webhook calls: a queue on disk that survives a restart, and the sender that empties it.

A call has ten seconds and must be answered with 2xx; otherwise it is made again, later and later. A crash after
a call and before its record makes it twice: receivers must expect that of any service.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from stemline_local.faults import ActiveFaults
from stemline_local.files.outbound import OutboundPolicy, OutboundRequest, new_client
from stemline_local.jobs.database import ServiceDatabase
from stemline_local.jobs.job import JobKind, ServiceJob
from stemline_local.refusal import Refusal
from stemline_local.webhooks.account_webhooks import AccountWebhook, AccountWebhooks

RETRY_SECONDS = (2, 10, 60, 300, 1_800)
"""How long after each failed call the next one is made; after the last it is given up."""
POLL_SECONDS = 0.2
"""How often the queue is read while something in it waits."""
IDLE_SECONDS = 60.0
MOST_AT_ONCE = 32

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """One delivery that waits: the end of a job, for one receiver."""

    number: int
    job: ServiceJob
    webhook: AccountWebhook | None
    event: str
    made_at: float
    tries: int


@dataclass(frozen=True, slots=True)
class WebhookCall:
    """One call, ready to be made."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes


ComposeCall = Callable[[EventDelivery], WebhookCall]


@dataclass(frozen=True, slots=True)
class DeliveryQueue:
    """The deliveries that wait."""

    _database: ServiceDatabase

    def due(self, now: float, busy: set[int], most: int) -> list[EventDelivery]:
        """Give the deliveries that are due and not under way, oldest first."""
        query = "SELECT * FROM deliveries WHERE due_at <= ? ORDER BY due_at, number LIMIT ?"
        with self._database.transaction() as connection:
            rows = connection.execute(query, (now, most + len(busy))).fetchall()
            return [_read(connection, row) for row in rows if row["number"] not in busy][:most]

    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        with self._database.transaction() as connection:
            return connection.execute("SELECT 1 FROM deliveries LIMIT 1").fetchone() is None

    def is_delivered(self, job_id: str) -> bool:
        """Tell whether a job has ended and none of its deliveries waits."""
        query = (
            "SELECT 1 FROM jobs WHERE id = ? AND completed_at IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE job = jobs.id)"
        )
        with self._database.transaction() as connection:
            return connection.execute(query, (job_id,)).fetchone() is not None

    def remove(self, number: int) -> None:
        """Delete a delivery that was made or given up."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM deliveries WHERE number = ?", (number,))

    def postpone(self, number: int, due_at: float, tries: int) -> None:
        """Make a delivery due later."""
        query = "UPDATE deliveries SET due_at = ?, tries = ? WHERE number = ?"
        with self._database.transaction() as connection:
            connection.execute(query, (due_at, tries, number))


def _read(connection: sqlite3.Connection, row: sqlite3.Row) -> EventDelivery:
    job = connection.execute("SELECT * FROM jobs WHERE id = ?", (row["job"],)).fetchone()
    webhook = connection.execute("SELECT * FROM hooks WHERE id = ?", (row["hook"],)).fetchone()
    return EventDelivery(
        number=row["number"],
        job=ServiceJob.read(job),
        webhook=AccountWebhook.read(webhook) if webhook else None,
        event=row["event"],
        made_at=row["made_at"],
        tries=row["tries"],
    )


@dataclass(slots=True)
class WebhookSender:
    """Makes the calls that are due."""

    queue: DeliveryQueue
    webhooks: AccountWebhooks
    policy: OutboundPolicy
    clock: Callable[[], float]
    timeout_seconds: float
    """How long a receiver may take."""
    faults: ActiveFaults
    _under_way: set[int] = field(default_factory=set)
    _withheld: set[int] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Say that something may be due."""
        self._wake.set()

    async def check(self, text: str) -> None:
        """Refuse a URL that will never be called.

        Raises:
            Refusal: WEBHOOK_REFUSED.
        """
        await self.policy.resolve(self.policy.parse(text))

    async def run(self, call_makers: Mapping[JobKind, ComposeCall]) -> None:
        """Make calls until cancelled, beginning with what an earlier server left."""
        async with new_client() as client, asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                wait = POLL_SECONDS
                try:
                    for delivery in await asyncio.to_thread(self._due):
                        self._under_way.add(delivery.number)
                        group.create_task(self._deliver(client, delivery, call_makers[delivery.job.kind]))
                    if await asyncio.to_thread(self.queue.is_empty):
                        wait = IDLE_SECONDS
                except (
                    Exception
                ):  # the next read may succeed; the service goes on without webhooks until then
                    logger.exception("the queue of webhooks cannot be read")
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()

    def _due(self) -> list[EventDelivery]:
        return self.queue.due(self.clock(), set(self._under_way), MOST_AT_ONCE - len(self._under_way))

    async def wait_until_delivered(self, job_id: str, seconds: float) -> None:
        """Wait until a job has ended and its webhooks are called, but not longer than `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                # Only a fault waits here: no event is kept for it.
                while not await asyncio.to_thread(self.queue.is_delivered, job_id):  # noqa: ASYNC110
                    await asyncio.sleep(POLL_SECONDS)

    async def _deliver(
        self, client: httpx.AsyncClient, delivery: EventDelivery, compose: ComposeCall
    ) -> None:
        try:
            if await self._is_withheld_by_fault(delivery):
                return
            await self._send(client, delivery, compose)
        except Exception:  # what is wrong with one must not stop the others
            logger.exception("delivery %d is put off", delivery.number)
            await asyncio.to_thread(self._postpone, delivery)
        finally:
            self._under_way.discard(delivery.number)
            self._wake.set()

    async def _is_withheld_by_fault(self, delivery: EventDelivery) -> bool:
        """Tell whether a fault withholds this delivery, for now or for good."""
        if self.faults.strikes("webhook_never"):
            await asyncio.to_thread(self.queue.remove, delivery.number)
            return True
        if delivery.number in self._withheld or delivery.tries:
            return False
        if fault := self.faults.strikes("webhook_out_of_order"):
            self._withheld.add(delivery.number)
            due_at = self.clock() + fault.seconds
            await asyncio.to_thread(self.queue.postpone, delivery.number, due_at, 0)
            return True
        return False

    async def _send(self, client: httpx.AsyncClient, delivery: EventDelivery, compose: ComposeCall) -> None:
        call = compose(delivery)
        if self.faults.strikes("webhook_forged"):
            await self._call(client, _forged(call))
        error = await self._call(client, call)
        if self.faults.strikes("webhook_duplicate"):
            await self._call(client, call)
        await asyncio.to_thread(self._record, delivery, error)

    async def _call(self, client: httpx.AsyncClient, call: WebhookCall) -> str | None:
        """Give what went wrong, or nothing."""
        request = OutboundRequest("POST", {"Content-Type": "application/json", **call.headers}, call.body)
        try:
            async with asyncio.timeout(self.timeout_seconds):
                url = self.policy.parse(call.url)
                async with self.policy.send(client, url, request) as response:
                    return None if response.is_success else f"HTTP {response.status_code}"
        except TimeoutError:
            return f"No answer within {self.timeout_seconds:g} seconds"
        except (httpx.HTTPError, Refusal) as error:
            return str(error) or type(error).__name__

    def _record(self, delivery: EventDelivery, error: str | None) -> None:
        if error is None or delivery.tries >= len(RETRY_SECONDS):
            self.queue.remove(delivery.number)
        else:
            self._postpone(delivery)
        if delivery.webhook is not None:
            self.webhooks.record_call(delivery.webhook.id, error)
        self._withheld.discard(delivery.number)
        for number in self._withheld:  # a later one was delivered: now they are out of order
            self.queue.postpone(number, self.clock(), 0)

    def _postpone(self, delivery: EventDelivery) -> None:
        wait = RETRY_SECONDS[min(delivery.tries, len(RETRY_SECONDS) - 1)]
        self.queue.postpone(delivery.number, self.clock() + wait, delivery.tries + 1)


def _forged(call: WebhookCall) -> WebhookCall:
    """Give the call as somebody without the secret would make it: well formed, wrongly signed."""
    headers = {
        name: value[:-8] + ("0" * 8 if value[-8:] != "0" * 8 else "1" * 8)
        if name.lower().endswith("signature")
        else value
        for name, value in call.headers.items()
    }
    return WebhookCall(call.url, headers, call.body)
