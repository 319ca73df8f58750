"""A server that was started, waited for."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    """Return when a server answers at this URL; fail with the end of its log when it ends, or never does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=1).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"{url} does not answer:\n{log.read_text(errors='replace')[-2000:]}")


def wait_until_listening(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    """Return when a process listens at this port; fail with the end of its log when it ends, or never does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"nothing listens at {port}:\n{log.read_text(errors='replace')[-2000:]}")
