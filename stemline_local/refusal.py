"""Why the service will not do something, in words every dialect translates into its own codes."""

from __future__ import annotations

from enum import StrEnum

from stemline.errors import StemlineError


class RefusalReason(StrEnum):
    """The closed list of refusals."""

    BAD_REQUEST = "bad_request"
    UNKNOWN_JOB = "unknown_job"
    UNKNOWN_UPLOAD = "unknown_upload"
    SOURCE_REFUSED = "source_refused"
    SOURCE_UNREACHABLE = "source_unreachable"
    FILE_TOO_LARGE = "file_too_large"
    AUDIO_TOO_LONG = "audio_too_long"
    AUDIO_TOO_SHORT = "audio_too_short"
    UNSUPPORTED_FORMAT = "unsupported_format"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    IDEMPOTENCY_CONFLICT = "repeated_otherwise"
    UNKNOWN_VIDEO = "unknown_video"
    UNKNOWN_WEBHOOK = "unknown_hook"
    WEBHOOK_REFUSED = "hook_refused"
    UNKNOWN_ENDPOINT = "unknown_endpoint"
    MISSING_KEY = "missing_key"
    UNKNOWN_KEY = "unknown_key"
    REVOKED_KEY = "revoked_key"
    RATE_LIMITED = "rate_limited"
    BROKEN = "broken"


class Refusal(StemlineError):
    """A request that is not carried out; nothing was charged and nothing is kept."""

    def __init__(self, reason: RefusalReason, message: str, **facts: int) -> None:
        """Say why, with the figures behind it."""
        super().__init__(message)
        self.reason = reason
        self.facts = facts
        """Figures a dialect may show, such as `required_seconds`."""
