"""StemSplit's words, after its reference page: bare objects, a list in pages, links and music on a job's page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import islice
from typing import Any

import httpx

from benchmarks.simulation.account import Account, Job, instant
from benchmarks.simulation.vendor import STORAGE_HOST, body_of
from stemline.clock import loop_time

BALANCE = 10**9
STEMS = ("vocals", "instrumental")
LINK_TIME = timedelta(hours=1)


class StemSplit:
    """The dialect."""

    def answer(self, account: Account, request: httpx.Request, make: Callable[[str], Job]) -> tuple[int, Any]:
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

    def stored(self) -> Any:  # noqa: ANN401 - JSON
        """Give what the storage answers to an upload."""
        return {}

    def refusal(self) -> Any:  # noqa: ANN401 - JSON
        """Give what a request too many is answered with."""
        return {"error": {"code": "RATE_LIMIT_EXCEEDED", "message": "Too many requests."}}


def _ticket(account: Account) -> dict[str, Any]:
    return {
        "uploadUrl": f"http://{STORAGE_HOST}/{account.made}",
        "uploadKey": f"uploads/{account.made}",
        "maxFileSizeBytes": 52_428_800,
        "contentType": "audio/flac",
    }


def _created(job: Job) -> dict[str, Any]:
    shown = _listed(job, job.created_at)
    return {**shown, "creditsRequired": job.seconds, "estimatedSeconds": 150, "outputs": None}


def _page(account: Account, params: httpx.QueryParams) -> dict[str, Any]:
    limit, offset = int(params["limit"]), int(params["offset"])
    now, total = loop_time(), len(account.jobs)
    newest_first = reversed(account.jobs.values())
    shown = [_listed(job, now) for job in islice(newest_first, offset, offset + limit)]
    pagination = {"total": total, "limit": limit, "offset": offset, "hasMore": offset + limit < total}
    return {"jobs": shown, "pagination": pagination}


def _listed(job: Job, now: float) -> dict[str, Any]:
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


def _detail(job: Job, now: float) -> dict[str, Any]:
    shown = _listed(job, now)
    if now < job.done_at:
        return {**shown, "outputs": None, "audioMetadata": None}
    expires = _text(instant(now) + LINK_TIME)
    outputs = {
        stem: {"url": f"http://{STORAGE_HOST}/{job.job_id}/{stem}", "expiresAt": expires} for stem in STEMS
    }
    return {**shown, "outputs": outputs, "audioMetadata": {"bpm": 120.0, "key": "Am"}}


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
