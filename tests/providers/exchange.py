"""A provider's steps driven by hand: what it asks is written down, what it is told is made up here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from stemline.errors import StemlineError
from stemline.protocol import HttpAnswer, HttpRequest, OtherAttempts, Steps
from stemline.records import Attempt, Recipe, Track

T = TypeVar("T")
TOKEN = "sl0123456789abcdef0123"
ALONE = OtherAttempts(lambda _: False, list)
"""No other attempt of ours has or awaits a job."""


def answer(tree: object, status: int = 200, **facts: Any) -> HttpAnswer:
    """An answer with a JSON body, or with the bytes given."""
    body = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return HttpAnswer(status, {}, body, **facts)


def drive(steps: Steps[T], answers: Iterable[HttpAnswer | StemlineError]) -> tuple[T, list[HttpRequest]]:
    """Give what the steps return and the requests they made on the way."""
    told = iter(answers)
    return serve(steps, lambda _: next(told))


def serve(
    steps: Steps[T], respond: Callable[[HttpRequest], HttpAnswer | StemlineError]
) -> tuple[T, list[HttpRequest]]:
    """Give what the steps return when `respond` answers each request."""
    requests: list[HttpRequest] = []
    try:
        requests.append(next(steps))
        while True:
            told = respond(requests[-1])
            requests.append(steps.throw(told) if isinstance(told, StemlineError) else steps.send(told))
    except StopIteration as stop:
        return stop.value, requests


def attempt(location: str = "/music/song.mp3", stems: str = "four", **facts: Any) -> Attempt:
    """An attempt at a track."""
    size = facts.pop("size_bytes", 4_500_000)
    track = Track("t1", location, 1, duration_seconds=180.0, size_bytes=size)
    return Attempt(TOKEN, track, Recipe(stems, "best", "flac"), "stemsplit", 1, 180, **facts)
