"""From planned to processing: reserve, commit the intent, submit, and resolve what got no answer."""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from stemline.budget import BudgetHold, Limits, check_limits
from stemline.client import Lane
from stemline.dispatcher.account_balance import AccountBalance
from stemline.dispatcher.lost_jobs import LostJobSearch
from stemline.dispatcher.session import DispatcherSession
from stemline.dispatcher.unanswered import UnansweredSubmits
from stemline.errors import (
    AudioRejected,
    BudgetReached,
    KeyRefused,
    LeaseHeld,
    LedgerConflict,
    NoAnswer,
    OutOfCredits,
    PilotFailed,
    ProviderGone,
    RetryableError,
    StopRun,
    SubmitsRefused,
    SubmitWithdrawn,
    TerminalError,
)
from stemline.manifest import LocationKind, location_kind
from stemline.protocol import HttpRequest
from stemline.records import Attempt, Code, State, Submission, Track

logger = logging.getLogger(__name__)

UPLOADS_AT_ONCE = 8
SUBMITS_AT_ONCE = 2 * UPLOADS_AT_ONCE
"""Tracks taken from the queue whose submit is not answered yet: more would only be kept from the other keys."""
OF_BALANCE = {Code.BUDGET_FLOOR, Code.OUT_OF_CREDITS}
PILOT_SECONDS = 5.0
"""How often a key with nothing to do asks what other runs have made of the pilot; keys of its own run wake it."""
OTHERS_SECONDS = 1.0
"""How often a key that waits for its balance looks whether other keys have anything under way."""
LIMITS_SECONDS = 5.0
"""How often a run that waits for its budget reads whether the limits were changed."""
RAISING_BUDGET = "Raise the limit under `budget`, then run again."
RAISING = {
    Code.BUDGET_BACKFILL: "Raise it with `stemline backfills CONFIG --change NAME --credits N`, then go on.",
    Code.BUDGET_SHARE: "Raise it with `stemline backfills CONFIG --change NAME --share 100%`, then go on.",
}
"""What to do about a limit; RAISING_BUDGET for those that are the budget's."""
RUN_AGAIN = "Run again: nothing was paid, and each run tries it again."
"""What to do about an upload that failed."""
TOMORROW = {
    Code.BUDGET_SHARE: "Go on tomorrow, or raise it with `stemline backfills CONFIG --change NAME --share 100%`."
}
"""What to do about a limit that lets the track through once its window is over."""


