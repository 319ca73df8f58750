"""From processing to ready: poll when a job should be done, read its links, pass it to the collector."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from stemline.client import Lane
from stemline.clock import loop_time
from stemline.dispatcher.lost_jobs import LostJobSearch
from stemline.dispatcher.session import DispatcherSession
from stemline.errors import LedgerConflict, RetryableError, StopRun, TerminalError
from stemline.ledger import LostJob
from stemline.records import Attempt, Code, Failure, Job, Phase, State

FEW = 2
"""Up to so many jobs are read one by one: a list page would tell less for the same request."""
LATE_SHARE = 0.2
"""Up to so large a part of the jobs in flight is late, and read one by one; if more are, all of the vendor is slow."""
MISSES = 3
"""How often a list may lack a job before it is asked for by itself, and how often that may fail."""
RELINK_SECONDS = (0.0, 0.25, 0.5, 1.0, 2.0)
"""How long it is waited before a track's links are minted anew, each time that is done within one run."""
RELINKS = len(RELINK_SECONDS)


_FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^\s/]+/)+(?=[^\s/])")
"""The folders before a file's name; not of a URL."""
OF_ANOTHER_KEY = (
    "was made with an API key that is not configured any more, and the present ones are not shown it: "
    "add that key to provider.keys to have it collected."
)


