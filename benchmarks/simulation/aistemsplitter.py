"""AIStemSplitter's words, after its reference page: everything in an envelope, no list, no music."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpx

from benchmarks.simulation.account import Account, Job, instant
from benchmarks.simulation.vendor import STORAGE_HOST
from stemline.clock import loop_time

BALANCE = 10**9
STEMS = ("vocals", "drums", "bass", "other")


class AIStemSplitter:
    """The dialect."""

    def answer(self, account: Account, request: httpx.Request, make: Callable[[str], Job]) -> tuple[int, Any]:
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

    def stored(self) -> Any:  # noqa: ANN401 - JSON
        """Give what the storage answers to an upload."""
        return _wrapped({"url": f"http://{STORAGE_HOST}/song.flac", "key": "audio/song.flac"})

    def refusal(self) -> Any:  # noqa: ANN401 - JSON
        """Give what a request too many is answered with."""
        return {"success": False, "error": {"code": "RATE_LIMITED", "message": "Too many requests."}}


def _wrapped(data: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "data": data}


def _reservation(account: Account) -> dict[str, Any]:
    return {
        "uploadId": f"upl_{account.made}",
        "uploadUrl": f"http://{STORAGE_HOST}/{account.made}",
        "uploadHeaders": {"X-Upload-Token": "token"},
    }


def _split(job: Job, now: float) -> dict[str, Any]:
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
    links = {stem: f"http://{STORAGE_HOST}/{job.job_id}/{stem}.mp3" for stem in STEMS}
    return {**shown, "stems": links} if is_done else shown


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
