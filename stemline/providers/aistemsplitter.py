"""AIStemSplitter API v1: requests built, answers deciphered. Follows the vendor's reference page.

The attempt's token is the `Idempotency-Key`: repeating a submit under it, with the same body, makes no second split.
There is no list, so that repeating is also how an unanswered submit is settled.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import mimetypes
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from stemline.errors import (
    EventRefused,
    JobFailed,
    KeyRefused,
    LinkExpired,
    NoAnswer,
    OutOfCredits,
    ProviderDown,
    SignatureRefused,
    StemlineError,
    Throttled,
    TrackRefused,
    TransferFailed,
)
from stemline.records import Attempt, Code, Event, Job, Output, Phase, Submission
from stemline.settings import ProviderFacts
from stemline.wire import Answer, Delivery, Registration, Request, Steps

_PHASES = {
    "queued": Phase.QUEUED,
    "processing": Phase.RUNNING,
    "succeeded": Phase.DONE,
    "failed": Phase.FAILED,
}
_EXPIRED_TICKET = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}

SIGNED_SECONDS = 300
"""How far a signature's time may be from ours."""


def build(facts: ProviderFacts) -> AIStemSplitter:
    """Give the provider."""
    return AIStemSplitter(facts)


class AIStemSplitter:
    """The AIStemSplitter dialect."""

    can_list = False

    def __init__(self, facts: ProviderFacts) -> None:
        """Remember the vendor's facts."""
        self.facts = facts

    def submit(self, attempt: Attempt) -> Steps[Submission]:
        """Hand a web track over by URL, upload any other, and create the split."""
        digest, location = None, attempt.track.location
        if urlsplit(location).scheme in {"http", "https"}:
            source: dict[str, Any] = {"type": "direct_url", "url": location}
        else:
            source, digest = yield from self._upload(attempt)
        # Six stems are the other model; every other recipe is four stems, or mixed down from them.
        body = {
            "input": source,
            "stemModel": "6s" if attempt.recipe.stems == "six" else "4s",
            "outputFormat": attempt.recipe.format,
        }
        split = _data((yield _create(attempt, body, is_paid=True)))
        if not split.get("id"):
            raise NoAnswer("AIStemSplitter accepted the split and named no id.")
        return Submission(
            job_id=str(split["id"]), credits_required=_whole(split.get("creditsUsed")), source_sha256=digest
        )

    def sweep(self, job_ids: Collection[str], _since: datetime) -> Steps[list[Job]]:
        """Read split after split: the vendor has no list."""
        jobs = []
        for job_id in job_ids:
            jobs.append((yield from self.read_job(job_id)))  # noqa: PERF401 - a comprehension cannot yield
        return jobs

    def find(self, attempt: Attempt) -> Steps[Job | None]:
        """Repeat the submit under its own key and body: it gives the split that exists, or makes the first one."""
        if attempt.request is None:
            return None
        # Not marked as paid: under this key the vendor charges once, however often it is asked.
        split = _data((yield _create(attempt, attempt.request, is_paid=False)))
        return _read_split(split) if split.get("id") else None

    def read_job(self, job_id: str) -> Steps[Job]:
        """Read one split, with its links once it has succeeded."""
        return _read_split(_data((yield Request("GET", f"/audio/splits/{job_id}"))))

    def read_balance(self) -> Steps[int]:
        """Read the balance in seconds, which are credits."""
        return int(_data((yield Request("GET", "/credits"))).get("balance") or 0)

    def read_event(self, delivery: Delivery, secret: str) -> Event | None:
        """Give what a delivery says of a split, by its status: the failure's event has no documented name."""
        _check_signature(delivery, secret)
        tree = _parse(delivery.body)
        if tree is None:
            raise EventRefused("The delivery's body is not a JSON object.")
        name, split = tree.get("event"), tree.get("data")
        if not isinstance(name, str):
            raise EventRefused("The delivery names no event.")
        if not name.startswith("audio.split."):
            return None
        if not isinstance(split, dict) or not re.fullmatch(r"[!-~]{1,200}", str(split.get("id") or "")):
            raise EventRefused(f"The event {name!r} names no split.")
        job, digest = _read_split(split), hashlib.sha256(delivery.body).hexdigest()
        return Event(job.job_id, job.phase, job.completed_at or delivery.received_at, digest, job)

    def register_webhook(self, _url: str, _held: Collection[str]) -> Steps[Registration | None]:
        """Nothing to do: the URL travels with every split, and the secret is the account's."""
        yield from ()
        return None

    def unregister_webhook(self, _url: str) -> Steps[list[str]]:
        """Nothing to do."""
        yield from ()
        return []

    def classify(self, request: Request, answer: Answer) -> StemlineError | None:
        """Switch on the error's code first and the status second."""
        if request.is_transfer:
            return _classify_transfer(answer)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            return Throttled("AIStemSplitter asked us to wait.")
        body = _body(answer)
        if answer.status // 100 == 2:
            return (
                None
                if body is not None and isinstance(body.get("data"), dict)
                else _no_answer(request, answer)
            )
        error = (body or {}).get("error")
        if not isinstance(error, dict) or answer.status // 100 == 5:
            return _no_answer(request, answer)
        return _classify_error(answer.status, error)

    def _upload(self, attempt: Attempt) -> Steps[tuple[dict[str, Any], str | None]]:
        """Transfer the file under a reservation, under a second one when the first has expired."""
        try:
            return (yield from self._upload_once(attempt))
        except LinkExpired:
            return (yield from self._upload_once(attempt))

    def _upload_once(self, attempt: Attempt) -> Steps[tuple[dict[str, Any], str | None]]:
        name, location = _file_name(attempt), attempt.track.location
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        wanted = {"filename": name, "contentType": content_type, "contentLength": attempt.track.size_bytes}
        ticket = _data((yield Request("POST", "/audio/uploads", json=wanted)))
        given = {str(key): str(value) for key, value in (ticket.get("uploadHeaders") or {}).items()}
        # The reservation's own headers win, whatever their spelling.
        if "content-type" not in {key.lower() for key in given}:
            given["Content-Type"] = content_type
        url = str(ticket["uploadUrl"])
        answer = yield Request("POST", url, headers=given, body=location, is_transfer=True)
        if (
            answer.status == HTTPStatus.METHOD_NOT_ALLOWED
        ):  # the vendor's prose says PUT where its packages POST
            answer = yield Request("PUT", url, headers=given, body=location, is_transfer=True)
        stored = _data(answer)
        if not stored.get("url"):
            raise TransferFailed("The upload was answered without the file's address.")
        source = {
            "type": "uploaded_file",
            "uploadId": ticket.get("uploadId"),
            "fileUrl": stored["url"],
            "storageKey": stored.get("key"),
        }
        return source, answer.sent_sha256


