"""A worker that carries out a project's flow runs, as somebody has it who deploys the flow and starts a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from support.prefect_server import ask, prefect, prefect_environment
from support.project import Project
from support.short_waits import write_facts

ROOT = Path(__file__).parents[2]
FLOW = "flows.process_catalogue.process_catalogue"
WAIT_SECONDS = 90
POLL_SECONDS = 0.1
HEARTBEAT = "prefect.flow-run.heartbeat"
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
T = TypeVar("T")


def wait_for(what: Callable[[], T], told: str, seconds: float = WAIT_SECONDS) -> T:
    """Give what is asked for as soon as there is something; fail, saying what did not come, after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(POLL_SECONDS)
    return pytest.fail(f"within {seconds} s not: {told}")


class Worker:
    """A worker of a work pool of its own, and the deployment that it works for."""

    def __init__(self, project: Project, url: str, **env: str) -> None:
        """Deploy the flow to this server; `env` is for the processes of its flow runs."""
        self.project, self.url = project, url
        self._name = f"night-{project.provider.key}".replace("_", "-")
        facts = [str(write_facts(project.folder / "facts")), str(ROOT)]
        self._environment = {
            **prefect_environment(project, url),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PYTHONPATH": os.pathsep.join(facts),
            **env,
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        self._runs: list[str] = []
        ask(url, "work_pools/", name=self._name, type="process")
        deploy = ["--no-prompt", "deploy", FLOW, "--name", self._name, "--pool", self._name]
        prefect(deploy, self._environment, ROOT)
        name = f"process_catalogue/{self._name}"
        self._deployment = httpx.get(f"{url}/deployments/name/{name}", timeout=20).json()["id"]

    @property
    def log(self) -> str:
        """What it has printed, and what its flow runs have."""
        return (self.project.folder / "worker.log").read_text(errors="replace")

    def start(self) -> None:
        """Start a process of it."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", self._name]
        with (self.project.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(command, env=self._environment, cwd=ROOT, stdout=log, stderr=log)
        self._processes.append(process)

    def kill(self) -> None:
        """End its process as a power cut does, and leave what it has started."""
        self._processes[-1].kill()
        self._processes[-1].wait(WAIT_SECONDS)

    def stop(self) -> None:
        """End its process as a service manager does."""
        self._processes[-1].terminate()
        self._processes[-1].wait(WAIT_SECONDS)

    def close(self) -> None:
        """End all that it has started."""
        for process in self._processes:
            process.kill()
            process.wait(WAIT_SECONDS)
        for run in self._runs:
            self.kill_run(run)

    def begin(self, **parameters: Any) -> str:
        """Have the flow run, with the project's configuration; give the flow run's id."""
        given = {"config": str(self.project.config), **parameters}
        run = ask(self.url, f"deployments/{self._deployment}/create_flow_run", parameters=given)
        self._runs.append(run["id"])
        return run["id"]

    def crash_when_silent(self, seconds: int) -> None:
        """Have the server call a flow run crashed that gives neither a heartbeat nor an end for so long."""
        deployment = f"prefect.deployment.{self._deployment}"
        ends = [f"prefect.flow-run.{kind.title()}" for kind in ENDED]
        trigger = {
            "type": "event",
            "posture": "Proactive",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "match_related": {"prefect.resource.role": "deployment", "prefect.resource.id": deployment},
            "after": [HEARTBEAT],
            "expect": [HEARTBEAT, *ends],
            "for_each": ["prefect.resource.id"],
            "threshold": 1,
            "within": seconds,
        }
        action = {"type": "change-flow-run-state", "state": "CRASHED", "message": "Nothing was heard of it."}
        ask(self.url, "automations/", name=self._name, trigger=trigger, actions=[action])

    def run(self, run: str) -> dict[str, Any]:
        """Give a flow run as the server has it."""
        return httpx.get(f"{self.url}/flow_runs/{run}", timeout=20).raise_for_status().json()

    def ended(self, run: str, seconds: float = WAIT_SECONDS) -> dict[str, Any]:
        """Give a flow run that has ended, waiting for its end."""

        def look() -> dict[str, Any] | None:
            found = self.run(run)
            return found if found["state_type"] in ENDED else None

        return wait_for(look, f"the flow run's end\n{self.log[-3000:]}", seconds)

    def wait_for_event(self, verb: str) -> None:
        """Wait until the project's ledger has an event of a verb."""
        wait_for(lambda: self.project.has_happened(verb), f"{verb}\n{self.log[-3000:]}")

    def wait_for_heartbeat(self, run: str) -> None:
        """Wait until the server has heard from a flow run that it lives."""
        wait_for(lambda: self._has_event(HEARTBEAT, run), "a heartbeat of the flow run")

    def wait_until_let_go(self, run: str) -> None:
        """Wait until the worker is done with a flow run: until then it may call it crashed, also one tried again."""
        told = "prefect.worker.executed-flow-run"
        wait_for(lambda: self._has_event(told, run), "the worker's last word on the flow run")

    def _has_event(self, name: str, run: str) -> bool:
        found = ask(self.url, "events/filter", filter={"event": {"name": [name]}})["events"]
        return any(run in str([each["resource"], each["related"]]) for each in found)

    def press_retry(self, run: str) -> dict[str, Any]:
        """Have a flow run carried out again, as the UI's button does; give what the server says to it."""
        return self.set_state(run, "SCHEDULED", "AwaitingRetry")

    def set_state(self, run: str, kind: str, name: str | None = None) -> dict[str, Any]:
        """Ask for a flow run's state, as a button in the UI does."""
        state = {"type": kind, **({"name": name} if name else {})}
        return ask(self.url, f"flow_runs/{run}/set_state", state=state, force=False)

    def kill_run(self, run: str) -> int:
        """End a flow run's processes as a power cut does; give how many there were."""
        found = processes_of(run)
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return len(found)


def processes_of(run: str) -> list[int]:
    """Give the processes that were started for a flow run and live."""
    mark = f"PREFECT__FLOW_RUN_ID={run}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
        except OSError:
            continue  # it has ended, or is nobody's of ours
    return found
