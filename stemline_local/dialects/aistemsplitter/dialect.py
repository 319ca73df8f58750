"""The endpoints and webhook calls of AIStemSplitter API v1.

The page names neither headers for the rate limit nor what an unknown split is answered with: the first are not
sent, the second is 404 NOT_FOUND.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from stemline.records import STEMS as STEM_NAMES
from stemline_local.api.request_pipeline import JsonAnswer, RequestPipeline
from stemline_local.api.request_reading import (
    address_of,
    bad_request,
    iso_time,
    read_body,
    read_choice,
    read_object,
    read_text,
    read_whole,
)
from stemline_local.backend import ServiceBackend
from stemline_local.dialects.aistemsplitter.upload_endpoint import UploadEndpoint
from stemline_local.job_intake import SubmitRequest
from stemline_local.jobs.accounts import Account
from stemline_local.jobs.job import IdempotencyKey, JobKind, JobStatus, ServiceJob
from stemline_local.rate_limit import RateLimitDecision
from stemline_local.refusal import Refusal, RefusalReason
from stemline_local.webhooks.webhook_delivery import EventDelivery, WebhookCall

PREFIX = "/v1"
STEMS = {"4s": "four", "6s": "six"}
FORMATS = {"mp3": "mp3", "wav": "wav"}
STATUSES = {
    JobStatus.PENDING: "queued",
    JobStatus.PROCESSING: "processing",
    JobStatus.COMPLETED: "succeeded",
    JobStatus.FAILED: "failed",
    JobStatus.EXPIRED: "succeeded",  # the vendor has no such status: the links lead nowhere any more
}
ERRORS = {
    RefusalReason.UNKNOWN_JOB: (404, "NOT_FOUND"),
    RefusalReason.UNKNOWN_ENDPOINT: (404, "NOT_FOUND"),
    RefusalReason.INSUFFICIENT_CREDITS: (402, "INSUFFICIENT_CREDITS"),
    RefusalReason.MISSING_KEY: (401, "UNAUTHORIZED"),
    RefusalReason.UNKNOWN_KEY: (401, "UNAUTHORIZED"),
    RefusalReason.REVOKED_KEY: (401, "UNAUTHORIZED"),
    RefusalReason.RATE_LIMITED: (429, "RATE_LIMITED"),
    RefusalReason.BROKEN: (500, "SERVER_ERROR"),
}
"""Everything else is a body or an audio source that is not right."""
INVALID = (422, "VALIDATION_ERROR")
MOST_KEY = 255


@dataclass(frozen=True, slots=True)
class AIStemSplitterVocabulary:
    """AIStemSplitter's error bodies; it documents no headers of the rate limit."""

    foreign_prefix: str = "sk_"

    def refuse(self, refusal: Refusal, _: str) -> JsonAnswer:
        """Give `{"success": false, "error": {"code", "message"}}` with its status."""
        status, code = ERRORS.get(refusal.reason, INVALID)
        return status, {"success": False, "error": {"code": code, "message": refusal.message}}

    def headers(self, _: RateLimitDecision) -> dict[str, str]:
        """Give nothing: the vendor documents no header."""
        return {}


