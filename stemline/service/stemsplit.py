"""The dialect of StemSplit API v1, as its reference page and its OpenAPI file describe it."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stemline.service import intake
from stemline.service.backend import Backend
from stemline.service.credits import Account
from stemline.service.jobs import Job, Status
from stemline.service.ratelimit import Grant
from stemline.service.refusal import Reason, Refusal
from stemline.service.storage import MAX_FILE_BYTES
from stemline.service.transfer import CONTENT_TYPES
from stemline.service.wire import (
    address_of,
    bad_request,
    iso_time,
    read_body,
    read_choice,
    read_number,
    read_text,
)

PREFIX = "/api/v1"
UPLOAD_SECONDS = 900
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
}
FACTS = {
    "maximum_bytes": "maxSizeBytes",
    "actual_bytes": "actualSizeBytes",
    "required_seconds": "requiredSeconds",
}

Answer = tuple[int, dict[str, Any]]
Handler = Callable[[Request, Account], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class StemSplit:
    """The endpoints; each gives a status and a body, and `_guarded` does what they share."""

    backend: Backend

    def routes(self) -> list[Route]:
        """Give the routes under /api/v1."""
        any_method = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return [
            Route(f"{PREFIX}/upload", self._guarded(self.upload), methods=["POST"]),
            Route(f"{PREFIX}/jobs", self._guarded(self.create_job), methods=["POST"]),
            Route(f"{PREFIX}/jobs", self._guarded(self.list_jobs), methods=["GET"]),
            Route(f"{PREFIX}/jobs/{{id}}", self._guarded(self.show_job), methods=["GET"]),
            Route(f"{PREFIX}/balance", self._guarded(self.show_balance), methods=["GET"]),
            Route(f"{PREFIX}/{{path:path}}", self._guarded(_no_endpoint), methods=any_method),
        ]

    async def upload(self, request: Request, account: Account) -> Answer:
        """POST /upload: a presigned link for one file."""
        body = await read_body(request)
        suffix = intake.suffix_of(read_text(body, "filename") or _missing("filename"))
        content_type = read_text(body, "contentType") or CONTENT_TYPES.get(suffix, "application/octet-stream")
        if not re.fullmatch(r"[\w.+-]+/[\w.+-]+", content_type, re.ASCII):
            raise bad_request("contentType must be a MIME type such as audio/mpeg.")
        key = f"uploads/{account.id}/{secrets.token_hex(12)}/input{suffix}"
        link = self.backend.signer.link("PUT", key, UPLOAD_SECONDS, content_type)
        return 200, {
            "uploadUrl": address_of(request) + link.target,
            "uploadKey": key,
            "expiresAt": iso_time(link.expires_at),
            "maxFileSizeBytes": MAX_FILE_BYTES,
            "maxFileSizeMb": MAX_FILE_BYTES // 2**20,
            "contentType": content_type,
            "instructions": {
                "step1": f"PUT your file to the uploadUrl with Content-Type: {content_type}",
                "step2": f"Use the uploadKey when calling POST {PREFIX}/jobs",
                "note": f"The upload URL expires in {UPLOAD_SECONDS // 60} minutes",
            },
        }

    async def create_job(self, request: Request, account: Account) -> Answer:
        """POST /jobs: a job from an upload or from a URL."""
        body = await read_body(request)
        metadata = body.get("metadata")
        if not isinstance(metadata, dict | None):
            raise bad_request("metadata must be an object.")
        job = await self.backend.intake.accept(account, _read_request(body))
        return 201, {
            "id": job.id,
            "status": job.status,
            "progress": 0,
            "createdAt": iso_time(job.created_at),
            "estimatedSeconds": await asyncio.to_thread(self.backend.pool.estimated_seconds),
            "creditsRequired": job.credits_required,
            "input": _input(job),
            "options": _options(job),
            "outputs": None,
            "metadata": metadata,
        }

    async def list_jobs(self, request: Request, account: Account) -> Answer:
        """GET /jobs: a page of jobs, newest first, without links."""
        limit = min(100, read_number(request, "limit", default=20, minimum=1))
        offset = read_number(request, "offset", default=0, minimum=0)
        status = read_choice(request.query_params, "status", STATUSES, None)
        jobs, total = await asyncio.to_thread(self.backend.jobs.page, account.id, limit, offset, status)
        has_more = offset + len(jobs) < total
        return 200, {
            "jobs": [self._item(job) for job in jobs],
            "pagination": {"total": total, "limit": limit, "offset": offset, "hasMore": has_more},
        }

    async def show_job(self, request: Request, account: Account) -> Answer:
        """GET /jobs/{id}: one job, with links that are minted anew each time."""
        job = await asyncio.to_thread(self.backend.jobs.find, account.id, request.path_params["id"])
        was_separated = job.status in (Status.COMPLETED, Status.EXPIRED)
        return 200, {
            **self._item(job),
            "input": _input(job),
            "startedAt": iso_time(job.started_at),
            "expiresAt": iso_time(job.expires_at),
            "outputs": self._outputs(job, address_of(request)),
            "audioMetadata": {"bpm": job.bpm, "key": job.key} if was_separated else None,
            "errorDetails": None,
        }

    async def show_balance(self, _: Request, account: Account) -> Answer:
        """GET /balance: what is left."""
        balance = await asyncio.to_thread(self.backend.accounts.balance, account)
        minutes = balance.seconds // 60
        return 200, {
            "balanceSeconds": balance.seconds,
            "balanceMinutes": minutes,
            "balanceFormatted": f"{minutes} minute{'' if minutes == 1 else 's'}",
            "updatedAt": iso_time(balance.updated_at),
        }

    def _guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Count the request against its key, let it in or not, and answer in the vendor's shape."""

        async def endpoint(request: Request) -> Response:
            scheme, _, key = request.headers.get("authorization", "").partition(" ")
            account = self.backend.accounts.find(key.strip()) if scheme.lower() == "bearer" else None
            grant = self.backend.limit.take(account.id if account else "")
            if not grant.is_allowed:
                status, body = _too_many(grant)
            elif account is None or account.is_revoked:
                status, body = _not_let_in(account, has_key=bool(key))
            else:
                status, body = await _carried_out(handler, request, account)
            return JSONResponse(body, status, headers=_limit_headers(grant))

        return endpoint

    def _item(self, job: Job) -> dict[str, Any]:
        """Give a job as the list shows it; the detail adds to it."""
        return {
            "id": job.id,
            "status": job.status,
            "progress": self._progress(job),
            "createdAt": iso_time(job.created_at),
            "completedAt": iso_time(job.completed_at),
            "input": {"fileName": job.file_name, "durationSeconds": job.duration_seconds},
            "options": _options(job),
            "creditsCharged": job.credits_charged,
            "errorMessage": job.error,
        }

    def _progress(self, job: Job) -> int:
        if job.status in (Status.COMPLETED, Status.EXPIRED):
            return 100
        return min(99, int(100 * self.backend.pool.progress(job)))

    def _outputs(self, job: Job, address: str) -> dict[str, Any] | None:
        if job.status is not Status.COMPLETED or job.expires_at is None:
            return None
        lifetime = min(self.backend.link_seconds, job.expires_at - self.backend.clock())
        links = {stem: self.backend.signer.link("GET", name, lifetime) for stem, name in job.outputs.items()}
        return {
            stem: {"url": address + link.target, "expiresAt": iso_time(link.expires_at)}
            for stem, link in links.items()
        }


