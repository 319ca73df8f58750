"""One engine process as the server sees it: started with its first order, asked for one separation after the other."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class EngineProcessLost(Exception):
    """The process ended before it answered."""


@dataclass(slots=True)
class EngineProcess:
    """A process that separates one job after the other; it starts with the first one."""

    _process: asyncio.subprocess.Process | None = None

    async def separate(self, order: dict[str, str], on_progress: Callable[[float], None]) -> dict[str, Any]:
        """Give the answer to an order.

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
        except EngineProcessLost:
            self._process = None
            logger.warning("engine process %d ended with %d", process.pid, await process.wait())
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
        "stemline_local.workers.engine_worker",
        stdin=pipe,
        stdout=pipe,
        env={**os.environ, **_ONE_THREAD},
    )


async def _write_line(process: asyncio.subprocess.Process, message: dict[str, str]) -> None:
    if process.stdin is None or process.stdin.is_closing():
        raise EngineProcessLost
    process.stdin.write(json.dumps(message).encode() + b"\n")
    try:
        await process.stdin.drain()
    except ConnectionError as error:
        raise EngineProcessLost from error


async def _read_line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    line = await process.stdout.readline() if process.stdout else b""
    if not line.endswith(b"\n"):
        raise EngineProcessLost
    answer: dict[str, Any] = json.loads(line)
    return answer
