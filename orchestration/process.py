"""Processes that outlive the command that started them, and are found again by their number and when they began."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from orchestration.folder import CLONE, MARK, KnownProcess, ServerFolder

SAME_SECONDS = 1.0
"""How far two readings of one beginning may lie apart: the machine's clock may have been set between them."""
POLL_SECONDS = 0.05


def start_prefect(
    arguments: Sequence[str], environment: Mapping[str, str], folder: ServerFolder, log: Path
) -> KnownProcess:
    """Start a command of Prefect's in a session of its own: Ctrl-C here does not reach it."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            env={**environment, MARK: str(folder.path)},
            cwd=CLONE,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    began = psutil.Process(
        process.pid
    ).create_time()  # nobody has waited for it yet: it is there, dead or alive
    process.returncode = 0  # nobody here waits for it: it is to outlive this command
    return KnownProcess(process.pid, began)


def find_process(known: KnownProcess | None) -> psutil.Process | None:
    """Give a process that is still alive, and is the one that was meant."""
    if known is None:
        return None
    try:
        process = psutil.Process(known.pid)
        is_same = abs(process.create_time() - known.began) < SAME_SECONDS
    except psutil.Error:
        return None
    return process if is_same and _is_alive(process) else None


def marked_processes(folder: ServerFolder) -> list[psutil.Process]:
    """Give everything alive that was started for this folder, however it was orphaned since."""
    return [each for each in psutil.process_iter() if _is_marked(each, folder)]


def _is_marked(process: psutil.Process, folder: ServerFolder) -> bool:
    try:
        return _is_alive(process) and process.environ().get(MARK) == str(folder.path)
    except (psutil.Error, OSError):  # another user's, or gone meanwhile
        return False


def hold_process(process: psutil.Process) -> None:
    """Hold a process still until it is told to end."""
    with suppress(psutil.Error):
        process.suspend()


def end_processes(told: Iterable[psutil.Process], others: Iterable[psutil.Process], seconds: float) -> None:
    """Tell some to end; kill those of all that are left after so many seconds."""
    told = list(told)
    for process in told:
        with suppress(psutil.Error):
            process.terminate()
            process.resume()  # one that is held hears nothing before
    left = wait_until_gone([*told, *others], seconds)
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    wait_until_gone(left, seconds)


def wait_until_gone(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Give the processes still alive after so many seconds; one that only its parent has not noticed is gone."""
    deadline = time.monotonic() + seconds
    while (left := [each for each in processes if _is_alive(each)]) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return left


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
