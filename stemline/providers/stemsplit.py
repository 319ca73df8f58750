"""StemSplit API v1: requests built, answers deciphered. Follows the vendor's reference page.

The attempt's token travels in `fileName`, the only value of ours that create, list, detail and webhook all return.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Generator, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from stemline.errors import (
    JobFailed,
    KeyRefused,
    LinkExpired,
    NoAnswer,
    OutOfCredits,
    ProviderDown,
    StemlineError,
    Throttled,
    TrackRefused,
    TransferFailed,
)
from stemline.records import Attempt, Code, Job, Output, Phase, Submission
from stemline.settings import ProviderFacts
from stemline.wire import Answer, Request, Steps

PAGE = 100
"""The most jobs one list page holds."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far the vendor's clock may be from ours."""

_OUTPUT_TYPES = {
    "vocals": "VOCALS",
    "instrumental": "INSTRUMENTAL",
    "both": "BOTH",
    "four": "FOUR_STEMS",
    "six": "SIX_STEMS",
}
_PHASES = {
    "PENDING": Phase.QUEUED,
    "PROCESSING": Phase.RUNNING,
    "COMPLETED": Phase.DONE,
    "FAILED": Phase.FAILED,
    "EXPIRED": Phase.EXPIRED,
}
_KEY_CODES = {
    "MISSING_API_KEY",
    "INVALID_API_KEY",
    "INVALID_API_KEY_FORMAT",
    "API_KEY_EXPIRED",
    "API_KEY_REVOKED",
    "EMAIL_NOT_VERIFIED",
    "ACCOUNT_SUSPENDED",
}
_TRACK_CODES = {
    "FILE_TOO_LARGE": Code.TOO_LARGE,
    "AUDIO_TOO_LONG": Code.TOO_LONG,
    "AUDIO_TOO_SHORT": Code.TOO_SHORT,
    "UNSUPPORTED_FORMAT": Code.UNSUPPORTED_FORMAT,
}
_EXPIRED_LINK = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}


def build(facts: ProviderFacts) -> StemSplit:
    """Give the provider."""
    return StemSplit(facts)


class StemSplit:
    """The StemSplit dialect."""

    def __init__(self, facts: ProviderFacts) -> None:
        """Remember the vendor's facts."""
        self.facts = facts

    def submit(self, attempt: Attempt) -> Steps[Submission]:
        """Hand a web track over by URL, upload any other, and create the job."""
        digest = None
        location = attempt.track.location
        if urlsplit(location).scheme in {"http", "https"}:
            source = {"sourceUrl": location}
        else:
            upload_key, digest = yield from self._upload(attempt)
            source = {"uploadKey": upload_key}
        answer = yield Request(
            "POST",
            "/jobs",
            json={
                **source,
                "fileName": file_name(attempt),
                "outputType": _OUTPUT_TYPES[attempt.recipe.stems],
                "quality": attempt.recipe.quality.upper(),
                "outputFormat": attempt.recipe.format.upper(),
                "metadata": {"token": attempt.token},
            },
            is_paid=True,
        )
        return _read_submission(_parse(answer), digest)

    def sweep(self, job_ids: Collection[str], since: datetime) -> Steps[list[Job]]:
        """Page through the list until every job was seen or the rest is older than all of them."""
        seen: dict[str, Job] = {}

        def is_enough(jobs: list[Job]) -> bool:
            seen.update({job.job_id: job for job in jobs if job.job_id in job_ids})
            return len(seen) == len(job_ids)

        yield from _walk_list(is_enough, since)
        return list(seen.values())

    def find(self, attempt: Attempt) -> Steps[Job | None]:
        """Look for the attempt's token in the list, back to when the paid request left."""
        found: list[Job] = []

        def is_enough(jobs: list[Job]) -> bool:
            found.extend(job for job in jobs if attempt.token in (job.file_name or ""))
            return bool(found)

        yield from _walk_list(is_enough, attempt.sent_at or datetime.min.replace(tzinfo=UTC))
        return found[0] if found else None

    def read_job(self, job_id: str) -> Steps[Job]:
        """Read one job; each read mints fresh links."""
        return _read_job(_parse((yield Request("GET", f"/jobs/{job_id}"))))

    def read_balance(self) -> Steps[int]:
        """Read the balance in seconds, which are credits."""
        return int(_parse((yield Request("GET", "/balance"))).get("balanceSeconds") or 0)

    def classify(self, request: Request, answer: Answer) -> StemlineError | None:
        """Switch on the error's code first and the status second."""
        if request.is_transfer:
            return _classify_transfer(answer)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            return Throttled(
                "StemSplit asked us to wait."
            )  # before it looked: safe to repeat, even when paid
        body = _body(answer)
        if answer.status // 100 == 2:
            return None if body is not None else _no_answer(request, answer)
        error = (body or {}).get("error")
        if not isinstance(error, dict) or answer.status // 100 == 5:
            return _no_answer(request, answer)
        return _classify_error(answer.status, error)

    def _upload(self, attempt: Attempt) -> Steps[tuple[str, str | None]]:
        """Transfer the file under a ticket, under a second one when the first has expired."""
        try:
            return (yield from self._upload_once(attempt))
        except LinkExpired:
            return (yield from self._upload_once(attempt))

    def _upload_once(self, attempt: Attempt) -> Steps[tuple[str, str | None]]:
        ticket = _parse((yield Request("POST", "/upload", json={"filename": file_name(attempt)})))
        most, size = ticket.get("maxFileSizeBytes"), attempt.track.size_bytes
        if most is not None and size is not None and size > most:
            raise TrackRefused(
                f"The file has {size} bytes and StemSplit takes at most {most}.",
                code=Code.TOO_LARGE,
                fix="Give a compressed file, or a URL.",
            )
        # The ticket's content type is part of the signature: the storage refuses any other.
        headers = {"Content-Type": str(ticket.get("contentType") or "application/octet-stream")}
        answer = yield Request(
            "PUT", str(ticket["uploadUrl"]), headers=headers, body=attempt.track.location, is_transfer=True
        )
        return str(ticket["uploadKey"]), answer.sent_sha256


