"""StemSplit's words: its codes for every refusal, and its headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from stemline_local.gate import Answer
from stemline_local.job import Status
from stemline_local.ratelimit import Grant
from stemline_local.refusal import Reason, Refusal
from stemline_local.wire import bad_request

PREFIX = "/api/v1"
STEMS = {
    "VOCALS": "vocals",
    "INSTRUMENTAL": "instrumental",
    "BOTH": "both",
    "FOUR_STEMS": "four",
    "SIX_STEMS": "six",
}
QUALITIES = {"FAST": "fast", "BALANCED": "balanced", "BEST": "best"}
FORMATS = {"MP3": "mp3", "WAV": "wav", "FLAC": "flac"}
STATUSES = {status.value: status for status in Status}

ERRORS = {
    Reason.BAD_REQUEST: (400, "INVALID_REQUEST"),
    Reason.UNKNOWN_JOB: (404, "JOB_NOT_FOUND"),
    Reason.UNKNOWN_UPLOAD: (400, "UPLOAD_NOT_FOUND"),
    Reason.SOURCE_REFUSED: (400, "INVALID_SOURCE_URL"),
    Reason.SOURCE_UNREACHABLE: (400, "SOURCE_UNREACHABLE"),
    Reason.FILE_TOO_LARGE: (400, "FILE_TOO_LARGE"),
    Reason.AUDIO_TOO_LONG: (400, "AUDIO_TOO_LONG"),
    Reason.AUDIO_TOO_SHORT: (400, "AUDIO_TOO_SHORT"),
    Reason.UNSUPPORTED_FORMAT: (400, "UNSUPPORTED_FORMAT"),
    Reason.INSUFFICIENT_CREDITS: (402, "INSUFFICIENT_CREDITS"),
    Reason.REPEATED_OTHERWISE: (422, "INVALID_REQUEST"),  # this vendor knows no Idempotency-Key: never given
    Reason.UNKNOWN_VIDEO: (404, "VIDEO_NOT_FOUND"),
    Reason.UNKNOWN_HOOK: (404, "WEBHOOK_NOT_FOUND"),
    Reason.HOOK_REFUSED: (400, "INVALID_WEBHOOK_URL"),
    Reason.UNKNOWN_ENDPOINT: (404, "NOT_FOUND"),
    Reason.MISSING_KEY: (401, "MISSING_API_KEY"),
    Reason.UNKNOWN_KEY: (401, "INVALID_API_KEY"),
    Reason.REVOKED_KEY: (403, "API_KEY_REVOKED"),
    Reason.RATE_LIMITED: (429, "RATE_LIMIT_EXCEEDED"),
    Reason.BROKEN: (500, "INTERNAL_ERROR"),
}
"""The vendor's status and code of each refusal; where it documents none, one in its manner."""
FACTS = {
    "maximum_bytes": "maxSizeBytes",
    "actual_bytes": "actualSizeBytes",
    "required_seconds": "requiredSeconds",
}


@dataclass(frozen=True, slots=True)
class Language:
    """How StemSplit says it."""

    foreign_prefix: str = "ast_"

    def refuse(self, refusal: Refusal, address: str) -> Answer:
        """Give `{"error": {"code", "message", …}}` with its status."""
        status, code = ERRORS[refusal.reason]
        extras: dict[str, Any] = {FACTS[name]: value for name, value in refusal.facts.items()}
        if refusal.reason is Reason.INSUFFICIENT_CREDITS:
            extras["purchaseUrl"] = f"{address}{PREFIX}/balance"
        return status, {"error": {"code": code, "message": refusal.message, **extras}}

    def headers(self, grant: Grant) -> dict[str, str]:
        """Give the three headers of every answer, and the fourth of a 429."""
        headers = {
            "X-RateLimit-Limit": str(grant.limit),
            "X-RateLimit-Remaining": str(grant.remaining),
            "X-RateLimit-Reset": str(grant.reset_at),
        }
        return headers if grant.is_allowed else {**headers, "Retry-After": str(grant.retry_after_seconds)}


def missing(name: str) -> NoReturn:
    """Refuse a body without a field it must have.

    Raises:
        Refusal: always.
    """
    raise bad_request(f"{name} is missing.")
