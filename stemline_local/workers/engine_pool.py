"""The pool of engine processes: takes pending jobs from the store and has each separated by a process of the pool.

Each process has a pipe of its own, rather than all a process pool: one that is killed then costs its own job one
retry and no other job anything, and stopping does not wait for the job in hand.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stemline_local.faults import ActiveFaults
from stemline_local.files.file_storage import FileStorage
from stemline_local.jobs.job import JobKind, JobOutcome, ServiceJob
from stemline_local.jobs.job_store import JobStore
from stemline_local.workers.engine_process import EngineProcess, EngineProcessLost
from stemline_local.workers.spoilt_stems import spoil_stems

FIRST_PACE = 0.1
"""Seconds of work a second of audio is believed to take before the first job is done."""

POLL_SECONDS = 0.2
"""How often a job that is slowed down reads the clock, which a test may move."""
WHOLE_SOURCE = {JobKind.YOUTUBE: "fullAudio"}
"""Under which name a kind of job also gets its source, whole."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How many processes separate, how many jobs stand at PROCESSING at once, which engine is used, and how fast."""

    processes: int
    running: int
    engine: str
    speed: float | None = None


@dataclass(slots=True)
class EnginePool:
    """Has pending jobs separated, so many at once."""

    jobs: JobStore
    storage: FileStorage
    settings: PoolSettings
    clock: Callable[[], float]
    faults: ActiveFaults
    on_end: Callable[[], None]
    """Is called when some job has ended."""
    _idle: asyncio.Queue[EngineProcess] = field(default_factory=asyncio.Queue)
    _pending: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """One permit for each pending job."""
    _progress: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled, beginning with what an earlier server left."""
        for _ in range(await asyncio.to_thread(self.jobs.resume)):
            self._pending.release()
        processes = [EngineProcess() for _ in range(self.settings.processes)]
        for process in processes:
            self._idle.put_nowait(process)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.settings.running):
                    group.create_task(self._run_jobs())
        finally:
            for process in processes:
                await process.stop()

    def wake(self) -> None:
        """Say that one more job is pending."""
        self._pending.release()

    def progress(self, job: ServiceJob) -> float:
        """Give how much of a running job is done, 0 to 1."""
        done = self._progress.get(job.id, 0.0)
        if self.settings.speed is None or job.started_at is None:
            return done
        return min(done, (self.clock() - job.started_at) / (job.duration_seconds * self.settings.speed))

    def estimated_seconds(self) -> int:
        """Give how long everything that is pending or running will take, judged by the latest jobs."""
        pace = self.jobs.pace() or self.settings.speed or FIRST_PACE
        return 1 + math.ceil(self.jobs.waiting_seconds() * pace / self.settings.running)

    async def _run_jobs(self) -> None:
        while True:
            await self._pending.acquire()
            job = await asyncio.to_thread(self.jobs.claim)
            if job is not None and not self.faults.strikes("job_stuck"):
                await self._run_job(job)

    async def _run_job(self, job: ServiceJob) -> None:
        try:
            await self._separate(job)
        except (EngineProcessLost, OSError) as error:
            logger.warning("job %s was interrupted: %r", job.id, error)
            self.storage.remove(f"outputs/{job.id}")
            if await asyncio.to_thread(self.jobs.requeue, job.id):
                self.wake()
                return
        except Exception:  # the next jobs must go on; a restart finds this one again
            logger.exception("job %s is left as it is", job.id)
            return
        finally:
            self._progress.pop(job.id, None)
        self.storage.remove(f"sources/{job.id}")
        self.on_end()

    async def _separate(self, job: ServiceJob) -> None:
        outputs = f"outputs/{job.id}"
        self.storage.remove(outputs)
        folder = self.storage.path(outputs)
        folder.mkdir()
        order = {
            "source": str(self.storage.path(job.source)),
            "folder": str(folder),
            "stems": job.stems,
            "quality": job.quality,
            "format": job.format,
            "engine": self.settings.engine,
            "mix": WHOLE_SOURCE.get(job.kind, ""),
        }
        process = await self._idle.get()
        try:
            answer = await process.separate(order, lambda done: self._progress.update({job.id: done}))
        finally:
            self._idle.put_nowait(process)
        self._progress[job.id] = 1.0
        await self._wait_for_pace(job)
        await asyncio.to_thread(self._record, job, answer)

    async def _wait_for_pace(self, job: ServiceJob) -> None:
        ends_at = (job.started_at or 0) + job.duration_seconds * (self.settings.speed or 0)
        while (left := ends_at - self.clock()) > 0:  # noqa: ASYNC110 - a clock gives no event
            await asyncio.sleep(min(left, POLL_SECONDS))

    def _record(self, job: ServiceJob, answer: dict[str, Any]) -> None:
        is_charged = self.faults.strikes("failed_after_charging") is not None
        if "error" in answer or is_charged:
            self.jobs.fail(job.id, answer.get("error", "The separation failed."), is_charged=is_charged)
            self.storage.remove(f"outputs/{job.id}")
            return
        folder = f"outputs/{job.id}"
        stems = spoil_stems(self.faults, self.storage.path(folder), answer["stems"])
        outputs = {stem: f"{folder}/{name}" for stem, name in stems.items()}
        if self.faults.strikes("stems_swapped"):
            outputs = dict(zip(outputs, [*list(outputs.values())[1:], *outputs.values()], strict=False))
        has_music = not self.faults.strikes("null_bpm_and_key")
        outcome = (
            JobOutcome(outputs, answer["bpm"], answer["key"])
            if has_music
            else JobOutcome(outputs, None, None)
        )
        is_kept = not self.faults.strikes("expired_before_download")
        self.jobs.complete(job.id, outcome, is_kept=is_kept)
