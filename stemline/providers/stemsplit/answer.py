"""What StemSplit's answers say. Nulls, unknown fields and wrong types are survived, never an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stemline.errors import NoAnswer
from stemline.protocol import HttpAnswer
from stemline.reading import instant, number, parse_object, part, text, whole
from stemline.records import Job, Output, Phase, Submission

_PHASES = {
    "PENDING": Phase.QUEUED,
    "PROCESSING": Phase.RUNNING,
    "COMPLETED": Phase.DONE,
    "FAILED": Phase.FAILED,
    "EXPIRED": Phase.EXPIRED,
}


def parse_or_none(answer: HttpAnswer) -> dict[str, Any] | None:
    """Give the JSON object an answer holds, None when it holds none."""
    return parse_object(answer.body)


def parse(answer: HttpAnswer) -> dict[str, Any]:
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
        # A status this code does not know is a job still under way: poll again later.
        phase=_PHASES.get(str(tree.get("status")), Phase.RUNNING),
        file_name=text(given.get("fileName")),
        duration_seconds=number(given.get("durationSeconds")),
        created_at=instant(tree.get("createdAt")),
        completed_at=instant(tree.get("completedAt")),
        credits_charged=whole(tree.get("creditsCharged")),
        message=text(tree.get("errorMessage")),
        outputs=tuple(_read_outputs(part(tree, "outputs"))),
        bpm=number(music.get("bpm")),
        key=text(music.get("key")),
    )


def _read_outputs(outputs: Mapping[str, Any]) -> list[Output]:
    return [
        Output(stem, str(link["url"]), instant(link.get("expiresAt")))
        for stem, link in outputs.items()
        if isinstance(link, dict) and link.get("url")
    ]
