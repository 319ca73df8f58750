"""Prefect's engine made ready for a run from the shell: a server that answers, and quiet about itself."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from stemline.errors import UsageError

PATIENCE_SECONDS = 10.0
"""How long a server may take to say that it is there."""
START_SECONDS = 120
"""How long a temporary server may take on a machine that is busy; Prefect's own patience is 20 s."""
AGAIN_SECONDS = 0.5
LOG_NAME = "temporary-server.log"
_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLI_PROMPT": "false",
}
"""What a run sets that nobody set otherwise: nothing phones home because somebody ran a catalogue."""


def prepare_engine() -> None:
    """Have a server ready, or raise UsageError saying which one does not answer: before anything is sent or paid."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - importing it takes longer than many a run

    _quieten_console()
    if (url := PREFECT_API_URL.value()) is None:
        _start_temporary_server()
    else:
        _require_server(url)


def _quieten_console() -> None:
    """Leave the terminal to the run: what Prefect logs there is in its own log, but for warnings."""
    from flows.flow_console import console_handlers  # noqa: PLC0415 - it brings Prefect

    for handler in console_handlers():
        handler.setLevel(logging.WARNING)


def _require_server(url: str) -> None:
    from httpx import ConnectError  # noqa: PLC0415
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings  # noqa: PLC0415

    end = time.monotonic() + PATIENCE_SECONDS
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        options = {"timeout": PATIENCE_SECONDS}
        with get_client(sync_client=True, httpx_settings=options) as client:
            while (problem := client.api_healthcheck()) is not None:
                # Where nobody listens waiting is in vain; one that answers otherwise may be busy or starting.
                if isinstance(problem, ConnectError) or time.monotonic() > end:
                    break
                time.sleep(AGAIN_SECONDS)
    if problem is not None:
        raise UsageError(
            f"Prefect's server at {_shown(url)} does not answer ({type(problem).__name__}); nothing was sent.",
            fix="Start it, correct PREFECT_API_URL, or run without a server: `env -u PREFECT_API_URL stemline run …`.",
        )


def _start_temporary_server() -> None:
    """Start the server that Prefect starts where none is configured, its own words in a file of Prefect's home."""
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415
    from prefect.settings import PREFECT_HOME  # noqa: PLC0415

    home = Path(PREFECT_HOME.value())
    home.mkdir(parents=True, exist_ok=True)
    log = home / LOG_NAME
    server = SubprocessASGIServer()
    try:
        with log.open("wb") as file, _printing_to(file):
            server.start(timeout=START_SECONDS)
    except Exception as error:
        server.stop()
        raise UsageError(
            f"Prefect's temporary server did not start: {log} says why.",
            fix="Run again, or without --prefect; a server of your own starts once: `prefect server start`.",
        ) from error


@contextmanager
def _printing_to(file: IO[bytes]) -> Iterator[None]:
    """Have processes started in the `with` block print into a file: they inherit descriptors, not Python's streams."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(number, os.dup(number)) for number in (1, 2)]
    terminal = os.fdopen(os.dup(2), "w", encoding="utf-8")
    try:
        for number, _ in kept:
            os.dup2(file.fileno(), number)
        # What this process itself says meanwhile, such as of Ctrl-C, is still for whoever waits.
        with redirect_stderr(terminal), redirect_stdout(terminal):
            yield
    finally:
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
        terminal.close()


def _shown(url: str) -> str:
    """Give an address without credentials."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
