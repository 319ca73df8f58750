"""From processing to ready: look when a job should be done, read its links, hand it to the collector."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from stemline.client import Lane
from stemline.clock import loop_time
from stemline.dispatcher.state import Floor
from stemline.errors import RetryableError, StopRun, TerminalError
from stemline.records import Attempt, Code, Failure, Job, Phase, State

FEW = 2
"""Up to so many jobs are read one by one: a list page would tell less for the same request."""
MISSES = 3
"""How often a list may lack a job before it is asked for by itself, and how often that may fail."""
RELINKS = 5
"""How often a track's links are minted anew within one run."""


class Watcher:
    """Follows the jobs in flight until none is left and everything ready is collected."""

    def __init__(self, floor: Floor) -> None:
        """Work on a shop floor."""
        self._floor = floor
        self._misses: Counter[str] = Counter()
        self._relinks: Counter[str] = Counter()
        self._unreadable: Counter[str] = Counter()
        self._looked_at = 0.0

    async def run(self, group: asyncio.TaskGroup, submitting: asyncio.Task[None]) -> None:
        """Look, as long as there is something to look for."""
        floor = self._floor
        while not (submitting.done() and self._is_done()):
            if not floor.in_flight or floor.is_abandoned:
                await floor.change()
                continue
            pause = self._next_look() - loop_time()
            if pause > 0:
                await floor.change(pause)
                continue
            try:
                await self._look(group)
            except StopRun as error:
                floor.stop(error, is_abandoned=True)

    def collect_again(
        self, group: asyncio.TaskGroup, attempt: Attempt, job_id: str, *, is_gone: bool
    ) -> None:
        """Read fresh links for a track, unless that was done often; what is gone in a second run is gone for good."""
        self._relinks[attempt.token] += 1
        if self._relinks[attempt.token] <= RELINKS:
            self.read(group, attempt, job_id)
        elif is_gone and attempt.token in self._floor.left_ready:
            self._expire(attempt)

    def _expire(self, attempt: Attempt) -> None:
        sentence = (
            "The outputs were deleted before they were collected; `stemline redrive` pays for them again."
        )
        self._floor.fail_attempt(Failure(attempt.token, State.EXPIRED, Code.OUTPUTS_EXPIRED, sentence))

    def read(self, group: asyncio.TaskGroup, attempt: Attempt, job_id: str) -> None:
        """Read a job that is known or believed to be done, in the background."""
        self._floor.forget_job(job_id)
        self._floor.reading += 1
        group.create_task(self._read(attempt, job_id))

    def _is_done(self) -> bool:
        floor = self._floor
        if floor.is_abandoned:
            return not (floor.submitting or floor.reading or floor.uncollected)
        return floor.is_quiet

    def _next_look(self) -> float:
        """Give when the first job should be done, but no sooner after the last look than is worth a request."""
        return max(min(self._floor.due.values()), self._looked_at + self._floor.sweep_seconds)

    async def _look(self, group: asyncio.TaskGroup) -> None:
        floor = self._floor
        self._looked_at = loop_time()
        if len(floor.in_flight) <= FEW or not floor.provider.can_list:
            self._read_due(group)
            return
        wanted = dict(floor.in_flight)
        since = min(attempt.sent_at or floor.ledger.clock() for attempt in wanted.values())
        try:
            jobs = await floor.client.run(floor.provider.sweep(wanted.keys(), since), Lane.LOOK)
        except (RetryableError, TerminalError):  # the provider answers others: its list alone is broken
            self._read_due(group)
        else:
            self._sort(group, wanted, jobs)

    def _read_due(self, group: asyncio.TaskGroup) -> None:
        """Read the jobs that should be done, one by one."""
        floor = self._floor
        for job_id in [job_id for job_id, due in floor.due.items() if due <= self._looked_at]:
            self.read(group, floor.in_flight[job_id], job_id)

    def _sort(self, group: asyncio.TaskGroup, wanted: dict[str, Attempt], jobs: Sequence[Job]) -> None:
        """Read the jobs a list shows as ended, and those it lacks again and again; wait on for the others."""
        floor = self._floor
        for job in jobs:
            self._misses.pop(job.job_id, None)
            if job.job_id not in floor.in_flight:
                continue  # a webhook told of it while the list was on its way
            if job.phase not in {Phase.QUEUED, Phase.RUNNING}:
                self.read(group, wanted[job.job_id], job.job_id)
            elif floor.due[job.job_id] <= self._looked_at:
                floor.watch_longer(wanted[job.job_id], job.job_id)
        for job_id in (wanted.keys() & floor.in_flight.keys()) - {job.job_id for job in jobs}:
            self._misses[job_id] += 1
            if self._misses[job_id] >= MISSES:
                self.read(group, wanted[job_id], job_id)

    async def _read(self, attempt: Attempt, job_id: str) -> None:
        floor = self._floor
        try:
            job = await floor.client.run(floor.provider.read_job(job_id), Lane.COLLECT)
        except TerminalError as error:
            if attempt.token not in floor.strays:  # else it is another account's, and none of our business
                floor.fail_attempt(Failure(attempt.token, State.FAILED, error.code, str(error)))
        except RetryableError:
            self._unreadable[attempt.token] += 1
            if self._unreadable[attempt.token] < MISSES:
                floor.watch_longer(attempt, job_id)  # else it is left to the next run
        except StopRun as error:
            floor.stop(error, is_abandoned=True)
        else:
            self._conclude(attempt, job)
        finally:
            floor.reading -= 1
            floor.announce()

    def _conclude(self, attempt: Attempt, job: Job) -> None:
        """Book what a job has come to."""
        floor = self._floor
        if job.phase is Phase.DONE:
            floor.speed.learn(job)
            floor.finished += floor.ledger.record_ready(attempt.token, job)
            floor.hand_over(attempt, job)
        elif job.phase is Phase.FAILED:
            sentence = f"{floor.orders.kind} could not separate it: {job.message or 'no reason given'}"
            failure = Failure(attempt.token, State.FAILED, Code.JOB_FAILED, sentence, is_retryable=True)
            floor.fail_attempt(failure)
        elif job.phase is Phase.EXPIRED:
            self._expire(attempt)
        else:
            floor.watch_longer(attempt, job.job_id)
