"""Uploads, jobs and the balance."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from stemline_local.api.request_pipeline import JsonAnswer, RequestPipeline
from stemline_local.api.request_reading import (
    address_of,
    bad_request,
    iso_time,
    read_body,
    read_choice,
    read_number,
    read_text,
)
from stemline_local.api.storage_endpoint import CONTENT_TYPES, MIME_TYPE
from stemline_local.backend import ServiceBackend
from stemline_local.dialects.stemsplit.job_bodies import JobBodies, input_of, options_of
from stemline_local.dialects.stemsplit.vocabulary import FORMATS, PREFIX, QUALITIES, STATUSES, STEMS, missing
from stemline_local.files.file_storage import MAX_FILE_BYTES
from stemline_local.job_intake import SubmitRequest, suffix_of
from stemline_local.jobs.accounts import Account
from stemline_local.jobs.job import JobKind, JobPage

UPLOAD_SECONDS = 900


@dataclass(frozen=True, slots=True)
class JobEndpoints:
    """The endpoints; each gives a status and a body."""

    backend: ServiceBackend
    bodies: JobBodies

    def routes(self, pipeline: RequestPipeline) -> list[Route]:
        """Give the routes."""
        return [
            pipeline.route("POST", f"{PREFIX}/upload", self.upload),
            pipeline.route("POST", f"{PREFIX}/jobs", self.create_job),
            pipeline.route("GET", f"{PREFIX}/jobs", self.list_jobs),
            pipeline.route("GET", f"{PREFIX}/jobs/{{id}}", self.show_job),
            pipeline.route("GET", f"{PREFIX}/balance", self.show_balance),
        ]

    async def upload(self, request: Request, account: Account) -> JsonAnswer:
        """POST /upload: a presigned link for one file."""
        body = await read_body(request)
        suffix = suffix_of(read_text(body, "filename") or missing("filename"))
        content_type = read_text(body, "contentType") or CONTENT_TYPES.get(suffix, "application/octet-stream")
        if not re.fullmatch(MIME_TYPE, content_type, re.ASCII):
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

    async def create_job(self, request: Request, account: Account) -> JsonAnswer:
        """POST /jobs: a job from an upload or from a URL."""
        body = await read_body(request)
        metadata = body.get("metadata")
        if not isinstance(metadata, dict | None):
            raise bad_request("metadata must be an object.")
        job = await self.backend.intake.accept(account, _read_request(body, address_of(request)))
        return 201, {
            "id": job.id,
            "status": job.status,
            "progress": 0,
            "createdAt": iso_time(job.created_at),
            "estimatedSeconds": await asyncio.to_thread(self.backend.pool.estimated_seconds),
            "creditsRequired": job.credits_required,
            "input": input_of(job),
            "options": options_of(job),
            "outputs": None,
            "metadata": metadata,
        }

    async def list_jobs(self, request: Request, account: Account) -> JsonAnswer:
        """GET /jobs: a page of jobs, newest first, without links."""
        page = read_page(request, self.backend, JobKind.STEM)
        jobs, total = await asyncio.to_thread(self.backend.jobs.page, account.id, page)
        return 200, {
            "jobs": [self.bodies.item(job) for job in jobs],
            "pagination": pagination(page, len(jobs), total),
        }

    async def show_job(self, request: Request, account: Account) -> JsonAnswer:
        """GET /jobs/{id}: one job, with links that are minted anew each time."""
        job = await asyncio.to_thread(self.backend.jobs.find, account.id, request.path_params["id"])
        return 200, self.bodies.detail(job, address_of(request))

    async def show_balance(self, request: Request, account: Account) -> JsonAnswer:
        """GET /balance: what is left."""
        balance = await asyncio.to_thread(self.backend.balance, account, f"GET {request.url.path}")
        minutes = balance.seconds // 60
        return 200, {
            "balanceSeconds": balance.seconds,
            "balanceMinutes": minutes,
            "balanceFormatted": f"{minutes} minute{'' if minutes == 1 else 's'}",
            "updatedAt": iso_time(balance.updated_at),
        }


def read_page(request: Request, backend: ServiceBackend, kind: JobKind) -> JobPage:
    """Give the page of a list that a query asks for, or the one that a fault makes of it.

    Raises:
        Refusal: BAD_REQUEST.
    """
    limit = min(100, read_number(request, "limit", default=20, minimum=1))
    offset = read_number(request, "offset", default=0, minimum=0)
    status = read_choice(request.query_params, "status", STATUSES, None)
    asked = f"{request.method} {request.url.path}"
    kinds: tuple[JobKind, ...] = (kind,)
    if backend.faults.strikes("same_id_in_two_lists", asked):
        kinds = (JobKind.STEM, JobKind.YOUTUBE)
    is_oldest_first = backend.faults.strikes("list_reversed", asked) is not None
    if offset and (fault := backend.faults.strikes("list_shifted", asked)):
        offset = max(0, offset - fault.by)
    return JobPage(limit, offset, status, kinds, is_oldest_first)


def pagination(page: JobPage, given: int, total: int) -> dict[str, Any]:
    """Give where a page stands in its list."""
    has_more = page.offset + given < total
    return {"total": total, "limit": page.limit, "offset": page.offset, "hasMore": has_more}


def _read_request(body: Mapping[str, Any], address: str) -> SubmitRequest:
    upload_key, source_url = read_text(body, "uploadKey"), read_text(body, "sourceUrl")
    if (upload_key is None) == (source_url is None):
        raise bad_request("Exactly one of uploadKey and sourceUrl must be given.")
    stems = read_choice(body, "outputType", STEMS, "both")
    quality = read_choice(body, "quality", QUALITIES, "best")
    if stems == "six" and quality != "best":
        raise bad_request("SIX_STEMS needs the quality BEST.")
    return SubmitRequest(
        stems=stems,
        quality=quality,
        format=read_choice(body, "outputFormat", FORMATS, "mp3"),
        upload_key=upload_key,
        source_url=source_url,
        file_name=read_text(body, "fileName"),
        details={"address": address},
    )
