"""Jobs that the provider says it does not know: asked for again and looked for in its list before that is believed.

A vendor that answers from a copy may not know yet what it has just made, and what is paid is never paid again for it.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from stemline.client import Lane
from stemline.dispatcher.session import DispatcherSession
from stemline.errors import LedgerConflict, RetryableError, StopRun, TerminalError
from stemline.ledger import LostJob
from stemline.protocol import OtherAttempts
from stemline.records import Attempt, Job, Track
from stemline.settings import outputs_kept_since

DENIALS = 3
"""How often, a poll apart, the provider says that it knows no such job before its list is asked."""
UNASKED = "was not known to the provider, and could not be asked for once more before it is paid again:"
AGAIN = "Run again: it is asked for once more, for nothing."
NO_OTHERS = OtherAttempts(lambda _: True, lambda: ())
"""Only a job that carries our own token is taken for ours: whatever else fits may be another attempt's."""


class LostJobSearch:
    """Looks for the jobs of one key that the provider does not know."""

    def __init__(self, session: DispatcherSession) -> None:
        """Search for one dispatcher."""
        self._session = session
        self._denied: Counter[str] = Counter()
        self._lock = asyncio.Lock()

    def is_doubtful(self, attempt: Attempt) -> bool:
        """Take note that the provider knows no job of an attempt; tell whether it is to be asked again."""
        self._denied[attempt.token] += 1
        return self._denied[attempt.token] < DENIALS

    def is_kept(self, attempt: Attempt) -> bool:
        """Tell whether the provider should still have the outputs of an attempt's job."""
        kept_since = outputs_kept_since(self._session.provider.facts, self._session.ledger.clock())
        return attempt.sent_at is None or attempt.sent_at >= kept_since

    async def find_listed(self, attempt: Attempt) -> Job | None:
        """Give the job that the list shows under an attempt's job id, else under its token; None where there is none.

        Raises RetryableError where the list gives no answer, as long as nothing can be told.
        """
        session, provider = self._session, self._session.provider
        if not provider.can_list or attempt.job_id is None or attempt.sent_at is None:
            return None
        steps = provider.sweep([attempt.job_id], attempt.sent_at)
        for job in await session.client.run(steps, Lane.POLL):
            if job.job_id == attempt.job_id:
                return job
        try:
            found = await session.client.run(provider.find(attempt, NO_OTHERS), Lane.POLL)
        except TerminalError:
            return None
        return found if found is not None and attempt.token in (found.file_name or "") else None

    async def take_up(self, lost: LostJob, *, searches_list: bool = False) -> bool:
        """Ask for a lost job once more, and wait for it again if it is there; give whether it is.

        With `searches_list` the list is asked as well, as it is before anybody pays again.
        Raises RetryableError where nothing can be told.
        """
        session, attempt = self._session, lost.attempt
        async with self._lock:  # two at once would take it up twice
            job = await self._read(attempt)
            if job is None and searches_list:
                job = await self.find_listed(attempt)
            if job is None:
                return False
            try:
                known = session.ledger.lost_jobs.take_up(attempt.token, job.job_id)
            except LedgerConflict:  # it was taken up, or sent again, meanwhile
                return False
        session.track_queue.forget_lost(attempt.track.track_id)
        session.carry_over(known)
        session.add_job(known, job.job_id)
        return True

    async def spares(self, track: Track) -> bool:
        """Tell whether a track needs not be paid for again: its lost job is there, or it cannot be asked for now."""
        session = self._session
        lost = session.track_queue.find_lost(track.track_id)
        if lost is None:
            return False
        try:
            is_spared = await self.take_up(lost, searches_list=True)
        except RetryableError as error:
            session.ledger.lost_jobs.leave(
                lost.attempt.token, f"Job {lost.attempt.job_id} {UNASKED} {error.message} {AGAIN}"
            )
            is_spared = True
        except StopRun as error:
            session.stop(error, is_abandoned=True)
            return True
        session.track_queue.forget_lost(track.track_id)
        return is_spared

    async def _read(self, attempt: Attempt) -> Job | None:
        if attempt.job_id is None:
            return None
        try:
            return await self._session.client.run(
                self._session.provider.read_job(attempt.job_id), Lane.COLLECT
            )
        except TerminalError:
            return None
