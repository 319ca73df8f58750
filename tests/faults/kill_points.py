"""Moments at which a process is killed, each by name; the code that is killed knows nothing of them.

A command of the fork server arms what `STEM_KILL_AT` names, such as `intent_written:2`, before `main()` runs: a
function is wrapped so that the process sends itself SIGKILL the second time that moment is reached.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import Any

from sqlalchemy import Engine, event

VARIABLE = "STEM_KILL_AT"
PAID_PATH = re.compile(r"/(jobs|youtube-jobs|audio/splits)$")
OUTPUT_PATH = "/storage/outputs/"

Wrap = Callable[[Callable[..., Any], "KillPoint", Callable[[], None]], Callable[..., Any]]


@dataclass(frozen=True)
class KillPoint:
    """A moment: a function's name, and when around it or in it."""

    name: str
    module: str
    attribute: str
    wrap: Wrap
    detail: str = ""
    """Which calls count (a part of an argument), or which statement of the call."""

    def target(self) -> tuple[object, str]:
        """Give what holds the function, and under which name; raises AttributeError when there is none."""
        *path, last = self.attribute.split(".")
        holder: object = import_module(self.module)
        for step in path:
            holder = getattr(holder, step)
        getattr(holder, last)
        return holder, last


def before(function: Callable[..., Any], point: KillPoint, strike: Callable[[], None]) -> Callable[..., Any]:
    """Strike when the function is called."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if point.detail in " ".join(str(each) for each in args):
            strike()
        return function(*args, **kwargs)

    return call


def after(function: Callable[..., Any], point: KillPoint, strike: Callable[[], None]) -> Callable[..., Any]:
    """Strike when the function has done its work."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if point.detail in " ".join(str(each) for each in args):
            strike()
        return result

    return call


def between(function: Callable[..., Any], point: KillPoint, strike: Callable[[], None]) -> Callable[..., Any]:
    """Strike inside the function's transaction, right before its SQL statement that begins like `detail`."""
    here = threading.local()

    @event.listens_for(Engine, "before_cursor_execute")
    def watch(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if getattr(here, "is_inside", False) and statement.startswith(point.detail):
            strike()

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        here.is_inside = True
        try:
            return function(*args, **kwargs)
        finally:
            here.is_inside = False

    return call


def when_sent(function: Callable[..., Any], _: KillPoint, strike: Callable[[], None]) -> Callable[..., Any]:
    """Strike when the last byte of a paid request has left and no answer was read."""

    async def trace(event_name: str, _: object) -> None:
        if event_name == "http11.send_request_body.complete":
            strike()

    @wraps(function)
    async def send(client: object, request: Any, **kwargs: Any) -> Any:
        if request.method == "POST" and PAID_PATH.search(request.url.path):
            request.extensions = {**request.extensions, "trace": trace}
        return await function(client, request, **kwargs)

    return send


def in_download(function: Callable[..., Any], _: KillPoint, strike: Callable[[], None]) -> Callable[..., Any]:
    """Strike when the first chunk of a stem was taken and the next one is asked for."""

    @wraps(function)
    def chunks(response: Any, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        is_stem = OUTPUT_PATH in response.url.path
        for chunk in function(response, *args, **kwargs):
            yield chunk
            if is_stem:
                strike()

    return chunks


POINTS = {
    point.name: point
    for point in (
        # Submitting.
        KillPoint(
            "in_reserve", "stemline.ledger.attempt", "Attempts.reserve", between, "INSERT INTO credit_entries"
        ),
        KillPoint("intent_written", "stemline.ledger.attempt", "Attempts.reserve", after),
        KillPoint("intent_marked", "stemline.ledger.attempt", "Attempts.mark_sending", after),
        KillPoint("request_sent", "httpx", "AsyncClient.send", when_sent),
        KillPoint("reply_unrecorded", "stemline.ledger.attempt", "Attempts.record_submission", before),
        KillPoint("submission_recorded", "stemline.ledger.attempt", "Attempts.record_submission", after),
        # Learning of the result.
        KillPoint("event_unstored", "stemline.ledger.inbox", "Inbox.receive", before),
        KillPoint("event_stored", "stemline.ledger.inbox", "Inbox.receive", after),
        KillPoint(
            "in_settle", "stemline.ledger.attempt", "Attempts.record_ready", between, "UPDATE credit_totals"
        ),
        KillPoint("settled", "stemline.ledger.attempt", "Attempts.record_ready", after),
        # Collecting.
        KillPoint("in_download", "httpx", "Response.iter_raw", in_download),
        KillPoint("stem_unnamed", "pathlib", "Path.replace", before, "/audio/"),
        KillPoint("stem_named", "pathlib", "Path.replace", after, "/audio/"),
        KillPoint("uncollected", "stemline.ledger.attempt", "Attempts.record_collected", before),
        # Publishing.
        KillPoint("batch_opened", "stemline.ledger.batch", "Batches.open", after),
        KillPoint("in_part", "pyarrow.parquet", "ParquetWriter.write_table", after),
        KillPoint("part_unnamed", "pathlib", "Path.replace", before, "/tracks/"),
        KillPoint("parts_written", "stemline.ledger.batch", "Batches.publish", before),
        KillPoint("in_publish", "stemline.ledger.batch", "Batches.publish", between, "UPDATE batches"),
        # Rewriting older parts.
        KillPoint("renewal_unmarked", "stemline.dataset.renewal", "mark_renewed", before),
        KillPoint("correction_unbooked", "stemline.ledger.correction", "Corrections.book", before),
        # Ending.
        KillPoint("in_report", "stemline.report", "render", after),
        KillPoint("lease_held", "stemline.ledger.lease", "Leases.release", before),
    )
}
"""Every kill point. What is missing: compaction, which does not exist yet."""
REWRITING = ("renewal_unmarked", "correction_unbooked")
"""Those that only a run reaches which has older parts to rewrite."""


def arm(wanted: str) -> None:
    """Have this process kill itself as `name:times` says; without times, the first time."""
    name, _, times = wanted.partition(":")
    point, reached, lock = POINTS[name], itertools.count(1), threading.Lock()

    def strike() -> None:
        with lock:
            if next(reached) == int(times or 1):
                os.kill(os.getpid(), signal.SIGKILL)

    holder, attribute = point.target()
    setattr(holder, attribute, point.wrap(getattr(holder, attribute), point, strike))
