"""A real Prefect server, for those who need one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from support.command_line import clean_environment
from support.health import wait_until_healthy
from support.project import Project
from support.s3 import free_port

START_SECONDS = 90


@contextmanager
def prefect_server(home: Path) -> Iterator[str]:
    """Give the API URL of a server with this home."""
    port = free_port()
    command = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**clean_environment(home), "PREFECT_SERVER_UI_ENABLED": "false"}
    log = home / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *command], env=environment, cwd=home, stdout=file, stderr=file
        )
        try:
            url = f"http://127.0.0.1:{port}/api"
            wait_until_healthy(f"{url}/health", process, log, START_SECONDS)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(15)


def ask(url: str, path: str, **body: Any) -> Any:
    """Give what the server answers to a request with this body."""
    return httpx.post(f"{url}/{path}", json=body, timeout=20).raise_for_status().json()


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


def start_flow(environment: Mapping[str, str], name: str, **parameters: Any) -> subprocess.Popen[str]:
    """Begin a flow by name in a process of its own; its flow run is called after what its parameters name."""
    command = [sys.executable, "-c", PROGRAM, name, json.dumps(parameters)]
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
