"""Webhook calls: a queue on disk that survives a restart, and the messenger who empties it.

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

from stemline_local.database import Database
from stemline_local.fault import Faults
from stemline_local.hook import Hook, Hooks
from stemline_local.job import Job, Kind
from stemline_local.reach import Letter, Reach, new_client
from stemline_local.refusal import Refusal

RETRY_SECONDS = (2, 10, 60, 300, 1_800)
"""How long after each failed call the next one is made; after the last it is given up."""
LOOK_SECONDS = 0.2
"""How often the queue is looked at while something in it waits."""
IDLE_SECONDS = 60.0
MOST_AT_ONCE = 32

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something to be told: the end of a job."""

    number: int
    job: Job
    hook: Hook | None
    event: str
    made_at: float
    tries: int


@dataclass(frozen=True, slots=True)
class Message:
    """One call, composed."""

    url: str
    headers: Mapping[str, str]
    body: bytes


Compose = Callable[[Delivery], Message]


@dataclass(frozen=True, slots=True)
class Queue:
    """What is still to be told."""

    _database: Database

    def due(self, now: float, busy: set[int], most: int) -> list[Delivery]:
        """Give what is to be told by now and is not under way, oldest first."""
        query = "SELECT * FROM deliveries WHERE due_at <= ? ORDER BY due_at, number LIMIT ?"
        with self._database.transaction() as connection:
            rows = connection.execute(query, (now, most + len(busy))).fetchall()
            return [_read(connection, row) for row in rows if row["number"] not in busy][:most]

    def is_empty(self) -> bool:
        """Tell whether nothing waits."""
        with self._database.transaction() as connection:
            return connection.execute("SELECT 1 FROM deliveries LIMIT 1").fetchone() is None

    def is_told(self, job_id: str) -> bool:
        """Tell whether a job has ended and everybody knows."""
        query = (
            "SELECT 1 FROM jobs WHERE id = ? AND completed_at IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE job = jobs.id)"
        )
        with self._database.transaction() as connection:
            return connection.execute(query, (job_id,)).fetchone() is not None

    def remove(self, number: int) -> None:
        """Forget what has been told."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM deliveries WHERE number = ?", (number,))

    def put_off(self, number: int, due_at: float, tries: int) -> None:
        """Tell it later."""
        query = "UPDATE deliveries SET due_at = ?, tries = ? WHERE number = ?"
        with self._database.transaction() as connection:
            connection.execute(query, (due_at, tries, number))


def _read(connection: sqlite3.Connection, row: sqlite3.Row) -> Delivery:
    job = connection.execute("SELECT * FROM jobs WHERE id = ?", (row["job"],)).fetchone()
    hook = connection.execute("SELECT * FROM hooks WHERE id = ?", (row["hook"],)).fetchone()
    return Delivery(
        number=row["number"],
        job=Job.read(job),
        hook=Hook.read(hook) if hook else None,
        event=row["event"],
        made_at=row["made_at"],
        tries=row["tries"],
    )


@dataclass(slots=True)
class Messenger:
    """Makes the calls."""

    queue: Queue
    hooks: Hooks
    reach: Reach
    clock: Callable[[], float]
    seconds: float
    """How long a receiver may take."""
    faults: Faults
    _busy: set[int] = field(default_factory=set)
    _held: set[int] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Say that something may be due."""
        self._wake.set()

    async def check(self, text: str) -> None:
        """Refuse a URL that will never be called.

        Raises:
            Refusal: HOOK_REFUSED.
        """
        await self.reach.addresses(self.reach.parsed(text))

    async def run(self, composers: Mapping[Kind, Compose]) -> None:
        """Make calls until cancelled, beginning with what an earlier server left."""
        async with new_client() as client, asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                wait = LOOK_SECONDS
                try:
                    for delivery in await asyncio.to_thread(self._due):
                        self._busy.add(delivery.number)
                        group.create_task(self._deliver(client, delivery, composers[delivery.job.kind]))
                    if await asyncio.to_thread(self.queue.is_empty):
                        wait = IDLE_SECONDS
                except (
                    Exception
                ):  # the next look may succeed; the service goes on without webhooks until then
                    logger.exception("the queue of webhooks cannot be read")
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()

    def _due(self) -> list[Delivery]:
        return self.queue.due(self.clock(), set(self._busy), MOST_AT_ONCE - len(self._busy))

    async def told(self, job_id: str, seconds: float) -> None:
        """Wait until a job has ended and everybody knows, but not longer than `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                # Only a fault waits here: no event is kept for it.
                while not await asyncio.to_thread(self.queue.is_told, job_id):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_SECONDS)

    async def _deliver(self, client: httpx.AsyncClient, delivery: Delivery, compose: Compose) -> None:
        try:
            if await self._is_kept_back(delivery):
                return
            await self._send(client, delivery, compose)
        except Exception:  # what is wrong with one must not stop the others
            logger.exception("delivery %d is put off", delivery.number)
            await asyncio.to_thread(self._put_off, delivery)
        finally:
            self._busy.discard(delivery.number)
            self._wake.set()

    async def _is_kept_back(self, delivery: Delivery) -> bool:
        """Tell whether a fault keeps this from being told, now or at all."""
        if self.faults.strikes("webhook_never"):
            await asyncio.to_thread(self.queue.remove, delivery.number)
            return True
        if delivery.number in self._held or delivery.tries:
            return False
        if fault := self.faults.strikes("webhook_out_of_order"):
            self._held.add(delivery.number)
            due_at = self.clock() + fault.seconds
            await asyncio.to_thread(self.queue.put_off, delivery.number, due_at, 0)
            return True
        return False

    async def _send(self, client: httpx.AsyncClient, delivery: Delivery, compose: Compose) -> None:
        message = compose(delivery)
        if self.faults.strikes("webhook_forged"):
            await self._call(client, _forged(message))
        error = await self._call(client, message)
        if self.faults.strikes("webhook_duplicate"):
            await self._call(client, message)
        await asyncio.to_thread(self._record, delivery, error)

    async def _call(self, client: httpx.AsyncClient, message: Message) -> str | None:
        """Give what went wrong, or nothing."""
        letter = Letter("POST", {"Content-Type": "application/json", **message.headers}, message.body)
        try:
            async with asyncio.timeout(self.seconds):
                url = self.reach.parsed(message.url)
                async with self.reach.request(client, url, letter) as response:
                    return None if response.is_success else f"HTTP {response.status_code}"
        except TimeoutError:
            return f"No answer within {self.seconds:g} seconds"
        except (httpx.HTTPError, Refusal) as error:
            return str(error) or type(error).__name__

    def _record(self, delivery: Delivery, error: str | None) -> None:
        if error is None or delivery.tries >= len(RETRY_SECONDS):
            self.queue.remove(delivery.number)
        else:
            self._put_off(delivery)
        if delivery.hook is not None:
            self.hooks.record_call(delivery.hook.id, error)
        self._held.discard(delivery.number)
        for number in self._held:  # a later one has been told: now they are out of order
            self.queue.put_off(number, self.clock(), 0)

    def _put_off(self, delivery: Delivery) -> None:
        wait = RETRY_SECONDS[min(delivery.tries, len(RETRY_SECONDS) - 1)]
        self.queue.put_off(delivery.number, self.clock() + wait, delivery.tries + 1)


def _forged(message: Message) -> Message:
    """Give the message as somebody without the secret would send it: well formed, wrongly signed."""
    headers = {
        name: value[:-8] + ("0" * 8 if value[-8:] != "0" * 8 else "1" * 8)
        if name.lower().endswith("signature")
        else value
        for name, value in message.headers.items()
    }
    return Message(message.url, headers, message.body)
