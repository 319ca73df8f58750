"""What StemSplit's answers say. Nulls, unknown fields and wrong types are survived, never an error."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stemline.errors import NoAnswer
from stemline.records import Job, Output, Phase, Submission
from stemline.wire import Answer

_LARGEST = 1e15
"""No figure of theirs is larger; infinities and what overflows are."""

_PHASES = {
    "PENDING": Phase.QUEUED,
    "PROCESSING": Phase.RUNNING,
    "COMPLETED": Phase.DONE,
    "FAILED": Phase.FAILED,
    "EXPIRED": Phase.EXPIRED,
}


def parse_or_none(answer: Answer) -> dict[str, Any] | None:
    """Give the JSON object an answer holds, None when it holds none."""
    try:
        tree = json.loads(answer.body)
    except ValueError:
        return None
    return tree if isinstance(tree, dict) else None


def parse(answer: Answer) -> dict[str, Any]:
    """Give the JSON object an answer holds, an empty one when it holds none."""
    return parse_or_none(answer) or {}


def read_submission(tree: Mapping[str, Any], digest: str | None) -> Submission:
    """Give what a created job says; raises NoAnswer when it cannot be told which job that is."""
    if not tree.get("id"):
        raise NoAnswer("StemSplit accepted the job and named no id.")
    return Submission(
        job_id=str(tree["id"]),
        credits_required=whole(tree.get("creditsRequired")),
        duration_seconds=number(part(tree, "input").get("durationSeconds")),
        estimated_seconds=number(tree.get("estimatedSeconds")),
        source_sha256=digest,
    )


def read_job(tree: Mapping[str, Any]) -> Job:
    """Give a job as the list or its own page shows it."""
    given, music = part(tree, "input"), part(tree, "audioMetadata")
    return Job(
        job_id=str(tree.get("id")),
        # A status this code has not heard of is a job still under way: look again later.
        phase=_PHASES.get(str(tree.get("status")), Phase.RUNNING),
        file_name=text(given.get("fileName")),
        duration_seconds=number(given.get("durationSeconds")),
        created_at=time(tree.get("createdAt")),
        completed_at=time(tree.get("completedAt")),
        credits_charged=whole(tree.get("creditsCharged")),
        message=text(tree.get("errorMessage")),
        outputs=tuple(_read_outputs(part(tree, "outputs"))),
        bpm=number(music.get("bpm")),
        key=text(music.get("key")),
    )


def _read_outputs(outputs: Mapping[str, Any]) -> list[Output]:
    return [
        Output(stem, str(link["url"]), time(link.get("expiresAt")))
        for stem, link in outputs.items()
        if isinstance(link, dict) and link.get("url")
    ]


def part(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Give an object inside another, an empty one for null and for anything else."""
    found = tree.get(name)
    return found if isinstance(found, dict) else {}


def text(value: object) -> str | None:
    """Give a text, None for an empty one and for anything else."""
    return value if isinstance(value, str) and value else None


def number(value: object) -> float | None:
    """Give a finite number, None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) < _LARGEST else None


def whole(value: object) -> int | None:
    """Give a whole number, rounded up: credits are."""
    exact = number(value)
    return None if exact is None else math.ceil(exact)


def time(value: object) -> datetime | None:
    """Give an instant in UTC, None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
