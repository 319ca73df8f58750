"""The `stemline` command in a process of its own, without the seconds that importing takes.

This process imports the command once and forks for each connection to its Unix socket, which sends JSON with `argv`,
`cwd` and `env`, and three descriptors (stdout, stderr, status). A supervisor waits for the command and writes its
process id and, at the end, its return code to the status pipe.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

IMPORTED = (
    "av",
    "flows.process_catalogue",
    "fsspec.implementations.local",
    "h2.connection",
    "httpcore",
    "pandas",
    "pyarrow.compute",
    "pyarrow.csv",
    "pyarrow.dataset",
    "rich.live",
    "rich.progress",
    "scipy.signal",
    "sqlalchemy.dialects.sqlite",
    "sqlite3",
    "stemline.cli.application",
    "stemline.cli.flow",
    "stemline.cli.planning",
    "stemline.cli.watch",
    "stemline.collector.batch",
    "stemline.collector.pool",
    "stemline.demo",
    "stemline.doctor",
    "stemline.probe.probing",
    "stemline.providers.aistemsplitter",
    "stemline.providers.stemsplit",
    "stemline.resolution.unknown_track",
    "stemline.run.dispatching",
    "stemline.storage.remote_store",
    "stemline.storage.s3_store",
    "stemline_local.plugin",
)
"""What commands import besides the command line itself."""


def wait_for_request(listener: socket.socket) -> None:
    """Come back in the forked command only, ready to run."""
    while True:
        channel, _ = listener.accept()
        with channel:
            message, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, 3)
        if message and os.fork() == 0:
            listener.close()
            supervise(json.loads(message), descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)


def supervise(request: dict, descriptors: list[int]) -> None:
    """Fork the command and report on it; come back in the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    stdout, stderr, status = descriptors
    pid = os.fork()
    if pid != 0:
        os.close(stdout)
        os.close(stderr)
        os.write(status, f"{pid}\n".encode())
        _, code = os.waitpid(pid, 0)
        os.write(status, f"{os.waitstatus_to_exitcode(code)}\n".encode())
        os._exit(0)
    os.close(status)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["stemline", *request["argv"]]


def arm() -> None:
    """Prepare this command to be killed at a named moment (tests/faults/kill_points.py), or for what else is asked."""
    if "STEM_PATIENT" in os.environ:
        import_module("short_waits").restore_wait(os.environ["STEM_PATIENT"])
    if "STEM_ALL_IS_LARGE" in os.environ:
        import_module("large_catalogue").arm()
    if "STEM_KILL_AT" in os.environ:
        sys.path.append(str(Path(__file__).resolve().parents[1] / "faults"))
        import_module("kill_points").arm(os.environ["STEM_KILL_AT"])


def main(listener: socket.socket) -> None:
    """Serve until killed; come back in the forked commands with what they exit with."""
    from stemline.cli import main as run_command  # noqa: PLC0415 - a process pool's children import this file too

    for name in IMPORTED:
        import_module(name)
    import_module("short_waits").shorten_waits()
    gc.freeze()  # else every command would copy all of it at its end
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    wait_for_request(listener)
    arm()
    finish(run_command)


def finish(command: Callable[[], object]) -> None:
    """Run the command and end as Python does, but for taking its modules apart: that would copy all of them first."""
    code: object = 0
    try:
        command()
    except SystemExit as ending:
        code = ending.code
    except BaseException:  # noqa: BLE001 - as the interpreter itself does
        traceback.print_exc()
        code = 1
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