def _create(attempt: Attempt, body: Mapping[str, Any], *, is_paid: bool) -> Request:
    headers = {"Idempotency-Key": attempt.token}
    return Request("POST", "/audio/splits", json=body, headers=headers, is_paid=is_paid)


def _file_name(attempt: Attempt) -> str:
    """Give the upload's name: the token alone, with the source's extension."""
    path = PurePosixPath(unquote(urlsplit(attempt.track.location).path) or attempt.track.location)
    return f"{attempt.token}{path.suffix.lower() if path.suffix.isascii() else ''}"


def _check_signature(delivery: Delivery, secret: str) -> None:
    """Check `t=…,v1=…`: one of the v1 values must sign the time and the body, and the time must be now."""
    pairs = [
        part.strip().split("=", 1) for part in delivery.headers.get("aistemsplitter-signature", "").split(",")
    ]
    times = [pair[1] for pair in pairs if pair[0] == "t" and len(pair) == 2]
    given = [pair[1].lower() for pair in pairs if pair[0] == "v1" and len(pair) == 2]
    if not secret or len(times) != 1 or not re.fullmatch(r"[0-9]{1,12}", times[0]):
        raise SignatureRefused("The delivery is not signed.")
    expected = hmac.new(secret.encode(), f"{times[0]}.".encode() + delivery.body, hashlib.sha256).hexdigest()
    if not any(hmac.compare_digest(each.encode(), expected.encode()) for each in given):
        raise SignatureRefused("The delivery is not signed with the account's webhook secret.")
    if abs(delivery.received_at.timestamp() - int(times[0])) > SIGNED_SECONDS:
        raise SignatureRefused("The delivery was signed at another time: it is old, or a clock is wrong.")


def _body(answer: Answer) -> dict[str, Any] | None:
    return _parse(answer.body)


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) else None


def _data(answer: Answer) -> dict[str, Any]:
    """Give what is inside the envelope."""
    data = (_body(answer) or {}).get("data")
    return data if isinstance(data, dict) else {}


def _no_answer(request: Request, answer: Answer) -> StemlineError:
    what = f"{request.method} {request.url}"
    sentence = f"AIStemSplitter answered {what} with status {answer.status} and no usable body."
    return NoAnswer(sentence) if request.is_paid else ProviderDown(sentence)


def _classify_transfer(answer: Answer) -> StemlineError | None:
    if answer.status // 100 == 2 or answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return None
    if answer.status in _EXPIRED_TICKET:
        return LinkExpired(f"The upload was refused with status {answer.status}.")
    body = _body(answer) or {}
    reason = body.get("message") or body.get("error") or f"status {answer.status}"
    if answer.status in {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}:
        return TrackRefused(f"The upload was refused: {reason}.", code=Code.REFUSED)
    return TransferFailed(f"The upload failed: {reason}.")


def _classify_error(status: int, error: Mapping[str, Any]) -> StemlineError:
    code, message = str(error.get("code") or ""), str(error.get("message") or f"status {status}")
    if code == "UNAUTHORIZED" or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return KeyRefused(f"AIStemSplitter refused the API key: {message}", fix="Check provider.api_key.")
    if code == "INSUFFICIENT_CREDITS" or status == HTTPStatus.PAYMENT_REQUIRED:
        return OutOfCredits(f"AIStemSplitter is out of credits: {message}", fix="Buy more, then run again.")
    if code == "RATE_LIMITED":
        return Throttled(message)
    if status == HTTPStatus.NOT_FOUND:
        return JobFailed(f"AIStemSplitter does not know this split: {message}", code=Code.JOB_LOST)
    return TrackRefused(f"AIStemSplitter refused the track: {message}", code=Code.REFUSED)


def _read_split(split: Mapping[str, Any]) -> Job:
    phase = _PHASES.get(str(split.get("status")), Phase.RUNNING)
    error, stems = split.get("error"), split.get("stems")
    return Job(
        job_id=str(split.get("id")),
        phase=phase,
        file_name=split.get("filename"),
        duration_seconds=_number(split.get("durationSeconds")),
        created_at=_time(split.get("createdAt")),
        completed_at=_time(split.get("updatedAt")) if phase is Phase.DONE else None,
        credits_charged=_whole(split.get("creditsUsed")),
        message=str(error.get("message") or error.get("code")) if isinstance(error, dict) else None,
        outputs=tuple(Output(stem, str(url)) for stem, url in stems.items() if url)
        if isinstance(stems, dict)
        else (),
    )


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
