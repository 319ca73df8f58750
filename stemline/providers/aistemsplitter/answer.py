"""What AIStemSplitter's answers say. Nulls, unknown fields and wrong types are survived, never an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stemline.errors import NoAnswer
from stemline.protocol import HttpAnswer
from stemline.reading import instant, number, parse_object, part, text, whole
from stemline.records import Job, Output, Phase, Submission

_PHASES = {
    "queued": Phase.QUEUED,
    "processing": Phase.RUNNING,
    "succeeded": Phase.DONE,
    "failed": Phase.FAILED,
}


def open_envelope(answer: HttpAnswer) -> Mapping[str, Any] | None:
    """Give what `{"success": true, "data": {…}}` holds, None for anything else."""
    envelope = parse_object(answer.body) or {}
    data = envelope.get("data")
    return data if isinstance(data, dict) and envelope.get("success") is not False else None


def data_of(answer: HttpAnswer) -> Mapping[str, Any]:
    """Give what is inside the envelope, nothing when there is none."""
    return open_envelope(answer) or {}


def read_error(answer: HttpAnswer) -> tuple[str, str | None] | None:
    """Give the code and the sentence of an error in either of its shapes; None for a body that is no JSON object.

    The service nests them, `{"error": {"code", "message"}}`; its upload worker does not, `{"error": code, "message"}`.
    """
    tree = parse_object(answer.body)
    if tree is None:
        return None
    nested = tree.get("error")
    code, message = (
        (nested.get("code"), nested.get("message"))
        if isinstance(nested, dict)
        else (nested, tree.get("message"))
    )
    return text(code) or "", text(message)


def read_submission(split: Mapping[str, Any], digest: str | None) -> Submission:
    """Give what a created split says; raises NoAnswer when it cannot be told which split that is."""
    if not split.get("id"):
        raise NoAnswer("AIStemSplitter accepted the split and named no id.")
    return Submission(str(split["id"]), whole(split.get("creditsUsed")), source_sha256=digest)


def read_split(split: Mapping[str, Any]) -> Job:
    """Give a split as its page or an event shows it."""
    # A status this code does not know is a split still under way: poll again later.
    phase = _PHASES.get(str(split.get("status")), Phase.RUNNING)
    error, stems = part(split, "error"), part(split, "stems")
    return Job(
        job_id=str(split.get("id")),
        phase=phase,
        file_name=text(split.get("filename")),
        duration_seconds=number(split.get("durationSeconds")),
        created_at=instant(split.get("createdAt")),
        # Nothing says when a split was done but that it has not changed since.
        completed_at=instant(split.get("updatedAt")) if phase in {Phase.DONE, Phase.FAILED} else None,
        credits_charged=whole(split.get("creditsUsed")),
        message=text(error.get("message")) or text(error.get("code")) or text(split.get("error")),
        outputs=tuple(Output(stem, link) for stem, url in stems.items() if (link := text(url))),
    )
