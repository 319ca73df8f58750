"""A real Prefect server, for those who need one."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.command_line import clean_environment

START_SECONDS = 90


@contextmanager
def prefect_server(home: Path) -> Iterator[str]:
    """Give the API URL of a server with this home."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**clean_environment(home), "PREFECT_SERVER_UI_ENABLED": "false"}
    log = home / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *command], env=environment, cwd=home, stdout=file, stderr=file
        )
        try:
            url = f"http://127.0.0.1:{port}/api"
            _wait_until_healthy(url, process, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(15)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"The Prefect server did not start: {log.read_text()[-2000:]}")


def ask(url: str, path: str, **body: Any) -> Any:
    """Give what the server answers to a request with this body."""
    return httpx.post(f"{url}/{path}", json=body, timeout=20).raise_for_status().json()
