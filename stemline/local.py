"""The local separation service as this library sees it: a plug-in, looked up where a run or a command asks for it."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from stemline.errors import UsageError

GROUP, NAME = "stemline.local", "service"


@dataclass(frozen=True, slots=True)
class LocalRun:
    """What a run asks of a service that lives as long as it does; None leaves a choice to the service."""

    folder: Path
    requests_per_minute: int
    workers: int | None
    engine: str


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """Where a running service speaks the StemSplit dialect, and a key for it."""

    api_url: str
    key: str = field(repr=False)


class LocalService(Protocol):
    """What the plug-in offers: a module of functions."""

    def check(self, asked: LocalRun) -> None:
        """Raise UsageError for what a service cannot be started with; nothing is started or written."""

    def own_key(self, asked: LocalRun) -> str:
        """Give the key that a service started with `running_beside` accepts, without starting it."""

    def default_workers(self) -> int:
        """Give how many jobs a service works on at once where nobody says."""

    def running_beside(self, asked: LocalRun) -> AbstractContextManager[LocalAddress]:
        """Run the service in a process of its own for the length of a `with` block."""

    def jobs_with_outputs(self, asked: LocalRun) -> list[str]:
        """Give the ids of the jobs whose outputs the service's folder holds."""

    def let_go(self, asked: LocalRun, job_ids: Collection[str]) -> None:
        """Delete what was made for jobs that are collected, and what no job waits for; the service does not run."""

    def serve(self, **options: Any) -> None:  # noqa: ANN401 - as the command line has them
        """Run the service in this process until it is told to stop; an option that is None is the service's own."""

    def make_catalogue(self, folder: Path, songs: int) -> Path:
        """Write a small catalogue of so many made songs; give its manifest."""


def load_local_service() -> LocalService:
    """Give the local separation service; raises UsageError where it is not installed."""
    for entry in entry_points(group=GROUP, name=NAME):
        service: LocalService = entry.load()
        return service
    raise UsageError(
        "stemline is not installed completely: its local service is missing.", fix="Install it with pip."
    )
