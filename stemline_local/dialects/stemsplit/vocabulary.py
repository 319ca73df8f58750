"""StemSplit's vocabulary: its words in requests, its code for every refusal, its headers of the rate limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from stemline_local.api.request_pipeline import JsonAnswer
from stemline_local.api.request_reading import bad_request
from stemline_local.jobs.job import JobStatus
from stemline_local.rate_limit import RateLimitDecision
from stemline_local.refusal import Refusal, RefusalReason

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
STATUSES = {status.value: status for status in JobStatus}

ERRORS = {
    RefusalReason.BAD_REQUEST: (400, "INVALID_REQUEST"),
    RefusalReason.UNKNOWN_JOB: (404, "JOB_NOT_FOUND"),
    RefusalReason.UNKNOWN_UPLOAD: (400, "UPLOAD_NOT_FOUND"),
    RefusalReason.SOURCE_REFUSED: (400, "INVALID_SOURCE_URL"),
    RefusalReason.SOURCE_UNREACHABLE: (400, "SOURCE_UNREACHABLE"),
    RefusalReason.FILE_TOO_LARGE: (400, "FILE_TOO_LARGE"),
    RefusalReason.AUDIO_TOO_LONG: (400, "AUDIO_TOO_LONG"),
    RefusalReason.AUDIO_TOO_SHORT: (400, "AUDIO_TOO_SHORT"),
    RefusalReason.UNSUPPORTED_FORMAT: (400, "UNSUPPORTED_FORMAT"),
    RefusalReason.INSUFFICIENT_CREDITS: (402, "INSUFFICIENT_CREDITS"),
    RefusalReason.IDEMPOTENCY_CONFLICT: (
        422,
        "INVALID_REQUEST",
    ),  # this vendor knows no Idempotency-Key: never given
    RefusalReason.UNKNOWN_VIDEO: (404, "VIDEO_NOT_FOUND"),
    RefusalReason.UNKNOWN_WEBHOOK: (404, "WEBHOOK_NOT_FOUND"),
    RefusalReason.WEBHOOK_REFUSED: (400, "INVALID_WEBHOOK_URL"),
    RefusalReason.UNKNOWN_ENDPOINT: (404, "NOT_FOUND"),
    RefusalReason.MISSING_KEY: (401, "MISSING_API_KEY"),
    RefusalReason.UNKNOWN_KEY: (401, "INVALID_API_KEY"),
    RefusalReason.REVOKED_KEY: (403, "API_KEY_REVOKED"),
    RefusalReason.RATE_LIMITED: (429, "RATE_LIMIT_EXCEEDED"),
    RefusalReason.BROKEN: (500, "INTERNAL_ERROR"),
}
"""The vendor's status and code of each refusal; where it documents none, one in its manner."""
FACTS = {
    "maximum_bytes": "maxSizeBytes",
    "actual_bytes": "actualSizeBytes",
    "required_seconds": "requiredSeconds",
}


@dataclass(frozen=True, slots=True)
class StemSplitVocabulary:
    """StemSplit's error bodies and headers."""

    foreign_prefix: str = "ast_"

    def refuse(self, refusal: Refusal, address: str) -> JsonAnswer:
        """Give `{"error": {"code", "message", …}}` with its status."""
        status, code = ERRORS[refusal.reason]
        extras: dict[str, Any] = {FACTS[name]: value for name, value in refusal.facts.items()}
        if refusal.reason is RefusalReason.INSUFFICIENT_CREDITS:
            extras["purchaseUrl"] = f"{address}{PREFIX}/balance"
        return status, {"error": {"code": code, "message": refusal.message, **extras}}

    def headers(self, decision: RateLimitDecision) -> dict[str, str]:
        """Give the three headers of every answer, and the fourth of a 429."""
        headers = {
            "X-RateLimit-Limit": str(decision.limit),
            "X-RateLimit-Remaining": str(decision.remaining),
            "X-RateLimit-Reset": str(decision.reset_at),
        }
        return (
            headers if decision.is_allowed else {**headers, "Retry-After": str(decision.retry_after_seconds)}
        )


def missing(name: str) -> NoReturn:
    """Refuse a body without a field it must have.

    Raises:
        Refusal: always.
    """
    raise bad_request(f"{name} is missing.")