class Poller:
    """Follows the jobs in flight until none is left and everything ready is collected."""

    def __init__(self, session: DispatcherSession) -> None:
        """Poll for one dispatcher."""
        self._session = session
        self.search = LostJobSearch(session)
        self._misses: Counter[str] = Counter()
        self._relinks: Counter[str] = Counter()
        self._unreadable: Counter[str] = Counter()
        self._polled_at = 0.0
        self._reads: set[asyncio.Task[None]] = set()

    async def run(self, group: asyncio.TaskGroup, submitting: asyncio.Task[None]) -> None:
        """Poll, as long as there is something to wait for."""
        session = self._session
        while not (submitting.done() and self._is_done()):
            if not session.has_collector:
                self._drop_reads()
            if not session.in_flight or session.is_abandoned:
                await session.wait_for_change()
                continue
            pause = self._next_poll() - loop_time()
            if pause > 0:
                await session.wait_for_change(pause)
                continue
            try:
                await self._poll(group)
            except StopRun as error:
                session.stop(error, is_abandoned=True)

    def collect_again(
        self, group: asyncio.TaskGroup, attempt: Attempt, job_id: str, *, is_gone: bool
    ) -> None:
        """Read fresh links for a track, unless that was done often.

        What is gone in a second run is gone for good, but not as long as the provider should have it: a store that
        is broken for a day says the same, and what has expired is paid for once more.
        """
        self._relinks[attempt.token] += 1
        if self._relinks[attempt.token] <= RELINKS:
            self.read(group, attempt, job_id, after_seconds=RELINK_SECONDS[self._relinks[attempt.token] - 1])
        elif is_gone and attempt.token in self._session.left_ready and not self.search.is_kept(attempt):
            self._expire(attempt)

    def _expire(self, attempt: Attempt) -> None:
        sentence = "The outputs were deleted before they were collected; `stemline redrive CONFIG` pays for them again."
        self._session.fail_attempt(
            attempt, Failure(attempt.token, State.EXPIRED, Code.OUTPUTS_EXPIRED, sentence)
        )

    def read(
        self, group: asyncio.TaskGroup, attempt: Attempt, job_id: str, *, after_seconds: float = 0.0
    ) -> None:
        """Read a job that is known or believed to be done, in the background."""
        self._session.drop_job(job_id)
        self._session.reading += 1
        task = group.create_task(self._read_job(attempt, job_id, after_seconds))
        self._reads.add(task)
        task.add_done_callback(self._note_read)

    def look_again(self, group: asyncio.TaskGroup, lost: LostJob) -> None:
        """Ask once more, in the background, for a job that an earlier run did not find."""
        self._session.reading += 1
        task = group.create_task(self._look_again(lost))
        self._reads.add(task)
        task.add_done_callback(self._note_read)

    async def _look_again(self, lost: LostJob) -> None:
        try:
            await self.search.take_up(lost)
        except RetryableError:
            return  # the next run asks again
        except StopRun as error:
            self._session.stop(error, is_abandoned=True)

    def _note_read(self, task: asyncio.Task[None]) -> None:
        """Count a read as over, also one that was dropped before it began."""
        self._reads.discard(task)
        self._session.reading -= 1
        self._session.notify()

    def _drop_reads(self) -> None:
        """Leave to the next run what would be read for nobody: at the key's pace, whoever wants it would wait long."""
        for task in self._reads:
            task.cancel()

    def _is_done(self) -> bool:
        session = self._session
        if session.is_abandoned:
            return not (session.submitting or session.reading or session.uncollected)
        return session.is_idle

    def _next_poll(self) -> float:
        """Give when the first job should be done, but no sooner after the last poll than is worth a request."""
        return max(min(self._session.due.values()), self._polled_at + self._session.poll_seconds)

    async def _poll(self, group: asyncio.TaskGroup) -> None:
        session = self._session
        self._polled_at = loop_time()
        late = self._late_jobs()
        wanted = {job_id: each for job_id, each in session.in_flight.items() if job_id not in late}
        if len(wanted) <= FEW or not session.provider.can_list:
            self._read_due(group, session.due)
            return
        self._read_due(group, late)
        due = [each for job_id, each in wanted.items() if session.due[job_id] <= self._polled_at]
        if not due:
            return
        # Those that are due say how far back the list is read; the same pages tell of others as well.
        since = min(_sent_at(attempt) for attempt in due)
        shown = {job_id: each for job_id, each in wanted.items() if _sent_at(each) >= since}
        steps = session.provider.sweep(shown.keys(), since, session.in_flight.keys() - shown.keys())
        try:
            jobs = await session.client.run(steps, Lane.POLL)
        except (
            RetryableError,
            TerminalError,
        ):  # the provider answers other requests: its list alone is broken
            self._read_due(group, shown)
        else:
            self._sort_listed(group, shown, jobs)

    def _late_jobs(self) -> set[str]:
        """Give the few jobs that are late: a list would have to be read far back to show them."""
        session = self._session
        late = {job_id for job_id in session.in_flight if session.is_late(job_id)}
        return late if len(late) <= max(1, LATE_SHARE * len(session.in_flight)) else set()

    def _read_due(self, group: asyncio.TaskGroup, job_ids: Iterable[str]) -> None:
        """Read those of these jobs that should be done, one by one."""
        session = self._session
        for job_id in [job_id for job_id in job_ids if session.due.get(job_id, math.inf) <= self._polled_at]:
            self.read(group, session.in_flight[job_id], job_id)

    def _sort_listed(self, group: asyncio.TaskGroup, shown: dict[str, Attempt], jobs: Sequence[Job]) -> None:
        """Read the jobs a list shows as ended, and those it lacks again and again; wait on for the rest."""
        session = self._session
        for job in jobs:
            self._misses.pop(job.job_id, None)
            attempt = session.in_flight.get(job.job_id)
            if attempt is None:
                continue  # a webhook told of it while the list was on its way
            if job.phase not in {Phase.QUEUED, Phase.RUNNING}:
                self.read(group, attempt, job.job_id)
            elif session.due[job.job_id] <= self._polled_at:
                session.poll_later(attempt, job.job_id)
        for job_id in (shown.keys() & session.in_flight.keys()) - {job.job_id for job in jobs}:
            self._misses[job_id] += 1
            if self._misses[job_id] >= MISSES:
                self.read(group, shown[job_id], job_id)

    async def _read_job(self, attempt: Attempt, job_id: str, after_seconds: float) -> None:
        session = self._session
        try:
            await session.sleep(after_seconds)
            try:
                job = await session.client.run(session.provider.read_job(job_id), Lane.COLLECT)
            except TerminalError as error:
                await self._book_refusal(attempt, job_id, error)
            else:
                self._book_job(attempt, job)
        except RetryableError:
            self._unreadable[attempt.token] += 1
            if self._unreadable[attempt.token] < MISSES:
                session.poll_later(attempt, job_id)  # else it is left to the next run
        except StopRun as error:
            session.stop(error, is_abandoned=True)

    async def _book_refusal(self, attempt: Attempt, job_id: str, error: TerminalError) -> None:
        """Book a job that the provider does not show; that it knows none is not believed at once."""
        session = self._session
        if attempt.token in session.orphans:  # it is another account's; what is under way there is left alone
            session.ledger.quarantine.put_back(attempt.token, f"Job {job_id} {OF_ANOTHER_KEY}")
        elif error.code is not Code.JOB_LOST:
            session.fail_attempt(attempt, Failure(attempt.token, State.FAILED, error.code, str(error)))
        elif self.search.is_doubtful(attempt):
            session.ask_again(attempt, job_id)
        else:
            await self._book_lost(attempt, job_id, error)

    async def _book_lost(self, attempt: Attempt, job_id: str, error: TerminalError) -> None:
        """Book a job that the provider has denied often, unless its list shows it."""
        session = self._session
        listed = await self.search.find_listed(attempt)
        if listed is not None and listed.job_id != job_id:
            self._correct_job(attempt, listed)
        elif listed is not None and listed.phase in {Phase.FAILED, Phase.EXPIRED}:
            self._book_job(attempt, listed)
        elif listed is not None and self.search.is_kept(attempt):
            sentence = f"{error.message} Its list shows job {job_id} all the same: the next run asks again."
            session.ledger.attempts.mark_late(attempt.token, sentence)
        elif listed is not None or attempt.token in session.left_ready:
            self._expire(attempt)
        else:
            session.fail_attempt(attempt, Failure(attempt.token, State.FAILED, error.code, str(error)))

    def _correct_job(self, attempt: Attempt, listed: Job) -> None:
        """Wait for the job that the list shows under our token, not for the one that the submit was answered with."""
        session = self._session
        try:
            known = session.ledger.lost_jobs.correct(attempt.token, listed.job_id)
        except LedgerConflict as error:
            failure = Failure(attempt.token, State.FAILED, Code.JOB_LOST, error.message)
            session.fail_attempt(attempt, failure)
        else:
            session.add_job(known, listed.job_id)

    def _book_job(self, attempt: Attempt, job: Job) -> None:
        """Book what a job has come to."""
        session = self._session
        if job.phase is Phase.DONE:
            session.speed.learn(job)
            session.track_queue.count_success(attempt.track.track_id)
            is_news = session.ledger.attempts.record_ready(attempt.token, job)
            session.finished += is_news
            if is_news:
                session.charges.note(attempt, job)
            is_last = self._relinks[attempt.token] >= RELINKS
            session.pass_on(attempt, job, is_repeated=not is_news, is_last=is_last)
        elif job.phase is Phase.FAILED:
            sentence = f"{session.parameters.kind} could not separate it: {_reason(job.message)}"
            failure = Failure(attempt.token, State.FAILED, Code.JOB_FAILED, sentence, is_retryable=True)
            session.fail_attempt(attempt, failure)
        elif job.phase is Phase.EXPIRED:
            self._expire(attempt)
        else:
            session.poll_later(attempt, job.job_id)


def _reason(message: str | None) -> str:
    """Give why a job failed, without the folders of the service's own machine."""
    return _FOLDERS.sub("", message or "no reason given")


def _sent_at(attempt: Attempt) -> datetime:
    """Give when an attempt was sent, which all in flight were."""
    return attempt.sent_at or datetime.min.replace(tzinfo=UTC)
