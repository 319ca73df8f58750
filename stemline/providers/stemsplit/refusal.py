"""Which error an answer of StemSplit stands for: the code it names first, the HTTP status second."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from stemline.errors import (
    ConfigError,
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
from stemline.protocol import HttpAnswer, HttpRequest
from stemline.providers.stemsplit.answer import parse_or_none
from stemline.reading import part
from stemline.records import Code

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


def classify(request: HttpRequest, answer: HttpAnswer) -> StemlineError | None:
    """Give the error an answer stands for, None for success."""
    if request.is_transfer:
        return _classify_transfer(answer)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        # It was refused before it was read: safe to repeat, even when paid.
        return Throttled("StemSplit asked us to wait.")
    if request.method == "DELETE" and answer.status == HTTPStatus.NOT_FOUND:
        return None  # it is gone, which is what was wanted
    body = parse_or_none(answer)
    if answer.status // 100 == 2:
        return None if body is not None else _no_answer(request, answer)
    if body is None or answer.status // 100 != 4:
        return _no_answer(request, answer)
    return _classify_error(request, answer.status, part(body, "error"))


def _no_answer(request: HttpRequest, answer: HttpAnswer) -> StemlineError:
    told = part(parse_or_none(answer) or {}, "error").get("message")
    said = f": {told}" if told else " and no usable body."
    sentence = f"StemSplit answered {request.method} {request.url} with status {answer.status}{said}"
    return NoAnswer(sentence) if request.is_paid else ProviderDown(sentence)


def _classify_transfer(answer: HttpAnswer) -> StemlineError | None:
    if answer.status // 100 == 2:
        return None
    if answer.status in _EXPIRED_LINK:
        return LinkExpired(f"The storage refused the upload with status {answer.status}.")
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TrackRefused("The storage says that the file is too large.", code=Code.TOO_LARGE)
    return TransferFailed(f"The storage answered the upload with status {answer.status}.")


def _classify_error(request: HttpRequest, status: int, error: Mapping[str, Any]) -> StemlineError:
    code, message = str(error.get("code") or ""), str(error.get("message") or f"status {status}")
    if code == "INSUFFICIENT_CREDITS" or status == HTTPStatus.PAYMENT_REQUIRED:
        where = error.get("purchaseUrl")
        return OutOfCredits(
            f"StemSplit is out of credits: {message}", fix=f"Buy more at {where}." if where else ""
        )
    if code in _KEY_CODES or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return KeyRefused(f"StemSplit refused the API key: {message}", fix="Check provider.api_key.")
    if request.url.startswith("/webhooks"):
        return ConfigError(f"StemSplit refused the webhook: {message}", fix="Check webhooks.public_url.")
    if request.method == "POST":
        return TrackRefused(
            f"StemSplit refused the track: {message}", code=_TRACK_CODES.get(code, Code.REFUSED)
        )
    is_job = request.url.startswith("/jobs/")
    if code == "JOB_NOT_FOUND" or (is_job and status == HTTPStatus.NOT_FOUND):
        return JobFailed(f"StemSplit does not know this job: {message}", code=Code.JOB_LOST)
    return ProviderDown(f"StemSplit refused {request.method} {request.url}: {message}")
