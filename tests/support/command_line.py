"""Running `stemline` as people do: a process, its arguments, what it prints and its exit code."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.short_waits import write_facts

WAIT_SECONDS = 90
POLL_SECONDS = 0.002


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def tree(self) -> dict:
        """The JSON object on stdout, which must hold nothing else."""
        return json.loads(self.out)


class Running:
    """A command under way."""

    def __init__(self, status: int, out: Path, err: Path) -> None:
        self._status, self._out, self._err = os.fdopen(status, "rb", buffering=0), out, err
        self._seen = b""
        self.pid = int(self._line(WAIT_SECONDS))

    def is_over(self) -> bool:
        return bool(select.select([self._status], [], [], 0)[0])

    def is_over_within(self, seconds: float) -> bool:
        """Wait for the end, but no longer than this, and give whether it came."""
        return bool(select.select([self._status], [], [], seconds)[0])

    def notes(self) -> str:
        """Give what it has said on stderr until now."""
        return self._err.read_text()

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> Finished:
        """SIGKILL; does nothing to one that is over already."""
        if not self.is_over():
            self.send(signal.SIGKILL)
        return self.wait()

    def wait(self, seconds: float = WAIT_SECONDS) -> Finished:
        code = int(self._line(seconds))
        self._status.close()
        return Finished(code, self._out.read_text(), self._err.read_text())

    def until(self, happened: Callable[[], bool], seconds: float = WAIT_SECONDS) -> bool:
        """Wait for something; False when the command is over before it."""
        deadline = time.monotonic() + seconds
        while not happened():
            if self.is_over():
                return False
            assert time.monotonic() < deadline, self._err.read_text()
            time.sleep(POLL_SECONDS)
        return True

    def _line(self, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._seen:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._status], [], [], left)[0]:
                os.kill(self.pid, signal.SIGKILL)
                message = f"`stemline` did not end within {seconds} s: {self._err.read_text()}"
                raise AssertionError(message)
            if not (more := os.read(self._status.fileno(), 100)):
                raise AssertionError("the supervisor died")
            self._seen += more
        line, _, self._seen = self._seen.partition(b"\n")
        return line


class Launcher:
    """Starts commands in a folder, by a server of forkserver.py."""

    def __init__(self, address: Path, environment: Mapping[str, str]) -> None:
        self._address, self._environment = address, environment
        self._count = 0

    def start(self, folder: Path, *argv: object, **env: str) -> Running:
        self._count += 1
        out, err = folder / f"out-{self._count}.txt", folder / f"err-{self._count}.txt"
        read, write = os.pipe()
        request = {
            "argv": [str(word) for word in argv],
            "cwd": str(folder),
            "env": {**self._environment, **env},
        }
        with out.open("wb") as stdout, err.open("wb") as stderr, _seqpacket() as channel:
            channel.connect(str(self._address))
            descriptors = [stdout.fileno(), stderr.fileno(), write]
            socket.send_fds(channel, [json.dumps(request).encode()], descriptors)
        os.close(write)
        return Running(read, out, err)

    def run(self, folder: Path, *argv: object, **env: str) -> Finished:
        return self.start(folder, *argv, **env).wait()


def clean_environment(home: Path) -> dict[str, str]:
    """This process's environment without what would lead a command anywhere but into its own folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STEM"))}
    return {
        **kept,
        "HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "COLUMNS": "100",
    }


def start_forkserver(folder: Path) -> dict[str, Any]:
    """Start a server that forks commands with short waits; give its process id and what a `Launcher` is made of."""
    environment = clean_environment(folder)
    path = [str(write_facts(folder / "facts")), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    # A socket's path may be 107 bytes long at most: pytest's own folders can be longer.
    address = Path(tempfile.mkdtemp(prefix="fork-", dir="/tmp")) / "socket"
    with _seqpacket() as listener:
        listener.bind(str(address))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forkserver.py")), str(listener.fileno())],
            pass_fds=[listener.fileno()],
            env=environment,
            cwd=folder,
        )
    process.returncode = 0  # nobody here waits for it: who leaves last stops it
    return {"pid": process.pid, "address": str(address), "environment": environment}


def stop_forkserver(facts: Mapping[str, Any]) -> None:
    """Stop a server, whichever process started it."""
    os.kill(facts["pid"], signal.SIGTERM)
    shutil.rmtree(Path(facts["address"]).parent)


def launcher_of(facts: Mapping[str, Any], home: Path) -> Launcher:
    """Give a launcher whose commands have this folder for their home."""
    at_home = {"HOME": str(home), "PREFECT_HOME": str(home / "prefect")}
    return Launcher(Path(facts["address"]), {**facts["environment"], **at_home})


@contextmanager
def open_launcher(home: Path) -> Iterator[Launcher]:
    """Keep a server of its own for the length of a `with` block."""
    facts = start_forkserver(home)
    try:
        yield launcher_of(facts, home)
    finally:
        stop_forkserver(facts)


def _seqpacket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
