"""The workers: as many lanes as jobs may run at once, each with a process of its own.

One process per lane and a pipe to it, rather than a process pool: a worker that is killed then costs its own
job one retry and no other job anything, and stopping does not wait for the job in hand.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stemline_local.fault import Faults
from stemline_local.job import Job, Kind, Outcome
from stemline_local.jobs import Jobs
from stemline_local.storage import Storage

FIRST_PACE = 0.1
"""Seconds of work a second of audio is believed to take before the first job is done."""

LOOK_SECONDS = 0.2
"""How often a job that is slowed down looks at the clock, which a test may move."""
MIXES = {Kind.YOUTUBE: "fullAudio"}
"""Under which name a kind of job also gets its source whole."""

logger = logging.getLogger(__name__)

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class WorkerLost(Exception):
    """The worker's process ended before it answered."""


@dataclass(slots=True)
class Worker:
    """A process that separates one job after the other; it starts with the first one."""

    _process: asyncio.subprocess.Process | None = None

    async def separate(self, order: dict[str, str], on_progress: Callable[[float], None]) -> dict[str, Any]:
        """Give the worker's answer to an order.

        Raises:
            WorkerLost: the process died; the next order starts a new one.
        """
        process = self._process = self._process or await _start()
        try:
            await _write_line(process, order)
            while True:
                answer = await _read_line(process)
                if "progress" not in answer:
                    return answer
                on_progress(answer["progress"])
        except WorkerLost:
            self._process = None
            logger.warning("worker %d ended with %d", process.pid, await process.wait())
            raise

    async def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


async def _start() -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "stemline_local.worker",
        stdin=pipe,
        stdout=pipe,
        env={**os.environ, **_ONE_THREAD},
    )


async def _write_line(process: asyncio.subprocess.Process, message: dict[str, str]) -> None:
    if process.stdin is None or process.stdin.is_closing():
        raise WorkerLost
    process.stdin.write(json.dumps(message).encode() + b"\n")
    try:
        await process.stdin.drain()
    except ConnectionError as error:
        raise WorkerLost from error


async def _read_line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    line = await process.stdout.readline() if process.stdout else b""
    if not line.endswith(b"\n"):
        raise WorkerLost
    answer: dict[str, Any] = json.loads(line)
    return answer


@dataclass(frozen=True, slots=True)
class Plan:
    """How many jobs are separated and how many stand at PROCESSING at once, by what, and how fast."""

    workers: int
    running: int
    engine: str
    speed: float | None = None


@dataclass(slots=True)
class Pool:
    """Takes pending jobs from the store and has them separated."""

    jobs: Jobs
    storage: Storage
    plan: Plan
    clock: Callable[[], float]
    faults: Faults
    on_end: Callable[[], None]
    """Is told that some job has ended."""
    _workers: asyncio.Queue[Worker] = field(default_factory=asyncio.Queue)
    _pending: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """One permit for each pending job."""
    _progress: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled, beginning with what an earlier server left."""
        for _ in range(await asyncio.to_thread(self.jobs.resume)):
            self._pending.release()
        workers = [Worker() for _ in range(self.plan.workers)]
        for worker in workers:
            self._workers.put_nowait(worker)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.plan.running):
                    group.create_task(self._lane())
        finally:
            for worker in workers:
                await worker.stop()

    def wake(self) -> None:
        """Tell the lanes that one more job is pending."""
        self._pending.release()

    def progress(self, job: Job) -> float:
        """Give how much of a running job is done, 0 to 1."""
        done = self._progress.get(job.id, 0.0)
        if self.plan.speed is None or job.started_at is None:
            return done
        return min(done, (self.clock() - job.started_at) / (job.duration_seconds * self.plan.speed))

    def estimated_seconds(self) -> int:
        """Give how long everything that is pending or running will take, judged by the latest jobs."""
        pace = self.jobs.pace() or self.plan.speed or FIRST_PACE
        return 1 + math.ceil(self.jobs.waiting_seconds() * pace / self.plan.running)

    async def _lane(self) -> None:
        while True:
            await self._pending.acquire()
            job = await asyncio.to_thread(self.jobs.claim)
            if job is not None and not self.faults.strikes("job_stuck"):
                await self._carry_out(job)

    async def _carry_out(self, job: Job) -> None:
        try:
            await self._separate(job)
        except (WorkerLost, OSError) as error:
            logger.warning("job %s was interrupted: %r", job.id, error)
            self.storage.remove(f"outputs/{job.id}")
            if await asyncio.to_thread(self.jobs.put_back, job.id):
                self.wake()
                return
        except Exception:  # the lane must live on; a restart finds this job again
            logger.exception("job %s is left as it is", job.id)
            return
        finally:
            self._progress.pop(job.id, None)
        self.storage.remove(f"sources/{job.id}")
        self.on_end()

    async def _separate(self, job: Job) -> None:
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
            "engine": self.plan.engine,
            "mix": MIXES.get(job.kind, ""),
        }
        worker = await self._workers.get()
        try:
            answer = await worker.separate(order, lambda done: self._progress.update({job.id: done}))
        finally:
            self._workers.put_nowait(worker)
        self._progress[job.id] = 1.0
        await self._wait_for_the_clock(job)
        await asyncio.to_thread(self._settle, job, answer)

    async def _wait_for_the_clock(self, job: Job) -> None:
        ends_at = (job.started_at or 0) + job.duration_seconds * (self.plan.speed or 0)
        while (left := ends_at - self.clock()) > 0:  # noqa: ASYNC110 - a clock gives no event
            await asyncio.sleep(min(left, LOOK_SECONDS))

    def _settle(self, job: Job, answer: dict[str, Any]) -> None:
        is_charged = self.faults.strikes("failed_after_charging") is not None
        if "error" in answer or is_charged:
            self.jobs.fail(job.id, answer.get("error", "The separation failed."), is_charged=is_charged)
            self.storage.remove(f"outputs/{job.id}")
            return
        outputs = {stem: f"outputs/{job.id}/{name}" for stem, name in answer["stems"].items()}
        if self.faults.strikes("stems_swapped"):
            outputs = dict(zip(outputs, [*list(outputs.values())[1:], *outputs.values()], strict=False))
        has_music = not self.faults.strikes("null_bpm_and_key")
        outcome = (
            Outcome(outputs, answer["bpm"], answer["key"]) if has_music else Outcome(outputs, None, None)
        )
        is_kept = not self.faults.strikes("expired_before_download")
        self.jobs.complete(job.id, outcome, is_kept=is_kept)