class Submitter:
    """Submits planned tracks for as long as there are any, room, and budget."""

    def __init__(self, session: DispatcherSession, lost_jobs: LostJobSearch) -> None:
        """Submit for one dispatcher."""
        self._session, self._lost_jobs = session, lost_jobs
        self._unanswered = 0
        """Submits that wait to leave, or for their answer."""
        self.balance = AccountBalance(session)
        self._reserved_under = Limits()
        """The limits of the last reservation."""
        self._search = UnansweredSubmits(session, self.balance)
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Submit until nothing is left to submit, nothing that is under way could come back, or the pilot fails."""
        session = self._session
        try:
            await self._submit_all(group)
        except PilotFailed as error:
            session.stop_for_pilot(error)
        session.track_queue.leave(session.key.key_id)
        session.has_more_tracks = False

    async def _submit_all(self, group: asyncio.TaskGroup) -> None:
        session = self._session
        while not session.is_stopping:
            if not session.has_room or self._unanswered >= SUBMITS_AT_ONCE:
                await session.wait_for_change()
                continue
            track = session.track_queue.next_track(session.key.key_id)
            session.has_more_tracks = track is not None
            if track is not None and not await self._lost_jobs.spares(track):
                await self._start(track, group)
            elif track is not None:
                session.track_queue.reserved(track)
            elif not session.is_idle or session.parameters.read_selected() is None:
                await session.wait_for_change()
            elif await self._search.free_uncharged():
                continue
            elif session.track_queue.awaits_pilot(session.key.key_id):
                await session.wait_for_change(PILOT_SECONDS)
            elif not (self._retries_failed() or session.track_queue.may_have_more(session.key.key_id)):
                break

    def _retries_failed(self) -> bool:
        session = self._session
        return session.track_queue.retry_failed(session.key.key_id, session.parameters.max_attempts)

    async def resolve(self, attempt: Attempt) -> None:
        """Find out what became of a submit that got no answer."""
        await self._search.resolve(attempt)

    async def _start(self, track: Track, group: asyncio.TaskGroup) -> None:
        """Reserve a track's credits and submit it in the background."""
        session = self._session
        token, limits = f"sl{uuid.uuid4().hex[:20]}", self.balance.limits()
        try:
            reserved = session.ledger.attempts.reserve(
                session.parameters.run_id,
                track,
                token,
                self._amount(track),
                limits,
                key_id=session.key.key_id,
                pilot=session.track_queue.question,
            )
        except LedgerConflict:  # another run on the same ledger was faster
            session.track_queue.note_rival()
            return
        finally:
            session.track_queue.reserved(track)
        if isinstance(reserved, BudgetHold):
            session.track_queue.refresh()
            await self._wait_for_budget(reserved, self._amount(track))
            return
        self._reserved_under = limits
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
            self._commit_intent(attempt, request)

        try:
            async with self._upload_slot():
                prepared = await self._prepare(attempt)
                submission = await session.client.run(
                    provider.submit(prepared, session.parameters.hook_url),
                    Lane.SUBMIT,
                    before_paid=commit_intent,
                )
        except SubmitWithdrawn:
            session.release_attempt(attempt)
        except NoAnswer:
            await self.resolve(session.ledger.attempts.get(attempt.token))
        except AudioRejected as error:
            session.release_attempt(attempt, error.code, str(error), state=State.REJECTED)
        except TerminalError as error:
            session.refuse_attempt(attempt, error.code, error)
        except RetryableError as error:
            error.fix = error.fix or RUN_AGAIN
            session.refuse_attempt(attempt, Code.UPLOAD_FAILED, error)
        except OSError as error:
            session.refuse_attempt(attempt, Code.SOURCE_UNREACHABLE, error)
        except StopRun as error:
            session.release_attempt(attempt)
            is_over = isinstance(error, KeyRefused | LeaseHeld | ProviderGone)
            session.stop(error, is_abandoned=is_over and not isinstance(error, SubmitsRefused))
        else:
            self._record_job(attempt, submission)
        finally:
            session.submitting -= 1
            session.notify()

    def _commit_intent(self, attempt: Attempt, request: HttpRequest) -> None:
        """Commit that the paid request leaves; raises LeaseHeld when the lease does not last until then."""
        session, attempts = self._session, self._session.ledger.attempts

        def commit() -> None:
            attempts.mark_sending(
                attempt.token,
                fence=session.key.fence,
                request=request.json,
                balance=self.balance.reading,
            )

        session.lease.hold()
        try:
            commit()
        except LeaseHeld:  # this machine may have slept past its end: whoever still has it may renew it
            session.lease.renew()
            commit()
        except (
            LedgerConflict
        ) as error:  # meanwhile a run on another key took it for left behind, and freed it
            raise SubmitWithdrawn(error.message) from error
        session.lease.require()  # the ledger may have taken long

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
        session = self._session
        try:
            accepted = session.ledger.attempts.record_submission(attempt.token, submission)
        except (
            LedgerConflict
        ) as error:  # another attempt was taken for this job's, or another run has the key
            logger.warning("Job %s was made for %s: %s", submission.job_id, attempt.track.track_id, error)
            session.ledger.attempts.mark_unknown(attempt.token, error.message)
        else:
            session.add_job(accepted, submission.job_id)

    async def _prepare(self, attempt: Attempt) -> Attempt:
        """Give the attempt as the provider is to see it: by link where that may be, else with its file's size.

        Raises AudioRejected for a file of another size than the one that was opened and measured, perhaps weeks ago:
        it may be no audio, or longer than anybody has agreed to pay for.
        """
        track, client, send = attempt.track, self._session.client, self._session.parameters.send
        kind = location_kind(track.location)
        if kind is LocationKind.STORE and send != "upload":
            link = await client.link_to(track.location, is_forced=send == "url")
            if link is not None:
                return replace(attempt, track=replace(track, location=link))
        if kind not in {LocationKind.FILE, LocationKind.STORE}:
            return attempt
        size = await client.size_of(track.location)
        if track.size_bytes not in (None, size):
            raise AudioRejected(
                f"The file has {size:,} bytes, and {track.size_bytes:,} when it was measured: nothing of it was sent.",
                code=Code.SOURCE_CHANGED,
            )
        return replace(attempt, track=replace(track, size_bytes=size))

    async def _wait_for_budget(self, held: BudgetHold, amount: int) -> None:
        """Wait where waiting helps: for credits to settle, or for the next window. Else hold what is left."""
        session = self._session
        if self._unanswered and not self._is_passed():
            await session.wait_for_change()  # what is reserved leaves first: nothing does once the run stops
            return
        if self._search.may_free:
            if not session.is_idle:
                await session.wait_for_change()
            else:
                await self._search.free_uncharged()
            return
        if held.code in OF_BALANCE and session.busy:
            await session.wait_for_change()
            return
        if held.code in OF_BALANCE and self.balance.is_moving:
            await session.wait_for_change(OTHERS_SECONDS)
            return
        if held.code in OF_BALANCE and await self.balance.covers(amount):
            return
        if session.parameters.on_limit == "wait" and held.resumes_at is not None:
            await self._wait_for_window(held.resumes_at)
            return
        session.held = held
        if held.code is Code.OUT_OF_CREDITS:
            session.stop(OutOfCredits(held.sentence, fix="Buy credits, then run again."))
        else:
            raising = RAISING | (TOMORROW if held.resumes_at is not None else {})
            session.stop(BudgetReached(held.sentence, fix=raising.get(held.code, RAISING_BUDGET)))

    def _is_passed(self) -> bool:
        """Tell whether more is reserved than the limits allow, for a person has lowered them.

        Where they are as they were, a run with larger ones over the same ledger has taken the room: what was reserved
        before that had its own.
        """
        session, limits = self._session, self._session.parameters.read_limits()
        if limits.caps == self._reserved_under.caps:
            return False
        spending = session.ledger.credits.spending(session.parameters.run_id, limits)
        caps = replace(limits, floor=None)
        return check_limits(0, caps, spending, session.ledger.clock()) is not None

    async def _wait_for_window(self, opens_at: datetime) -> None:
        """Wait until the next day or month begins, or a person changes the limits."""
        session, limits = self._session, self._session.parameters.read_limits()
        while not session.is_stopping and session.parameters.read_limits() == limits:
            left = (opens_at - session.ledger.clock()).total_seconds()
            if left <= 0:
                return
            await session.wait_for_change(min(left, LIMITS_SECONDS))
