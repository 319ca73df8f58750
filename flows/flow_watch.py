"""A run as Prefect's users watch it: its log lines, how far it is; and a cancellation carried out."""

from __future__ import annotations

import logging
import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from stemline.records import State
from stemline.run.access import read_api_keys
from stemline.run.observer import Observer, observed_by, present_observer
from stemline.run.run import Run
from stemline.run.run_watch import RunWatch

REFRESH_SECONDS = 10.0
_UNDER_WAY = (State.PLANNED, State.SUBMITTING, State.PROCESSING, State.READY, State.COLLECTED)
logger = logging.getLogger("stemline")


@contextmanager
def watched_by_prefect() -> Iterator[None]:
    """Have the present flow run show what the runs inside are at; progress only where no terminal does so already."""
    log = FlowRunLog()
    logger.addHandler(log)
    level = logger.level
    logger.setLevel(min(level or logging.INFO, logging.INFO))
    try:
        with observed_by(_Redacting(present_observer() or FlowWatch(), log)):
            yield
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)


class FlowRunLog(logging.Handler):
    """Passes log lines on to the flow run's, from any thread, without what is secret."""

    def __init__(self) -> None:
        """Write to the log of the present flow run."""
        super().__init__(logging.INFO)
        from prefect.logging import get_run_logger  # noqa: PLC0415 - imported by the flow

        self._run_logger = get_run_logger()
        self.secrets: Collection[str] = ()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on."""
        text = record.getMessage()
        for secret in self.secrets:
            text = text.replace(secret, "***")
        self._run_logger.log(record.levelno, "%s", text)


@dataclass(frozen=True)
class _Redacting:
    """An observer of a run, whose API keys are kept out of the flow run's log."""

    observer: Observer
    log: FlowRunLog

    def opened(self, run: Run) -> None:
        """Take the run's keys first."""
        self.log.secrets = read_api_keys(run.settings, run.facts)
        self.observer.opened(run)

    def closed(self, run: Run) -> None:
        """Pass it on."""
        self.observer.closed(run)


class FlowWatch(RunWatch):
    """Watches a run for Prefect; SIGTERM, by which a worker cancels, ends it in good order."""

    def __init__(self) -> None:
        """Watch for the present flow run."""
        super().__init__(signal.SIGTERM)

    def _watch(self, run: Run) -> None:
        artifact: UUID | None = None
        while not self._over.wait(REFRESH_SECONDS):
            counts = run.ledger.queries.counts(run.run_id)
            with suppress(Exception):  # a server that is away is no reason to stop what is paid
                artifact = _show_progress(artifact, counts)

    def _interrupt(self, run: Run, number: int) -> None:
        del number
        run.interrupt()


def _show_progress(artifact: UUID | None, counts: dict[State, int]) -> UUID:
    """Show how many tracks are through; give the artifact that does."""
    from prefect.artifacts import create_progress_artifact, update_progress_artifact  # noqa: PLC0415

    total = sum(counts.values())
    through = total - sum(counts.get(state, 0) for state in _UNDER_WAY)
    percent = 100.0 * through / total if total else 0.0
    told = ", ".join(f"{count:,} {state}" for state, count in counts.items()) or "reading the manifest"
    shown: dict[str, Any] = {"progress": percent, "description": told}
    if artifact is None:
        return cast("UUID", create_progress_artifact(**shown, key="stemline-progress"))
    update_progress_artifact(artifact, **shown)
    return artifact