def file_name(attempt: Attempt) -> str:
    """Give the name a job is stored under: ASCII, at most 100 characters, the token before the extension."""
    path = PurePosixPath(unquote(urlsplit(attempt.track.location).path) or attempt.track.location)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.")[:48]
    suffix = path.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,5}", path.suffix) else ""
    return f"{stem or 'track'}.{attempt.token}{suffix}"


def _walk_list(is_enough: Callable[[list[Job]], bool], since: datetime) -> Generator[Request, Answer, None]:
    """Show page after page of the job list to `is_enough`, until it is, or the list ends or gets older than `since`.

    Pages overlap by one job, so that jobs created meanwhile cannot push one over the edge unseen. The order is
    documented nowhere: age ends the walk only where a page is seen to run from new to old.
    """
    offset = 0
    while True:
        page = _parse((yield Request("GET", "/jobs", params={"limit": PAGE, "offset": offset})))
        jobs = [_read_job(item) for item in page.get("jobs") or [] if isinstance(item, dict)]
        if is_enough(jobs) or not jobs or not (page.get("pagination") or {}).get("hasMore"):
            return
        times = [job.created_at for job in jobs if job.created_at]
        if times and times[0] > times[-1] and max(times) < since - CLOCK_SKEW:
            return
        offset += max(1, len(jobs) - 1)


def _body(answer: Answer) -> dict[str, Any] | None:
    try:
        tree = json.loads(answer.body)
    except ValueError:
        return None
    return tree if isinstance(tree, dict) else None


def _parse(answer: Answer) -> dict[str, Any]:
    return _body(answer) or {}


def _no_answer(request: Request, answer: Answer) -> StemlineError:
    sentence = (
        f"StemSplit answered {request.method} {request.url} with status {answer.status} and no usable body."
    )
    return NoAnswer(sentence) if request.is_paid else ProviderDown(sentence)


def _classify_transfer(answer: Answer) -> StemlineError | None:
    if answer.status // 100 == 2:
        return None
    if answer.status in _EXPIRED_LINK:
        return LinkExpired(f"The storage refused the upload with status {answer.status}.")
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TrackRefused("The storage says that the file is too large.", code=Code.TOO_LARGE)
    return TransferFailed(f"The storage answered the upload with status {answer.status}.")


def _classify_error(status: int, error: Mapping[str, Any]) -> StemlineError:
    code, message = str(error.get("code") or ""), str(error.get("message") or f"status {status}")
    if code == "INSUFFICIENT_CREDITS" or status == HTTPStatus.PAYMENT_REQUIRED:
        where = error.get("purchaseUrl")
        return OutOfCredits(
            f"StemSplit is out of credits: {message}", fix=f"Buy more at {where}." if where else ""
        )
    if code in _KEY_CODES or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return KeyRefused(f"StemSplit refused the API key: {message}", fix="Check provider.api_key.")
    if code == "JOB_NOT_FOUND" or status == HTTPStatus.NOT_FOUND:
        return JobFailed(f"StemSplit does not know this job: {message}", code=Code.JOB_LOST)
    return TrackRefused(f"StemSplit refused the track: {message}", code=_TRACK_CODES.get(code, Code.REFUSED))


def _read_submission(tree: Mapping[str, Any], digest: str | None) -> Submission:
    if not tree.get("id"):
        raise NoAnswer("StemSplit accepted the job and named no id.")
    return Submission(
        job_id=str(tree["id"]),
        credits_required=_whole(tree.get("creditsRequired")),
        duration_seconds=_number((tree.get("input") or {}).get("durationSeconds")),
        estimated_seconds=_number(tree.get("estimatedSeconds")),
        source_sha256=digest,
    )


def _read_job(tree: Mapping[str, Any]) -> Job:
    given, music = tree.get("input") or {}, tree.get("audioMetadata") or {}
    outputs = tree.get("outputs")
    return Job(
        job_id=str(tree.get("id")),
        # A status this code has not heard of is a job still under way: look again later.
        phase=_PHASES.get(str(tree.get("status")), Phase.RUNNING),
        file_name=given.get("fileName"),
        duration_seconds=_number(given.get("durationSeconds")),
        created_at=_time(tree.get("createdAt")),
        completed_at=_time(tree.get("completedAt")),
        credits_charged=_whole(tree.get("creditsCharged")),
        message=tree.get("errorMessage"),
        outputs=tuple(_read_outputs(outputs)) if isinstance(outputs, dict) else (),
        bpm=_number(music.get("bpm")),
        key=music.get("key"),
    )


def _read_outputs(outputs: Mapping[str, Any]) -> list[Output]:
    return [
        Output(stem, str(link["url"]), _time(link.get("expiresAt")))
        for stem, link in outputs.items()
        if isinstance(link, dict) and link.get("url")
    ]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) else None
    except ValueError:
        return None
