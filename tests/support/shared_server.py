"""One server for all the processes that run the tests: the first to need it starts it, the last to leave stops it."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Facts = dict[str, Any]
"""Where a server is: all that its users need, and what stops it, whichever process started it."""


@contextmanager
def shared(folder: Path, start: Callable[[Path], Facts], stop: Callable[[Facts], None]) -> Iterator[Facts]:
    """Give a server's facts for the length of a `with` block; `folder` is the same for all processes.

    Who uses it holds a shared lock, which the kernel lifts even from a process that was killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = folder / "facts.json"
    with (folder / "users").open("w") as users:
        with _alone(folder):
            if not facts.exists():
                facts.write_text(json.dumps(start(_empty_folder(folder))))
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield json.loads(facts.read_text())
        finally:
            with _alone(folder):
                _stop_if_last(users.fileno(), facts, stop)


def _stop_if_last(users: int, facts: Path, stop: Callable[[Facts], None]) -> None:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # others are still at it
    told = json.loads(facts.read_text())
    facts.unlink()
    stop(told)


def _empty_folder(folder: Path) -> Path:
    number = sum(path.is_dir() for path in folder.iterdir())
    empty = folder / str(number)
    empty.mkdir()
    return empty


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep every other process out for the length of a `with` block."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
