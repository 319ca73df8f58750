"""The two vendors' words, after their reference pages: StemSplit's bare objects, AIStemSplitter's envelopes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import islice
from typing import Any

import httpx
from support.simulation.vendor import STORAGE_HOST, SimulatedAccount, SimulatedJob, body_of, instant

from stemline.clock import loop_time

BALANCE = 10**9
STEMSPLIT_STEMS = ("vocals", "instrumental")
LINK_TIME = timedelta(hours=1)
AISTEMSPLITTER_STEMS = ("vocals", "drums", "bass", "other")


class StemSplitDialect:
    """StemSplitDialect: bare objects, a list in pages, links and music on a job's page."""

    def answer(
        self, account: SimulatedAccount, request: httpx.Request, make: Callable[[str], SimulatedJob]
    ) -> tuple[int, Any]:
        """Give the status and the JSON of an answer."""
        path = request.url.path.removeprefix("/api")
        if path == "/balance":
            return HTTPStatus.OK, {"balanceSeconds": BALANCE - 180 * account.made}
        if path == "/upload":
            return HTTPStatus.OK, _ticket(account)
        if path == "/jobs" and request.method == "POST":
            return HTTPStatus.CREATED, _created(make(body_of(request)["fileName"]))
        if path == "/jobs":
            return HTTPStatus.OK, _page(account, request.url.params)
        job = account.jobs[path.removeprefix("/jobs/")]
        return HTTPStatus.OK, _detail(job, loop_time())

    def stored(self) -> Any:
        """Give what the storage answers to an upload."""
        return {}

    def refusal(self) -> Any:
        """Give what a request too many is answered with."""
        return {"error": {"code": "RATE_LIMIT_EXCEEDED", "message": "Too many requests."}}


def _ticket(account: SimulatedAccount) -> dict[str, Any]:
    return {
        "uploadUrl": f"http://{STORAGE_HOST}/{account.made}",
        "uploadKey": f"uploads/{account.made}",
        "maxFileSizeBytes": 52_428_800,
        "contentType": "audio/flac",
    }


def _created(job: SimulatedJob) -> dict[str, Any]:
    shown = _listed(job, job.created_at)
    return {**shown, "creditsRequired": job.seconds, "estimatedSeconds": 150, "outputs": None}


def _page(account: SimulatedAccount, params: httpx.QueryParams) -> dict[str, Any]:
    limit, offset = int(params["limit"]), int(params["offset"])
    now, total = loop_time(), len(account.jobs)
    newest_first = reversed(account.jobs.values())
    shown = [_listed(job, now) for job in islice(newest_first, offset, offset + limit)]
    pagination = {"total": total, "limit": limit, "offset": offset, "hasMore": offset + limit < total}
    return {"jobs": shown, "pagination": pagination}


def _listed(job: SimulatedJob, now: float) -> dict[str, Any]:
    is_done = now >= job.done_at
    status = "COMPLETED" if is_done else "PROCESSING" if now >= job.starts_at else "PENDING"
    return {
        "id": job.job_id,
        "status": status,
        "progress": 100 if is_done else 0,
        "createdAt": _text(instant(job.created_at)),
        "completedAt": _text(instant(job.done_at)) if is_done else None,
        "input": {"fileName": job.name, "durationSeconds": job.seconds},
        "options": {"outputType": "BOTH", "quality": "FAST", "outputFormat": "FLAC"},
        "creditsCharged": job.seconds if is_done else 0,
        "errorMessage": None,
    }


def _detail(job: SimulatedJob, now: float) -> dict[str, Any]:
    shown = _listed(job, now)
    if now < job.done_at:
        return {**shown, "outputs": None, "audioMetadata": None}
    expires = _text(instant(now) + LINK_TIME)
    outputs = {
        stem: {"url": f"http://{STORAGE_HOST}/{job.job_id}/{stem}", "expiresAt": expires}
        for stem in STEMSPLIT_STEMS
    }
    return {**shown, "outputs": outputs, "audioMetadata": {"bpm": 120.0, "key": "Am"}}


class AIStemSplitterDialect:
    """AIStemSplitterDialect: everything in an envelope, no list, no music."""

    def answer(
        self, account: SimulatedAccount, request: httpx.Request, make: Callable[[str], SimulatedJob]
    ) -> tuple[int, Any]:
        """Give the status and the JSON of an answer."""
        path = request.url.path.removeprefix("/api")
        if path == "/credits":
            return HTTPStatus.OK, _wrapped({"balance": BALANCE - 180 * account.made, "unit": "seconds"})
        if path == "/audio/uploads":
            return HTTPStatus.OK, _wrapped(_reservation(account))
        if path == "/audio/splits":
            job = make(request.headers["Idempotency-Key"])
            return HTTPStatus.OK, _wrapped(_split(job, job.created_at))
        job = account.jobs[path.removeprefix("/audio/splits/")]
        return HTTPStatus.OK, _wrapped(_split(job, loop_time()))

    def stored(self) -> Any:
        """Give what the storage answers to an upload."""
        return _wrapped({"url": f"http://{STORAGE_HOST}/song.flac", "key": "audio/song.flac"})

    def refusal(self) -> Any:
        """Give what a request too many is answered with."""
        return {"success": False, "error": {"code": "RATE_LIMITED", "message": "Too many requests."}}


def _wrapped(data: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "data": data}


def _reservation(account: SimulatedAccount) -> dict[str, Any]:
    return {
        "uploadId": f"upl_{account.made}",
        "uploadUrl": f"http://{STORAGE_HOST}/{account.made}",
        "uploadHeaders": {"X-Upload-Token": "token"},
    }


def _split(job: SimulatedJob, now: float) -> dict[str, Any]:
    is_done = now >= job.done_at
    changed_at = job.done_at if is_done else max(job.created_at, min(now, job.starts_at))
    shown = {
        "id": job.job_id,
        "status": "succeeded" if is_done else "processing" if now >= job.starts_at else "queued",
        "stemModel": "4s",
        "filename": f"{job.name}.flac",
        "durationSeconds": job.seconds,
        "creditsUsed": job.seconds,
        "createdAt": _text(instant(job.created_at)),
        "updatedAt": _text(instant(changed_at)),
        "error": None,
    }
    links = {stem: f"http://{STORAGE_HOST}/{job.job_id}/{stem}.mp3" for stem in AISTEMSPLITTER_STEMS}
    return {**shown, "stems": links} if is_done else shown


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
