"""The server and its worker: started where they are not, waited for, and ended."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from orchestration.folder import Known, KnownProcess, ServerFolder
from orchestration.process import (
    POLL_SECONDS,
    end_processes,
    find_process,
    hold_process,
    marked_processes,
    start_prefect,
)
from stemline.errors import StemlineError, UsageError

USUAL_PORT = 4200
"""Prefect's own."""
START_SECONDS = 120
FLOW_END_SECONDS = 40
"""A run that is told to end collects what is ready for 15 s at most, and publishes it."""
WORKER_END_SECONDS = 10
SERVER_END_SECONDS = 15
POOL = "stemline"
WORKER = "this machine"


def find_port(asked: int | None, known: Known) -> int:
    """Give the port for a server that does not run: the one asked for, the one it had, the usual one, or a free one.

    Raises UsageError where the port that was asked for is taken, or is not for this user.
    """
    if asked is not None:
        if (problem := _problem_of(asked)) is not None:
            raise UsageError(f"Port {asked} of 127.0.0.1 {problem}.", fix="Give another: make up PORT=4300.")
        return asked
    for port in filter(None, (known.port, USUAL_PORT)):
        if is_free(port):
            return port
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def is_free(port: int) -> bool:
    """Tell whether this port of the loopback interface can be listened on."""
    return _problem_of(port) is None


def _problem_of(port: int) -> str | None:
    try:
        with socket.create_server(
            ("127.0.0.1", port)
        ):  # with SO_REUSEADDR: what has just ended does not count
            return None
    except PermissionError:
        return "is not for this user to listen on"
    except OSError:
        return "is taken by another program"


def ensure_server(folder: ServerFolder, known: Known, environment: Mapping[str, str]) -> bool:
    """Have the server run and answer; give whether it had to be started. One that never answers is replaced.

    The worker and the flow runs of a server that was killed go on, and find the new one at the same address.
    """
    server = known.processes.get("server")
    if server is not None and _wait(lambda: _answers(known.port), server):
        return False
    end_processes(filter(None, [find_process(server)]), [], SERVER_END_SECONDS)
    command = ["server", "start", "--host", "127.0.0.1", "--port", str(known.port)]
    server = _start(folder, known, "server", command, environment)
    if not _wait(lambda: _answers(known.port), server):
        raise _did_not_start("server", folder.log("server"))
    return True


def ensure_worker(folder: ServerFolder, known: Known, environment: Mapping[str, str]) -> bool:
    """Have a worker ask for flow runs; give whether it had to be started."""
    if find_process(known.processes.get("worker")) is not None:
        return False
    command = ["worker", "start", "--pool", POOL, "--name", WORKER, "--type", "process"]
    worker = _start(folder, known, "worker", command, environment)
    began = datetime.fromtimestamp(worker.began, UTC)
    if not _wait(lambda: _has_reported(known.port, began), worker):
        raise _did_not_start("worker", folder.log("worker"))
    return True


def end_all(folder: ServerFolder) -> int:
    """End all that was started for this folder, flow runs in good order first; give how many processes there were."""
    known, found = folder.read().processes, marked_processes(folder)
    server, worker = find_process(known.get("server")), find_process(known.get("worker"))
    runs = [each for each in found if each not in (server, worker)]
    if worker is not None:
        # One that is told to end kills its flow runs at once, and one that goes on starts new ones.
        hold_process(worker)
    # What a flow run has started for itself it ends itself.
    end_processes([each for each in runs if _parent(each) not in runs], runs, FLOW_END_SECONDS)
    end_processes(filter(None, [worker]), [], WORKER_END_SECONDS)
    end_processes(filter(None, [server]), marked_processes(folder), SERVER_END_SECONDS)
    return len(found)


def _parent(process: psutil.Process) -> psutil.Process | None:
    try:
        parent: psutil.Process | None = process.parent()
    except psutil.Error:
        return None
    return parent


def _start(
    folder: ServerFolder, known: Known, role: str, command: list[str], environment: Mapping[str, str]
) -> KnownProcess:
    known.starting = role
    folder.write(known)
    known.processes[role] = start_prefect(command, environment, folder, folder.log(role))
    known.starting = ""
    folder.write(known)
    return known.processes[role]


def _answers(port: int) -> bool:
    return _ask(port, "get", "health") is True


def _has_reported(port: int, since: datetime) -> bool:
    """Tell whether the worker has told the server that it is there, since it began."""
    workers = _ask(port, "post", f"work_pools/{POOL}/workers/filter", json={}) or []
    return any(
        each["name"] == WORKER and datetime.fromisoformat(each["last_heartbeat_time"]) >= since
        for each in workers
    )


def _ask(port: int, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON
    """Give what the server answers; None where it does not, or not yet."""
    try:
        with httpx.Client(trust_env=False, timeout=5) as client:
            return (
                client.request(method, f"http://127.0.0.1:{port}/api/{path}", **options)
                .raise_for_status()
                .json()
            )
    except (httpx.HTTPError, ValueError):
        return None


def _wait(happened: Callable[[], bool], process: KnownProcess) -> bool:
    """Wait for something that a process is to do; give whether it came, before its end and in time."""
    deadline = time.monotonic() + START_SECONDS
    while find_process(process) is not None and time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(POLL_SECONDS)
    return False


def _did_not_start(role: str, log: Path) -> StemlineError:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return StemlineError(
        f"Prefect's {role} did not start: {' '.join(lines[-5:])}", fix=f"Its whole log is {log}."
    )
