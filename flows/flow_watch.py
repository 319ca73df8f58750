"""A run as Prefect's users watch it: its log lines, how far it is; and a cancellation carried out."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, cast
from uuid import UUID

from flows.flow_artifacts import artifact_key
from stemline.errors import StemlineError
from stemline.run.observer import Observer, observed_by, present_observer
from stemline.run.run import Run
from stemline.run.run_watch import RunWatch
from stemline.run.slice_words import SliceWords
from stemline.settings.redactor import Redactor, present_redactor
from stemline.telemetry.run_progress import RunProgress
from stemline.wording import states_words

REFRESH_SECONDS = 10.0
ENGINE_LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine")
logger = logging.getLogger("stemline")


@dataclass
class FlowObserver:
    """Tells several observers of a run."""

    observers: tuple[Observer, ...]

    def opened(self, run: Run) -> None:
        """Pass it on."""
        for each in self.observers:
            each.opened(run)

    def closed(self, run: Run) -> None:
        """Pass it on."""
        for each in reversed(self.observers):
            each.closed(run)


@contextmanager
def watched_by_prefect() -> Iterator[None]:
    """Have the present flow run show what the runs inside are at, beside a terminal that does."""
    terminal = present_observer()
    # A terminal takes the signals itself.
    watches = (FlowWatch(signal.SIGTERM),) if terminal is None else (terminal, FlowWatch())
    observer = FlowObserver(watches)
    with _logging_to_prefect(present_redactor()), observed_by(observer):
        yield


@contextmanager
def _logging_to_prefect(redact: Redactor) -> Iterator[None]:
    """Pass our log lines on to the flow run's alone; redact these, and what Prefect's engine itself writes there."""
    handler, cleaner = FlowRunLog(redact), _RedactingFilter(redact)
    engine = [logging.getLogger(name) for name in ENGINE_LOGGERS]
    level, propagates = logger.level, logger.propagate
    for each in engine:
        each.addFilter(cleaner)
    logger.addHandler(handler)
    logger.propagate = False  # the flow run's log reaches the console as well, and is redacted
    logger.setLevel(min(level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
        logger.setLevel(level)
        for each in engine:
            each.removeFilter(cleaner)


class _RedactingFilter(logging.Filter):
    """Takes what is secret out of records, in place."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = text_of(record, self._redact), ()
        record.exc_info = record.exc_text = None
        return True


class FlowRunLog(logging.Handler):
    """Passes log lines on to the flow run's, from any thread, without what is secret."""

    def __init__(self, redact: Redactor) -> None:
        """Write to the log of the present flow run."""
        super().__init__(logging.INFO)
        from prefect.logging import get_run_logger  # noqa: PLC0415 - imported by the flow

        self._run_logger = get_run_logger()
        self._redact = redact

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a line on."""
        self._run_logger.log(record.levelno, "%s", text_of(record, self._redact))


def text_of(record: logging.LogRecord, redact: Redactor) -> str:
    """Give a record's text without what is secret, and its traceback where the error is none of ours."""
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] and not isinstance(record.exc_info[1], StemlineError):
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return redact(text)


class FlowWatch(RunWatch):
    """Watches a run for Prefect; SIGTERM, by which a worker cancels, ends it in good order."""

    patience: ClassVar[float | None] = 10.0

    def _watch(self, run: Run) -> None:
        progress = ProgressArtifact(artifact_key(run.settings.name, "progress"))
        slices = SliceWords(run.ledger, run.selection.backfill)
        is_told = True
        is_over = False
        while True:
            try:
                found = RunProgress(run.ledger.gauges.of_run(run.run_id), run.settings.budget)
                told = slices.read_last() if is_over else slices.read()
                progress.show(found, told, is_planned=run.predicted is not None)
            except Exception as error:  # noqa: BLE001 - neither ledger nor server stop what is paid, or the watching
                # The ledger may be closed by now where the server kept this waiting.
                if is_told and not self._over.is_set():
                    logger.warning("How far the run is cannot be shown now: %s.", type(error).__name__)
                is_told = False
            if is_over:
                return
            is_over = self._over.wait(REFRESH_SECONDS)

    def _interrupt(self, run: Run, number: int) -> None:
        del number
        run.interrupt()


@dataclass
class ProgressArtifact:
    """How many of a run's tracks are through, as an artifact: 0 when it begins, and the last value when it ends."""

    key: str
    _id: UUID | None = None

    def show(self, found: RunProgress, slices: str = "", *, is_planned: bool) -> None:
        """Show this, and which slice of a backfill the run is at."""
        from prefect.artifacts import create_progress_artifact, update_progress_artifact  # noqa: PLC0415

        # A run that is about nothing, such as the last of a backfill, has nothing before it from its plan on.
        percent = 100.0 * found.done / found.total if found.total else 100.0 * is_planned
        told = (slices, found.line() or states_words(found.gauges.counts, is_planned=is_planned))
        shown: dict[str, Any] = {"progress": percent, "description": "; ".join(filter(None, told))}
        if self._id is None:
            self._id = cast("UUID", create_progress_artifact(**shown, key=self.key))
        else:
            update_progress_artifact(self._id, **shown)
