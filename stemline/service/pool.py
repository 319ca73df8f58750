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

from stemline.service.jobs import Job, Jobs, Outcome
from stemline.service.storage import Storage

FIRST_PACE = 0.1
"""Seconds of work a second of audio is believed to take before the first job is done."""

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
        "stemline.service.worker",
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


@dataclass(slots=True)
class Pool:
    """Takes pending jobs from the store and has them separated."""

    jobs: Jobs
    storage: Storage
    size: int
    engine: str
    _pending: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """One permit for each pending job."""
    _progress: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled, beginning with what an earlier server left."""
        for _ in range(await asyncio.to_thread(self.jobs.resume)):
            self._pending.release()
        async with asyncio.TaskGroup() as group:
            for _ in range(self.size):
                group.create_task(self._lane())

    def wake(self) -> None:
        """Tell the lanes that one more job is pending."""
        self._pending.release()

    def progress(self, job: Job) -> float:
        """Give how much of a running job is done, 0 to 1."""
        return self._progress.get(job.id, 0.0)

    def estimated_seconds(self) -> int:
        """Give how long everything that is pending or running will take, judged by the latest jobs."""
        pace = self.jobs.pace() or FIRST_PACE
        return 1 + math.ceil(self.jobs.waiting_seconds() * pace / self.size)

    async def _lane(self) -> None:
        worker = Worker()
        try:
            while True:
                await self._pending.acquire()
                job = await asyncio.to_thread(self.jobs.claim)
                if job is not None:
                    await self._carry_out(worker, job)
        finally:
            await worker.stop()

    async def _carry_out(self, worker: Worker, job: Job) -> None:
        try:
            await self._separate(worker, job)
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

    async def _separate(self, worker: Worker, job: Job) -> None:
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
            "engine": self.engine,
        }
        answer = await worker.separate(order, lambda done: self._progress.update({job.id: done}))
        await asyncio.to_thread(self._settle, job, answer)

    def _settle(self, job: Job, answer: dict[str, Any]) -> None:
        if "error" in answer:
            self.jobs.fail(job.id, answer["error"])
            self.storage.remove(f"outputs/{job.id}")
            return
        outputs = {stem: f"outputs/{job.id}/{name}" for stem, name in answer["stems"].items()}
        self.jobs.complete(job.id, Outcome(outputs, answer["bpm"], answer["key"]))