@dataclass(frozen=True, slots=True)
class AIStemSplitterDialect:
    """The endpoints under /v1; each gives a status and an enveloped body."""

    backend: ServiceBackend

    def routes(self) -> list[Route]:
        """Give the routes, that of the upload endpoint among them."""
        pipeline = RequestPipeline(self.backend, AIStemSplitterVocabulary())
        return [
            self._uploads.route(),
            pipeline.route("GET", f"{PREFIX}/credits", self.show_credits),
            pipeline.route("POST", f"{PREFIX}/audio/uploads", self.reserve_upload),
            pipeline.route("POST", f"{PREFIX}/audio/splits", self.create_split),
            pipeline.route("GET", f"{PREFIX}/audio/splits/{{id}}", self.show_split),
            pipeline.fallback(PREFIX),
        ]

    async def show_credits(self, request: Request, account: Account) -> JsonAnswer:
        """GET /credits: what is left."""
        balance = await asyncio.to_thread(self.backend.balance, account, f"GET {request.url.path}")
        return _success({"balance": balance.seconds, "unit": "seconds"})

    async def reserve_upload(self, request: Request, account: Account) -> JsonAnswer:
        """POST /audio/uploads: where and with which headers one file may be sent."""
        body = await read_body(request)
        file_name, content_type = _required(body, "filename"), _required(body, "contentType")
        length = read_whole(body, "contentLength", minimum=1)
        reservation = self._uploads.reserve(account.id, file_name, content_type, length)
        return _success(
            {
                "uploadId": reservation.id,
                "uploadUrl": address_of(request) + reservation.target,
                "uploadHeaders": reservation.headers,
                "expiresAt": iso_time(reservation.expires_at),
            }
        )

    async def create_split(self, request: Request, account: Account) -> JsonAnswer:
        """POST /audio/splits: the same Idempotency-Key with the same body makes one split and is charged once."""
        body = await read_body(request)
        wanted = self._read_request(body, request, account)
        if url := wanted.details.get("webhook_url"):
            await self.backend.webhook_sender.check(url)
        job = await self.backend.intake.accept(account, wanted)
        return _success(
            {
                "id": job.id,
                "status": STATUSES[JobStatus.PENDING],  # a repeat is answered as the first was
                "creditsUsed": job.credits_required,
                "createdAt": iso_time(job.created_at),
            }
        )

    async def show_split(self, request: Request, account: Account) -> JsonAnswer:
        """GET /audio/splits/{id}: where a split stands, with stems once there are some."""
        wanted = (account.id, request.path_params["id"], JobKind.SPLIT)
        job = await asyncio.to_thread(self.backend.jobs.find, *wanted)
        shown: dict[str, Any] = {
            "id": job.id,
            "status": STATUSES[job.status],
            "stemModel": _model(job),
            "filename": job.file_name,
            "durationSeconds": job.duration_seconds,
            "creditsUsed": job.credits_charged if job.status is JobStatus.FAILED else job.credits_required,
            "createdAt": iso_time(job.created_at),
            "updatedAt": iso_time(job.completed_at or job.started_at or job.created_at),
            "error": None,
        }
        if job.status in (JobStatus.COMPLETED, JobStatus.EXPIRED):
            shown["stems"] = self._stems(job, address_of(request))
        if job.status is JobStatus.FAILED:
            shown["error"] = {"code": "PROCESSING_FAILED", "message": job.error}
        return _success(shown)

    def compose(self, delivery: EventDelivery) -> WebhookCall:
        """Give the call of a split's webhookUrl at its end, signed together with the time of this very call."""
        job = delivery.job
        status = "failed" if job.error else "succeeded"
        payload = {"event": delivery.event, "data": {"id": job.id, "status": status}}
        body = json.dumps(payload, separators=(",", ":")).encode()
        secret, moment = (
            self.backend.webhook_secret(job.account),
            int(self.backend.clock() + self.backend.skew()),
        )
        signature = hmac.new(secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()
        headers = {"AIStemSplitter-Signature": f"t={moment},v1={signature}"}
        return WebhookCall(job.details["webhook_url"], headers, body)

    @property
    def _uploads(self) -> UploadEndpoint:
        return UploadEndpoint(self.backend.storage, self.backend.signer)

    def _stems(self, job: ServiceJob, address: str) -> dict[str, str]:
        names = job.outputs or {
            stem: f"outputs/{job.id}/{stem}.{job.format}" for stem in STEM_NAMES[job.stems]
        }
        lifetime = self.backend.link_seconds
        sign = self.backend.signer.link
        return {stem: address + sign("GET", name, lifetime).target for stem, name in names.items()}

    def _read_request(self, body: Mapping[str, Any], request: Request, account: Account) -> SubmitRequest:
        source = read_object(body, "input")
        uploaded = url = None
        kind = _required(source, "type")
        if kind == "direct_url":
            url = _required(source, "url")
        elif kind == "uploaded_file":
            fields = [_required(source, name) for name in ("uploadId", "fileUrl", "storageKey")]
            uploaded = self._uploads.find(account.id, fields[0], fields[2])
        else:
            raise bad_request("input.type must be direct_url or uploaded_file.")
        return SubmitRequest(
            stems=read_choice(body, "stemModel", STEMS, "four"),
            quality="best",
            format=read_choice(body, "outputFormat", FORMATS, "mp3"),
            upload_key=uploaded.name if uploaded else None,
            source_url=url,
            file_name=uploaded.file_name if uploaded else None,
            kind=JobKind.SPLIT,
            details={"webhook_url": read_text(body, "webhookUrl")},
            idempotency=_read_idempotency_key(request, body),
        )


def _read_idempotency_key(request: Request, body: Mapping[str, Any]) -> IdempotencyKey | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not key.strip() or len(key) > MOST_KEY:
        raise bad_request(f"Idempotency-Key must have 1 to {MOST_KEY} characters.")
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return IdempotencyKey(key, hashlib.sha256(canonical.encode()).hexdigest())


def _required(body: Mapping[str, Any], name: str) -> str:
    value = read_text(body, name)
    if value is None:
        raise bad_request(f"{name} is missing.")
    return value


def _model(job: ServiceJob) -> str:
    return next(word for word, stems in STEMS.items() if stems == job.stems)


def _success(data: dict[str, Any]) -> JsonAnswer:
    return 200, {"success": True, "data": data}
