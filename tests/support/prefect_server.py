"""A real Prefect server, for those who need one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from support.command_line import clean_environment
from support.health import wait_until_healthy
from support.project import Project
from support.s3 import free_port

START_SECONDS = 300
"""On a busy machine, in a fresh environment: all of Prefect is compiled first."""
STOP_SECONDS = 15
BUSY_SECONDS = 30
"""How long a server may say that its database is locked."""


class PrefectServer:
    """A server on a port of its own, which comes back with what it knew when it is started again."""

    def __init__(self, home: Path) -> None:
        self._home, self._port = home, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its API."""
        return f"http://127.0.0.1:{self._port}/api"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = ["server", "start", "--host", "127.0.0.1", "--port", str(self._port)]
        environment = {
            **clean_environment(self._home),
            "PREFECT_SERVER_UI_ENABLED": "false",
            # Else what automations waited for is forgotten when the server was away for a while.
            "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "P1D",
        }
        log = self._home / "log.txt"
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "prefect", *command],
                env=environment,
                cwd=self._home,
                stdout=file,
                stderr=file,
            )
        wait_until_healthy(f"{self.url}/health", self._process, log, START_SECONDS)

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """End it; kill it when that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def prefect_server(home: Path) -> Iterator[str]:
    """Give the API URL of a server with this home."""
    with mortal_server(home) as server:
        yield server.url


@contextmanager
def mortal_server(home: Path) -> Iterator[PrefectServer]:
    """Give a server with this home that may be killed, and started again by who does."""
    server = PrefectServer(home)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def ask(url: str, path: str, **body: Any) -> Any:
    """Give what the server answers to a request with this body; a busy one is asked again, as by Prefect itself."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        answer = httpx.post(f"{url}/{path}", json=body, timeout=20)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
            return answer.raise_for_status().json()
        time.sleep(0.2)


def prefect_environment(project: Project, url: str) -> dict[str, str]:
    """Give the environment of a process that knows this server and a project's key."""
    known = {"PREFECT_API_URL": url, "STEM_KEY": project.provider.key}
    return {**clean_environment(project.folder), **known}


def flow_runs(url: str, besides: Collection[dict[str, Any]] = ()) -> list[dict[str, Any]]:
    """Give the flow runs that there are, without those that were there before."""
    before = {run["id"] for run in besides}
    return [run for run in ask(url, "flow_runs/filter") if run["id"] not in before]


def flow_logs(url: str, flow_run: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what a flow run logged, as the server keeps it."""
    return ask(url, "logs/filter", logs={"flow_run_id": {"any_": [flow_run["id"]]}})


def prefect(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
    """Carry out a command of Prefect's."""
    command = [sys.executable, "-m", "prefect", *arguments]
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


PROGRAM = "import flows, json, sys; flows.start(sys.argv[1], **json.loads(sys.argv[2]))"


def start_flow(environment: Mapping[str, str], flow: str, /, **parameters: Any) -> subprocess.Popen[str]:
    """Begin a flow by its name in a process of its own; its flow run is called after what its parameters name."""
    command = [sys.executable, "-c", PROGRAM, flow, json.dumps(parameters)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def end_flow(process: subprocess.Popen[str], seconds: float = 200) -> str:
    """Wait for the end of a flow and give what it said on stderr."""
    try:
        return process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[1]
