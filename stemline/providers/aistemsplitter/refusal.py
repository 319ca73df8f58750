"""Which error an answer of AIStemSplitter stands for: the code it names first, the HTTP status second."""

from __future__ import annotations

from http import HTTPStatus

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
from stemline.protocol import HttpAnswer, HttpRequest
from stemline.providers.aistemsplitter.answer import open_envelope, read_error
from stemline.records import Code

_EXPIRED_TICKET = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_TRANSFER_CODES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Code.UNSUPPORTED_FORMAT,
    HTTPStatus.UNPROCESSABLE_ENTITY: Code.REFUSED,
}


def classify(request: HttpRequest, answer: HttpAnswer) -> StemlineError | None:
    """Give the error an answer stands for, None for success."""
    if request.is_transfer:
        return _classify_transfer(request, answer)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        # It was refused before it was read: safe to repeat, even when paid.
        return Throttled("AIStemSplitter asked us to wait.")
    if answer.status // 100 == 2:
        return None if open_envelope(answer) is not None else _no_answer(request, answer)
    error = read_error(answer)
    if error is None or answer.status // 100 != 4:
        return _no_answer(request, answer)
    code, message = error
    return _classify_error(request, answer.status, code, message or f"status {answer.status}")


def _no_answer(request: HttpRequest, answer: HttpAnswer) -> StemlineError:
    what = f"{request.method} {request.url}"
    _, told = read_error(answer) or ("", None)
    said = f": {told}" if told else " and no usable body."
    sentence = f"AIStemSplitter answered {what} with status {answer.status}{said}"
    return NoAnswer(sentence) if request.is_paid else ProviderDown(sentence)


def _classify_transfer(request: HttpRequest, answer: HttpAnswer) -> StemlineError | None:
    if answer.status // 100 == 2:
        return None
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED and request.method == "POST":
        return None  # not the end of it: the vendor's prose says PUT where its packages POST
    if answer.status in _EXPIRED_TICKET:
        return LinkExpired(f"The upload was refused with status {answer.status}.")
    code, message = read_error(answer) or ("", None)
    reason = (message or code or f"status {answer.status}").rstrip(".")
    if answer.status in _TRANSFER_CODES:
        ours = _TRANSFER_CODES[HTTPStatus(answer.status)]
        return TrackRefused(f"The upload was refused: {reason}.", code=ours)
    return TransferFailed(f"The upload failed: {reason}.")


def _classify_error(request: HttpRequest, status: int, code: str, message: str) -> StemlineError:
    if code == "UNAUTHORIZED" or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return KeyRefused(f"AIStemSplitter refused the API key: {message}", fix="Check provider.api_key.")
    if code == "INSUFFICIENT_CREDITS" or status == HTTPStatus.PAYMENT_REQUIRED:
        return OutOfCredits(f"AIStemSplitter is out of credits: {message}", fix="Buy more, then run again.")
    if code == "RATE_LIMITED":
        return Throttled(f"AIStemSplitter asked us to wait: {message}")
    if request.method == "POST":
        return TrackRefused(f"AIStemSplitter refused the track: {message}", code=Code.REFUSED)
    if request.url.startswith("/audio/splits/") and status == HTTPStatus.NOT_FOUND:
        return JobFailed(f"AIStemSplitter does not know this split: {message}", code=Code.JOB_LOST)
    return ProviderDown(f"AIStemSplitter refused {request.method} {request.url}: {message}")
