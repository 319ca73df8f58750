"""The one way that log lines are written: to stderr, plain or as JSON, without what is secret."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import TextIO

VARIABLE = "STEMLINE_LOG_FORMAT"
"""Says the same as `--log-format`, to processes that have no command line of ours: workers, and what we start."""
OWN = ("stemline", "stemline_local")

logger = logging.getLogger("stemline")


class LogFormat(StrEnum):
    """How a line is written."""

    PLAIN = "plain"
    JSON = "json"


def present_format() -> LogFormat:
    """Give the format that holds in this process and in what it starts."""
    return LogFormat.JSON if os.environ.get(VARIABLE, "").lower() == LogFormat.JSON else LogFormat.PLAIN


class PlainFormatter(logging.Formatter):
    """One line for a person: when, how grave, from where, what."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        """Write lines that were redacted."""
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Give the instant in UTC."""
        del datefmt
        return f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%SZ}"

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        return self._redact(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: timestamp, level, logger, message; exception, trace_id, span_id where there are any."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        """Write lines that were redacted."""
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        instant = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        tree = {
            "timestamp": instant.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redact(record.getMessage()),
            **_trace_context(),
        }
        if record.exc_info:
            tree["exception"] = self._redact(self.formatException(record.exc_info))
        return json.dumps(tree, ensure_ascii=False)


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what is stderr at the moment of the line: a progress bar takes its place for a while."""

    def __init__(self) -> None:
        """Write to stderr: of others, whose loggers may have levels of their own, from WARNING on."""
        logging.Handler.__init__(self)
        self.addFilter(lambda record: record.levelno >= logging.WARNING or _is_ours(record))

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # as logging's own handler of last resort does
        """What is stderr now."""
        return sys.stderr


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] in OWN


class LogLines(io.TextIOBase):
    """A text file whose lines become log lines."""

    def __init__(self) -> None:
        """Begin with no line."""
        self._rest = ""

    def write(self, text: str) -> int:
        """Log the lines that are whole."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in filter(str.strip, lines):
            logger.info("%s", line.strip())
        return len(text)


def set_up_logging(redact: Callable[[str], str], *, is_telling: bool = False) -> None:
    """Have what is logged from now on be written to stderr in the present format.

    Of ours from WARNING on, from INFO on as JSON or where the process `is_telling`; of others from WARNING on.
    """
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, StderrHandler)]:
        root.removeHandler(handler)
    is_json = present_format() is LogFormat.JSON
    handler = StderrHandler()
    handler.setFormatter(make_formatter(redact))
    root.addHandler(handler)
    for name in OWN:
        logging.getLogger(name).setLevel(logging.INFO if is_json or is_telling else logging.WARNING)
    if is_json:
        sys.excepthook = _log_crash
        threading.excepthook = _log_crash_of_thread
        sys.unraisablehook = _log_unraisable
        logging.captureWarnings(capture=True)


def make_formatter(redact: Callable[[str], str]) -> logging.Formatter:
    """Give what writes a line in the present format."""
    return JsonFormatter(redact) if present_format() is LogFormat.JSON else PlainFormatter(redact)


def _log_crash(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    logger.critical("This is a fault of the program.", exc_info=(kind, error, where))


def _log_crash_of_thread(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_type is SystemExit or crash.exc_value is None:
        return
    name = crash.thread.name if crash.thread is not None else "?"
    logger.critical("The thread %s ended by a fault of the program.", name, exc_info=crash.exc_value)


def _log_unraisable(left: sys.UnraisableHookArgs) -> None:
    logger.error("%s: %r", left.err_msg or "Exception ignored in", left.object, exc_info=left.exc_value)


def _trace_context() -> dict[str, str]:
    """Give the ids of the present span, which there can be none of before OpenTelemetry is imported."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry import trace  # noqa: PLC0415 - imported already

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
