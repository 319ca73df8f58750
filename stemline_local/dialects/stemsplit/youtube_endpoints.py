"""YouTube jobs: always vocals, instrumental and the whole, as MP3 in the best quality.

Their audio comes from the service's `videos`, not from YouTube.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from stemline_local.api.request_pipeline import JsonAnswer, RequestPipeline
from stemline_local.api.request_reading import address_of, bad_request, iso_time, read_body, read_text
from stemline_local.backend import ServiceBackend
from stemline_local.dialects.stemsplit.job_bodies import JobBodies, audio_metadata
from stemline_local.dialects.stemsplit.job_endpoints import pagination, read_page
from stemline_local.dialects.stemsplit.vocabulary import PREFIX, missing
from stemline_local.files.video_catalogue import YouTubeVideo, video_id_of
from stemline_local.job_intake import SubmitRequest
from stemline_local.jobs.accounts import Account
from stemline_local.jobs.job import JobKind, ServiceJob
from stemline_local.refusal import Refusal, RefusalReason


@dataclass(frozen=True, slots=True)
class YouTubeEndpoints:
    """The endpoints; each gives a status and a body."""

    backend: ServiceBackend
    bodies: JobBodies

    def routes(self, pipeline: RequestPipeline) -> list[Route]:
        """Give the routes."""
        return [
            pipeline.route("POST", f"{PREFIX}/youtube-jobs", self.create_job),
            pipeline.route("GET", f"{PREFIX}/youtube-jobs", self.list_jobs),
            pipeline.route("GET", f"{PREFIX}/youtube-jobs/{{id}}", self.show_job),
        ]

    async def create_job(self, request: Request, account: Account) -> JsonAnswer:
        """POST /youtube-jobs: a job from a video."""
        body = await read_body(request)
        video_id = video_id_of(read_text(body, "youtubeUrl") or missing("youtubeUrl"))
        if video_id is None:
            raise bad_request("youtubeUrl must be the address of one YouTube video, or its id.")
        video = self.backend.videos.find(video_id)
        if video is None:
            raise Refusal(RefusalReason.UNKNOWN_VIDEO, f"The video {video_id} cannot be found.")
        job = await self.backend.intake.accept(account, _request(video, address_of(request)))
        reply = {
            "id": job.id,
            "status": job.status,
            **video_of(job),
            "creditsRequired": job.credits_required,
            "createdAt": iso_time(job.created_at),
        }
        if self.backend.options.youtube_outputs_in_create:
            reply["outputs"] = ["vocals", "instrumental"]
        return 201, reply

    async def list_jobs(self, request: Request, account: Account) -> JsonAnswer:
        """GET /youtube-jobs: a page of jobs, newest first, without links."""
        page = read_page(request, self.backend, JobKind.YOUTUBE)
        jobs, total = await asyncio.to_thread(self.backend.jobs.page, account.id, page)
        return 200, {
            "jobs": [self._item(job) for job in jobs],
            "pagination": pagination(page, len(jobs), total),
        }

    async def show_job(self, request: Request, account: Account) -> JsonAnswer:
        """GET /youtube-jobs/{id}: one job, with links that are minted anew each time."""
        wanted = (account.id, request.path_params["id"], JobKind.YOUTUBE)
        job = await asyncio.to_thread(self.backend.jobs.find, *wanted)
        return 200, {
            **self._item(job),
            "startedAt": iso_time(job.started_at),
            "expiresAt": iso_time(job.expires_at),
            "audioMetadata": audio_metadata(job),
            "outputs": self.bodies.outputs(job, address_of(request)),
        }

    def _item(self, job: ServiceJob) -> dict[str, Any]:
        return {
            "id": job.id,
            "status": job.status,
            "progress": self.bodies.progress(job),
            **video_of(job),
            "creditsCharged": job.credits_charged,
            "createdAt": iso_time(job.created_at),
            "completedAt": iso_time(job.completed_at),
            "errorMessage": job.error,
        }


def video_of(job: ServiceJob) -> dict[str, Any]:
    """Give the fields of a job that describe its video."""
    video: dict[str, Any] = job.details.get("video", {})
    return {
        "videoId": video.get("id"),
        "videoTitle": video.get("title"),
        "videoDuration": job.duration_seconds,
        "videoThumbnail": video.get("thumbnail"),
        "channelName": video.get("channel"),
    }


def _request(video: YouTubeVideo, address: str) -> SubmitRequest:
    facts = {
        "id": video.id,
        "title": video.title,
        "channel": video.channel,
        "thumbnail": video.thumbnail,
    }
    return SubmitRequest(
        stems="both",
        quality="best",
        format="mp3",
        file=video.audio,
        file_name=video.title,
        kind=JobKind.YOUTUBE,
        details={"address": address, "video": facts},
    )
