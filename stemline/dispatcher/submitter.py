"""From planned to processing: reserve, commit the intent, submit, and settle what got no answer."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from stemline.budget import Held, Limits
from stemline.client import Lane
from stemline.clock import loop_time
from stemline.dispatcher.state import Floor
from stemline.errors import (
    BudgetReached,
    JobFailed,
    KeyRefused,
    LedgerConflict,
    NoAnswer,
    ProviderGone,
    RetryableError,
    StopRun,
    TerminalError,
)
from stemline.manifest import Kind, kind_of
from stemline.records import Attempt, Code, Job, Submission, Track
from stemline.wire import Others, Request

UPLOADS_AT_ONCE = 8
SUBMITS_AT_ONCE = 2 * UPLOADS_AT_ONCE
"""Tracks taken from the line and not answered for: more would only be kept from the other keys."""
LOOKS_PER_GRACE = 4
LIMITS_SECONDS = 5.0
"""How often a run that waits for its budget looks whether the limits were changed."""


class Submitter:
    """Feeds the provider with planned tracks for as long as there are any, room, and budget."""

    def __init__(self, floor: Floor) -> None:
        """Work on a shop floor."""
        self._floor = floor
        self._leaving = 0
        """Submits that wait for their turn or for their answer."""
        self._balance: int | None = None
        self._balance_at: datetime | None = None
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Submit until nothing is left to submit and nothing that is under way could come back."""
        floor = self._floor
        while not floor.is_stopping:
            if floor.busy >= floor.orders.max_in_flight or self._leaving >= SUBMITS_AT_ONCE:
                await floor.change()
                continue
            track = floor.line.next_track()
            floor.is_feeding = track is not None
            if track is not None:
                await self._start(track, group)
            elif not floor.is_quiet:
                await floor.change()
            elif not floor.line.retry_failed(floor.orders.max_attempts):
                break
        floor.is_feeding = False

    async def read_balance(self) -> int:
        """Ask for the balance, and check reservations against it from now on."""
        self._balance_at = self._floor.ledger.clock()
        self._balance = await self._floor.ask(self._floor.provider.read_balance())
        return self._balance

    async def settle(self, attempt: Attempt) -> None:
        """Find out what became of a submit that got no answer: adopt its job, or free it after the grace time."""
        floor, grace = self._floor, self._floor.provider.facts.grace_seconds
        floor.submitting += 1
        try:
            job = await self._find(attempt)
            # Counted from the first answer, not from when it was sent: the vendor may have been away for longer.
            deadline = loop_time() + grace
            while job is None:
                if (left := deadline - loop_time()) <= 0:
                    # Listed by nobody after the grace time: it never arrived, so it may be submitted again.
                    floor.ledger.release(attempt.token)
                    return
                await floor.rest(min(grace / LOOKS_PER_GRACE, left))
                if floor.is_abandoned:
                    floor.ledger.mark_unknown(
                        attempt.token, "The submit got no answer and the run ended first."
                    )
                    return
                job = await self._find(attempt)
            self._adopt(attempt, job)
        except TerminalError as error:
            floor.ledger.mark_unknown(attempt.token, str(error))
        except StopRun as error:
            floor.ledger.mark_unknown(attempt.token, f"The submit got no answer, and then: {error.message}")
            floor.stop(error, is_abandoned=True)
        finally:
            floor.submitting -= 1
            floor.announce()

    def _limits(self) -> Limits:
        """Give the limits as they are now, with the balance last read."""
        return replace(self._floor.orders.read_limits(), balance=self._balance, balance_at=self._balance_at)

    async def _start(self, track: Track, group: asyncio.TaskGroup) -> None:
        """Reserve a track's credits and submit it in the background."""
        floor = self._floor
        token = f"sl{uuid.uuid4().hex[:20]}"
        try:
            reserved = floor.ledger.reserve(
                floor.orders.run_id,
                track,
                token,
                self._amount(track),
                self._limits(),
                key_id=floor.key.key_id,
            )
        except LedgerConflict:  # another dispatcher on the same ledger was faster
            floor.line.read_again()
            return
        if isinstance(reserved, Held):
            floor.line.read_again()
            await self._wait_for_budget(reserved)
            return
        floor.submitting += 1
        self._leaving += 1
        group.create_task(self._submit(reserved))

    def _amount(self, track: Track) -> int:
        """Give the credits to reserve: of a video, whose length the provider alone knows, the most it may be."""
        most = math.ceil(self._floor.provider.facts.max_duration_seconds)
        return max(1, most if track.credits is None else track.credits)

    async def _submit(self, attempt: Attempt) -> None:
        floor, provider = self._floor, self._floor.provider

        def commit_intent(request: Request) -> None:
            floor.ledger.mark_sending(attempt.token, fence=floor.key.fence, request=request.json)

        try:
            async with self._one_of_few():
                prepared = await self._prepared(attempt)
                submission = await floor.client.run(
                    provider.submit(prepared, floor.orders.hook_url), Lane.SUBMIT, before_paid=commit_intent
                )
        except NoAnswer:
            await self.settle(floor.ledger.attempt(attempt.token))
        except TerminalError as error:
            floor.refuse_attempt(attempt, error.code, error)
        except RetryableError as error:
            floor.refuse_attempt(attempt, Code.UPLOAD_FAILED, error)
        except OSError as error:
            floor.refuse_attempt(attempt, Code.SOURCE_UNREACHABLE, error)
        except StopRun as error:
            floor.ledger.release(attempt.token)
            floor.stop(error, is_abandoned=isinstance(error, KeyRefused | ProviderGone))
        else:
            self._follow(attempt, submission)
        finally:
            floor.submitting -= 1
            floor.announce()

    @asynccontextmanager
    async def _one_of_few(self) -> AsyncIterator[None]:
        """Be one of the submits under way, for the length of the block."""
        try:
            async with self._uploads:
                yield
        finally:
            self._leaving -= 1
            self._floor.announce()

    def _follow(self, attempt: Attempt, submission: Submission) -> None:
        """Book the job a submit was answered with, and wait for it."""
        try:
            self._floor.ledger.record_submission(attempt.token, submission)
        except LedgerConflict as error:  # another attempt was taken for this job's
            self._floor.ledger.mark_unknown(attempt.token, error.message)
        else:
            self._floor.watch_job(attempt, submission.job_id)

    async def _prepared(self, attempt: Attempt) -> Attempt:
        """Give the attempt as the provider is to see it: by link where that may be, else with its file's size."""
        track, client, send = attempt.track, self._floor.client, self._floor.orders.send
        kind = kind_of(track.location)
        if kind is Kind.STORE and send != "upload":
            link = await client.link_to(track.location, is_forced=send == "url")
            if link is not None:
                return replace(attempt, track=replace(track, location=link))
        if track.size_bytes is not None or kind not in {Kind.FILE, Kind.STORE}:
            return attempt
        size = await client.size_of(track.location)
        return replace(attempt, track=replace(track, size_bytes=size))

    async def _find(self, attempt: Attempt) -> Job | None:
        """Ask what a submit came to; raises TerminalError when it cannot be told, about this track alone."""
        floor = self._floor
        try:
            return await floor.client.run(floor.provider.find(attempt, self._others(attempt)), Lane.LOOK)
        except RetryableError as error:
            # The provider answers others: it is this question that fails.
            raise JobFailed(error.message, code=Code.SUBMIT_UNANSWERED) from error

    def _others(self, attempt: Attempt) -> Others:
        """Give what the ledger knows of all other attempts, whichever key they are made with."""
        ledger, kind = self._floor.ledger, self._floor.orders.kind

        def unanswered() -> list[Attempt]:
            sent = [*ledger.ambiguous(kind), *ledger.unknown(kind)]
            return [other for other in sent if other.token != attempt.token]

        return Others(lambda job_id: ledger.find_by_job(kind, job_id) is not None, unanswered)

    def _adopt(self, attempt: Attempt, job: Job) -> None:
        submission = Submission(job.job_id, duration_seconds=job.duration_seconds)
        try:
            self._floor.ledger.record_submission(attempt.token, submission)
        except LedgerConflict as error:  # another attempt has this job
            raise JobFailed(error.message, code=Code.SUBMIT_UNANSWERED) from error
        self._floor.watch_job(attempt, job.job_id)

    async def _wait_for_budget(self, held: Held) -> None:
        """Wait where waiting helps: for credits to settle, or for the next window. Else hold what is left."""
        floor = self._floor
        if held.code is Code.BUDGET_FLOOR and floor.busy:
            await floor.change()
            return
        if held.code is Code.BUDGET_FLOOR and await self._balance_moved():
            return
        if floor.orders.on_limit == "wait" and held.resumes_at is not None:
            await self._wait_for_window(held.resumes_at)
            return
        floor.held = held
        floor.stop(BudgetReached(held.sentence, fix="Raise the limit under `budget`, then run again."))

    async def _wait_for_window(self, opens_at: datetime) -> None:
        """Wait until the next day or month begins, or a person changes the limits."""
        floor, known = self._floor, self._floor.orders.read_limits()
        while not floor.is_stopping and floor.orders.read_limits() == known:
            left = (opens_at - floor.ledger.clock()).total_seconds()
            if left <= 0:
                return
            await floor.change(min(left, LIMITS_SECONDS))

    async def _balance_moved(self) -> bool:
        """Read the balance again; give whether it is another one than the floor was last checked against."""
        known = self._balance
        return await self.read_balance() != known