async def _carried_out(handler: Handler, request: Request, account: Account) -> Answer:
    try:
        return await handler(request, account)
    except Refusal as refusal:
        status, code = ERRORS[refusal.reason]
        extras: dict[str, Any] = {FACTS[name]: value for name, value in refusal.facts.items()}
        if refusal.reason is Reason.INSUFFICIENT_CREDITS:
            extras["purchaseUrl"] = f"{address_of(request)}{PREFIX}/balance"
        return status, _error(code, refusal.message, **extras)


async def _no_endpoint(request: Request, _: Account) -> Answer:
    return 404, _error("NOT_FOUND", f"There is no {request.method} {request.url.path}.")


def _read_request(body: Mapping[str, Any]) -> intake.Request:
    upload_key, source_url = read_text(body, "uploadKey"), read_text(body, "sourceUrl")
    if (upload_key is None) == (source_url is None):
        raise bad_request("Exactly one of uploadKey and sourceUrl must be given.")
    stems = read_choice(body, "outputType", STEMS, "both")
    quality = read_choice(body, "quality", QUALITIES, "best")
    if stems == "six" and quality != "best":
        raise bad_request("SIX_STEMS needs the quality BEST.")
    return intake.Request(
        stems=stems,
        quality=quality,
        format=read_choice(body, "outputFormat", FORMATS, "mp3"),
        upload_key=upload_key,
        source_url=source_url,
        file_name=read_text(body, "fileName"),
    )


def _input(job: Job) -> dict[str, Any]:
    return {
        "fileName": job.file_name,
        "durationSeconds": job.duration_seconds,
        "fileSizeBytes": job.size_bytes,
    }


def _options(job: Job) -> dict[str, str]:
    return {
        "outputType": next(word for word, stems in STEMS.items() if stems == job.stems),
        "quality": job.quality.upper(),
        "outputFormat": job.format.upper(),
    }


def _limit_headers(grant: Grant) -> dict[str, str]:
    headers = {
        "X-RateLimit-Limit": str(grant.limit),
        "X-RateLimit-Remaining": str(grant.remaining),
        "X-RateLimit-Reset": str(grant.reset_at),
    }
    return headers if grant.is_allowed else {**headers, "Retry-After": str(grant.retry_after_seconds)}


def _too_many(grant: Grant) -> Answer:
    message = f"Rate limit exceeded. Try again in {grant.retry_after_seconds} seconds."
    return 429, _error("RATE_LIMIT_EXCEEDED", message)


def _not_let_in(account: Account | None, *, has_key: bool) -> Answer:
    if account is not None:
        return 403, _error("API_KEY_REVOKED", "This API key has been revoked.")
    if has_key:
        return 401, _error("INVALID_API_KEY", "This API key is not known.")
    return 401, _error("MISSING_API_KEY", "Missing API key: send the header 'Authorization: Bearer <key>'.")


def _error(code: str, message: str, **extras: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    return {"error": {"code": code, "message": message, **extras}}


def _missing(name: str) -> str:
    raise bad_request(f"{name} is missing.")
