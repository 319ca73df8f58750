"""AIStemSplitter API v1: requests built, answers deciphered. Follows the vendor's reference page.

The attempt's token is the `Idempotency-Key`: repeating a submit under it, with the same body, makes no second split.
There is no list, so that repeating is also how an unanswered submit is resolved.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from stemline.errors import LinkExpired, ProviderDown, StemlineError, TransferFailed
from stemline.protocol import (
    HttpAnswer,
    HttpRequest,
    OtherAttempts,
    Steps,
    WebhookDelivery,
    WebhookRegistration,
)
from stemline.providers.aistemsplitter import webhook
from stemline.providers.aistemsplitter.answer import data_of, read_split, read_submission
from stemline.providers.aistemsplitter.refusal import classify
from stemline.reading import part, text, whole
from stemline.records import Attempt, Event, Job, Submission
from stemline.settings import ProviderFacts

_CONTENT_TYPES = {
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".ogg": "audio/ogg",
    ".opus": "audio/opus",
    ".webm": "audio/webm",
    ".wma": "audio/x-ms-wma",
}
"""Written down, for what the machine knows of types differs from one to the next."""


def build(facts: ProviderFacts) -> AIStemSplitter:
    """Give the provider."""
    return AIStemSplitter(facts)


class AIStemSplitter:
    """The AIStemSplitter dialect."""

    can_list = False

    def __init__(self, facts: ProviderFacts) -> None:
        """Remember the vendor's facts."""
        self.facts = facts

    def submit(self, attempt: Attempt, hook_url: str | None = None) -> Steps[Submission]:
        """Hand a web track over by URL, upload any other, and create the split."""
        digest, location = None, attempt.track.location
        if location.lower().startswith(("http://", "https://")):
            source: dict[str, Any] = {"type": "direct_url", "url": location}
        else:
            source, digest = yield from self._upload(attempt)
        # Six stems are the other model; every other recipe is four stems, or mixed down from them.
        body = {
            "input": source,
            "stemModel": "6s" if attempt.recipe.stems == "six" else "4s",
            "outputFormat": attempt.recipe.format,
            **({"webhookUrl": hook_url} if hook_url else {}),
        }
        return read_submission(data_of((yield _create(attempt, body, is_paid=True))), digest)

    def sweep(
        self, job_ids: Collection[str], _since: datetime, _besides: Collection[str] = ()
    ) -> Steps[list[Job]]:
        """Read split after split: the vendor has no list."""
        jobs = []
        for job_id in job_ids:
            jobs.append((yield from self.read_job(job_id)))  # noqa: PERF401 - a comprehension cannot yield
        return jobs

    def find(self, attempt: Attempt, _other_attempts: OtherAttempts) -> Steps[Job | None]:
        """Repeat the submit under its own key and body: it gives the split that exists, or makes the first one."""
        if attempt.request is None:
            return None
        # Not marked as paid: under this key the vendor charges once, however often it is asked.
        split = data_of((yield _create(attempt, attempt.request, is_paid=False)))
        return read_split(split) if split.get("id") else None

    def shows_older(self, _attempt: Attempt, _other_attempts: OtherAttempts) -> Steps[bool]:
        """Nothing to see: the vendor has no list."""
        yield from ()
        return False

    def candidates(self, _attempt: Attempt) -> Steps[list[Job]]:
        """Nothing to search: the vendor has no list."""
        yield from ()
        return []

    def read_job(self, job_id: str) -> Steps[Job]:
        """Read one split, with its links once it has succeeded."""
        path = f"/audio/splits/{quote(job_id, safe='')}"
        return read_split(data_of((yield HttpRequest("GET", path, template="/audio/splits/{id}"))))

    def read_balance(self) -> Steps[int]:
        """Read the balance in seconds, which are credits."""
        balance = whole(data_of((yield HttpRequest("GET", "/credits"))).get("balance"))
        if balance is None:
            raise ProviderDown("AIStemSplitter answered GET /credits without a balance.")
        return balance

    def read_event(self, delivery: WebhookDelivery, secret: str) -> Event | None:
        """Give what a webhook's delivery says; None when it is about no split."""
        return webhook.read_event(delivery, secret)

    def register_webhook(self, _url: str, _held: Collection[str]) -> Steps[WebhookRegistration | None]:
        """Nothing to do: the URL travels with every split, and the secret is the account's."""
        yield from ()
        return None

    def unregister_webhook(self, _url: str) -> Steps[list[str]]:
        """Nothing to do."""
        yield from ()
        return []

    def classify(self, request: HttpRequest, answer: HttpAnswer) -> StemlineError | None:
        """Give the error an answer stands for, None for success."""
        return classify(request, answer)

    def _upload(self, attempt: Attempt) -> Steps[tuple[dict[str, Any], str | None]]:
        """Transfer the file under a reservation, under a second one when the first has expired."""
        try:
            return (yield from self._upload_once(attempt))
        except LinkExpired:
            return (yield from self._upload_once(attempt))

    def _upload_once(self, attempt: Attempt) -> Steps[tuple[dict[str, Any], str | None]]:
        suffix = _suffix(attempt.track.location)
        content_type = _CONTENT_TYPES.get(suffix, "application/octet-stream")
        wanted = {
            "filename": attempt.token + suffix,
            "contentType": content_type,
            "contentLength": attempt.track.size_bytes,
        }
        ticket = data_of((yield HttpRequest("POST", "/audio/uploads", json=wanted)))
        url, upload_id = text(ticket.get("uploadUrl")), text(ticket.get("uploadId"))
        if url is None or upload_id is None:
            raise ProviderDown("AIStemSplitter reserved an upload without uploadUrl or uploadId.")
        headers = _transfer_headers(part(ticket, "uploadHeaders"), content_type)
        stored, digest = yield from _transfer(url, headers, attempt.track.location)
        return {"type": "uploaded_file", "uploadId": upload_id, **stored}, digest


def _transfer(
    url: str, headers: Mapping[str, str], location: str
) -> Steps[tuple[dict[str, str], str | None]]:
    """Send the file and give where it went: by POST, as the vendor's packages do, by PUT where its prose holds."""
    answer = yield HttpRequest("POST", url, headers=headers, body=location, is_transfer=True)
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
        answer = yield HttpRequest("PUT", url, headers=headers, body=location, is_transfer=True)
    stored = data_of(answer)
    file_url, key = text(stored.get("url")), text(stored.get("key"))
    if file_url is None or key is None:
        raise TransferFailed("The upload was answered without the file's url or key.")
    return {"fileUrl": file_url, "storageKey": key}, answer.sent_sha256


def _transfer_headers(given: Mapping[str, Any], content_type: str) -> dict[str, str]:
    """Give the reservation's own headers, and the content type where they lack it, in whatever spelling.

    The length is left out: it is the file's, and whoever sends that knows it.
    """
    headers = {
        name: str(value)
        for name, value in given.items()
        if value is not None and name.lower() != "content-length"
    }
    if "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = content_type
    return headers


def _create(attempt: Attempt, body: Mapping[str, Any], *, is_paid: bool) -> HttpRequest:
    headers = {"Idempotency-Key": attempt.token}
    return HttpRequest("POST", "/audio/splits", json=body, headers=headers, is_paid=is_paid)


def _suffix(location: str) -> str:
    """Give the extension of a file in lower case, nothing when what follows the last dot is none."""
    suffix = PurePosixPath(location).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
