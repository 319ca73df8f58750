"""The service in a child process: started, waited for, and stopped at the end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Timer

from stemline.errors import StemlineError, UsageError
from stemline_local.options import ServiceOptions
from stemline_local.secret_files import make_folder

START_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class RunningService:
    """A running service: where it is, a key for it, and its process."""

    url: str
    api_urls: dict[str, str]
    """The base URL of each vendor's dialect."""
    keys: tuple[str, ...] = field(repr=False)
    webhook_secrets: dict[str, str] = field(repr=False)
    """What signs the webhooks of each key's splits."""
    pid: int
    log: Path

    @property
    def api_url(self) -> str:
        """The base URL of the StemSplit dialect."""
        return self.api_urls["stemsplit"]

    @property
    def key(self) -> str:
        """The first API key."""
        return self.keys[0]


@contextmanager
def running_service(options: ServiceOptions) -> Iterator[RunningService]:
    """Run the service as a child for the length of a `with` block; it dies with this process in any case.

    Raises:
        UsageError: an option cannot work.
        StemlineError: it does not start; the end of its log says why.
    """
    options = replace(options, exit_with_parent=True)
    options.check()
    make_folder(options.folder)
    log = options.folder / "service.log"
    with log.open("ab") as log_file:
        logged = log_file.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "stemline_local"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
        )
    try:
        yield _wait_for(process, options, log, logged)
    finally:
        _stop(process)


def _wait_for(
    process: subprocess.Popen[bytes], options: ServiceOptions, log: Path, logged: int
) -> RunningService:
    """Wait until it listens; if it ends instead, tell what it has logged behind what earlier ones had."""
    timer = Timer(START_SECONDS, process.kill)
    timer.start()
    try:
        line = _exchange(process, options.to_json())
    finally:
        timer.cancel()
    if not line:
        tail = " ".join(log.read_bytes()[logged:].decode(errors="replace").splitlines()[-5:])
        error = UsageError if process.wait() == UsageError.exit_code else StemlineError
        raise error(f"The local service did not start: {tail}", fix=f"Its whole log is {log}.")
    address = json.loads(line)
    return RunningService(
        url=address["url"],
        api_urls=address["api"],
        keys=tuple(address["keys"]),
        webhook_secrets=address["webhook_secrets"],
        pid=process.pid,
        log=log,
    )


def _exchange(process: subprocess.Popen[bytes], line: str) -> bytes:
    """Send one line and give the one that comes back; empty when the process ends instead."""
    if process.stdin is None or process.stdout is None:
        return b""
    try:
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return b""
    return process.stdout.readline()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Close its input, which ends it gracefully; kill it when that takes too long."""
    try:
        process.communicate(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
