"""From planned to processing: reserve, commit the intent, submit, and resolve what got no answer."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from stemline.budget import BudgetHold, Limits
from stemline.client import Lane
from stemline.clock import loop_time
from stemline.dispatcher.session import DispatcherSession
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
from stemline.manifest import LocationKind, location_kind
from stemline.protocol import HttpRequest, OtherAttempts
from stemline.records import Attempt, Code, Job, Submission, Track

UPLOADS_AT_ONCE = 8
SUBMITS_AT_ONCE = 2 * UPLOADS_AT_ONCE
"""Tracks taken from the queue whose submit is not answered yet: more would only be kept from the other keys."""
SEARCHES_PER_GRACE = 4
LIMITS_SECONDS = 5.0
"""How often a run that waits for its budget reads whether the limits were changed."""


class Submitter:
    """Submits planned tracks for as long as there are any, room, and budget."""

    def __init__(self, session: DispatcherSession) -> None:
        """Submit for one dispatcher."""
        self._session = session
        self._unanswered = 0
        """Submits that wait to leave, or for their answer."""
        self._balance: int | None = None
        self._balance_at: datetime | None = None
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Submit until nothing is left to submit and nothing that is under way could come back."""
        session = self._session
        while not session.is_stopping:
            if session.busy >= session.parameters.max_in_flight or self._unanswered >= SUBMITS_AT_ONCE:
                await session.wait_for_change()
                continue
            track = session.track_queue.next_track()
            session.has_more_tracks = track is not None
            if track is not None:
                await self._start(track, group)
            elif not session.is_idle:
                await session.wait_for_change()
            elif not session.track_queue.retry_failed(session.parameters.max_attempts):
                break
        session.has_more_tracks = False

    async def read_balance(self) -> int:
        """Ask for the balance, and check reservations against it from now on."""
        self._balance_at = self._session.ledger.clock()
        self._balance = await self._session.run_or_stop(self._session.provider.read_balance())
        return self._balance

    async def resolve(self, attempt: Attempt) -> None:
        """Find out what became of a submit that got no answer: adopt its job, or free it after the grace time."""
        session, grace = self._session, self._session.provider.facts.grace_seconds
        session.submitting += 1
        try:
            job = await self._find_job(attempt)
            # Counted from the first answer, not from when it was sent: the vendor may have been away for longer.
            deadline = loop_time() + grace
            while job is None:
                if (left := deadline - loop_time()) <= 0:
                    # Listed by nobody after the grace time: it never arrived, so it may be submitted again.
                    session.ledger.attempts.release(attempt.token)
                    return
                await session.sleep(min(grace / SEARCHES_PER_GRACE, left))
                if session.is_abandoned:
                    session.ledger.attempts.mark_unknown(
                        attempt.token, "The submit got no answer and the run ended first."
                    )
                    return
                job = await self._find_job(attempt)
            self._adopt_job(attempt, job)
        except TerminalError as error:
            session.ledger.attempts.mark_unknown(attempt.token, str(error))
        except StopRun as error:
            session.ledger.attempts.mark_unknown(
                attempt.token, f"The submit got no answer, and then: {error.message}"
            )
            session.stop(error, is_abandoned=True)
        finally:
            session.submitting -= 1
            session.notify()

    def _limits(self) -> Limits:
        """Give the limits as they are now, with the balance last read."""
        return replace(
            self._session.parameters.read_limits(), balance=self._balance, balance_at=self._balance_at
        )

    async def _start(self, track: Track, group: asyncio.TaskGroup) -> None:
        """Reserve a track's credits and submit it in the background."""
        session = self._session
        token = f"sl{uuid.uuid4().hex[:20]}"
        try:
            reserved = session.ledger.attempts.reserve(
                session.parameters.run_id,
                track,
                token,
                self._amount(track),
                self._limits(),
                key_id=session.key.key_id,
            )
        except LedgerConflict:  # another dispatcher on the same ledger was faster
            session.track_queue.refresh()
            return
        if isinstance(reserved, BudgetHold):
            session.track_queue.refresh()
            await self._wait_for_budget(reserved)
            return
        session.submitting += 1
        self._unanswered += 1
        group.create_task(self._submit(reserved))

    def _amount(self, track: Track) -> int:
        """Give the credits to reserve: of a video, whose length the provider alone knows, the most it may be."""
        most = math.ceil(self._session.provider.facts.max_duration_seconds)
        return max(1, most if track.credits is None else track.credits)

    async def _submit(self, attempt: Attempt) -> None:
        session, provider = self._session, self._session.provider

        def commit_intent(request: HttpRequest) -> None:
            session.ledger.attempts.mark_sending(attempt.token, fence=session.key.fence, request=request.json)

        try:
            async with self._upload_slot():
                prepared = await self._prepare(attempt)
                submission = await session.client.run(
                    provider.submit(prepared, session.parameters.hook_url),
                    Lane.SUBMIT,
                    before_paid=commit_intent,
                )
        except NoAnswer:
            await self.resolve(session.ledger.attempts.get(attempt.token))
        except TerminalError as error:
            session.refuse_attempt(attempt, error.code, error)
        except RetryableError as error:
            session.refuse_attempt(attempt, Code.UPLOAD_FAILED, error)
        except OSError as error:
            session.refuse_attempt(attempt, Code.SOURCE_UNREACHABLE, error)
        except StopRun as error:
            session.ledger.attempts.release(attempt.token)
            session.stop(error, is_abandoned=isinstance(error, KeyRefused | ProviderGone))
        else:
            self._record_job(attempt, submission)
        finally:
            session.submitting -= 1
            session.notify()

    @asynccontextmanager
    async def _upload_slot(self) -> AsyncIterator[None]:
        """Be one of the submits under way, for the length of the block."""
        try:
            async with self._uploads:
                yield
        finally:
            self._unanswered -= 1
            self._session.notify()

    def _record_job(self, attempt: Attempt, submission: Submission) -> None:
        """Book the job a submit was answered with, and wait for it."""
        try:
            self._session.ledger.attempts.record_submission(attempt.token, submission)
        except LedgerConflict as error:  # another attempt was taken for this job's
            self._session.ledger.attempts.mark_unknown(attempt.token, error.message)
        else:
            self._session.add_job(attempt, submission.job_id)

    async def _prepare(self, attempt: Attempt) -> Attempt:
        """Give the attempt as the provider is to see it: by link where that may be, else with its file's size."""
        track, client, send = attempt.track, self._session.client, self._session.parameters.send
        kind = location_kind(track.location)
        if kind is LocationKind.STORE and send != "upload":
            link = await client.link_to(track.location, is_forced=send == "url")
            if link is not None:
                return replace(attempt, track=replace(track, location=link))
        if track.size_bytes is not None or kind not in {LocationKind.FILE, LocationKind.STORE}:
            return attempt
        size = await client.size_of(track.location)
        return replace(attempt, track=replace(track, size_bytes=size))

    async def _find_job(self, attempt: Attempt) -> Job | None:
        """Give the job a submit has made, None for none so far; raises TerminalError when that cannot be told."""
        session = self._session
        try:
            return await session.client.run(
                session.provider.find(attempt, self._other_attempts(attempt)), Lane.POLL
            )
        except RetryableError as error:
            # The provider answers other requests: it is this question that fails.
            raise JobFailed(error.message, code=Code.SUBMIT_UNANSWERED) from error

    def _other_attempts(self, attempt: Attempt) -> OtherAttempts:
        """Give what the ledger knows of all other attempts, whichever key made them."""
        ledger, kind = self._session.ledger, self._session.parameters.kind

        def unanswered() -> list[Attempt]:
            sent = [*ledger.recovery.unanswered(kind), *ledger.recovery.unknown(kind)]
            return [other for other in sent if other.token != attempt.token]

        return OtherAttempts(lambda job_id: ledger.attempts.find_by_job(kind, job_id) is not None, unanswered)

    def _adopt_job(self, attempt: Attempt, job: Job) -> None:
        submission = Submission(job.job_id, duration_seconds=job.duration_seconds)
        try:
            self._session.ledger.attempts.record_submission(attempt.token, submission)
        except LedgerConflict as error:  # another attempt has this job
            raise JobFailed(error.message, code=Code.SUBMIT_UNANSWERED) from error
        self._session.add_job(attempt, job.job_id)

    async def _wait_for_budget(self, held: BudgetHold) -> None:
        """Wait where waiting helps: for credits to settle, or for the next window. Else hold what is left."""
        session = self._session
        if held.code is Code.BUDGET_FLOOR and session.busy:
            await session.wait_for_change()
            return
        if held.code is Code.BUDGET_FLOOR and await self._has_balance_changed():
            return
        if session.parameters.on_limit == "wait" and held.resumes_at is not None:
            await self._wait_for_window(held.resumes_at)
            return
        session.held = held
        session.stop(BudgetReached(held.sentence, fix="Raise the limit under `budget`, then run again."))

    async def _wait_for_window(self, opens_at: datetime) -> None:
        """Wait until the next day or month begins, or a person changes the limits."""
        session, limits = self._session, self._session.parameters.read_limits()
        while not session.is_stopping and session.parameters.read_limits() == limits:
            left = (opens_at - session.ledger.clock()).total_seconds()
            if left <= 0:
                return
            await session.wait_for_change(min(left, LIMITS_SECONDS))

    async def _has_balance_changed(self) -> bool:
        """Read the balance again; give whether it is another one than the limit was last checked against."""
        before = self._balance
        return await self.read_balance() != before
