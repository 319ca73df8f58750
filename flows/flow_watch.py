"""A run as Prefect's users watch it: its log lines, how far it is, what it came to; and a cancellation carried out."""

from __future__ import annotations

import contextvars
import logging
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any, cast
from uuid import UUID

from stemline.records import State
from stemline.run.access import read_api_keys
from stemline.run.observer import Observer, observed_by, present_observer
from stemline.run.run import Run

REFRESH_SECONDS = 10.0
_UNDER_WAY = (State.PLANNED, State.SUBMITTING, State.PROCESSING, State.READY, State.COLLECTED)
logger = logging.getLogger("stemline")


@contextmanager
def watched_by_prefect() -> Iterator[FlowWatch]:
    """Have the present flow run show what the runs inside are at; progress only where no terminal does so already."""
    watch, present = FlowWatch(), present_observer()
    logger.addHandler(watch.log)
    level = logger.level
    logger.setLevel(min(level or logging.INFO, logging.INFO))
    try:
        with observed_by(watch if present is None else _Redacting(present, watch.log)):
            yield watch
    finally:
        logger.removeHandler(watch.log)
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
    """Another observer of a run, whose API keys are kept out of the flow run's log as well."""

    observer: Observer
    log: FlowRunLog

    def opened(self, run: Run) -> None:
        """Take the run's keys first."""
        self.log.secrets = read_api_keys(run.settings, run.facts)
        self.observer.opened(run)

    def closed(self, run: Run) -> None:
        """Pass it on."""
        self.observer.closed(run)


class FlowWatch:
    """Watches a run for Prefect; SIGTERM, by which a worker cancels, ends it in good order."""

    def __init__(self) -> None:
        """Watch for the present flow run."""
        self.log = FlowRunLog()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._restore: list[Callable[[], object]] = []

    def opened(self, run: Run) -> None:
        """Begin to watch."""
        self.log.secrets = read_api_keys(run.settings, run.facts)
        self._handle_cancellation(run)
        self._over.clear()
        # The thread gets the flow run's context: what it makes belongs to that run.
        watch = partial(contextvars.copy_context().run, self._watch, run)
        self._thread = threading.Thread(target=watch, name="flow-watch", daemon=True)
        self._thread.start()

    def closed(self, _: Run) -> None:
        """Stop watching; called while the run's ledger is still open."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        for restore in self._restore:
            restore()

    def _watch(self, run: Run) -> None:
        artifact: UUID | None = None
        while not self._over.wait(REFRESH_SECONDS):
            counts = run.ledger.queries.counts(run.run_id)
            with suppress(Exception):  # a server that is away is no reason to stop what is paid
                artifact = _show_progress(artifact, counts)

    def _handle_cancellation(self, run: Run) -> None:
        if threading.current_thread() is not threading.main_thread():
            return

        def cancel(_number: int, _: FrameType | None) -> None:
            run.interrupt()

        before = signal.signal(signal.SIGTERM, cancel)
        self._restore.append(partial(signal.signal, signal.SIGTERM, before))


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
