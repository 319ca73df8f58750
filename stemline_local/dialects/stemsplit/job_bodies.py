"""The JSON bodies in which StemSplit shows a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stemline_local.api.request_reading import iso_time
from stemline_local.backend import ServiceBackend
from stemline_local.dialects.stemsplit.vocabulary import STEMS
from stemline_local.jobs.job import JobStatus, ServiceJob

SEPARATED = (JobStatus.COMPLETED, JobStatus.EXPIRED)


@dataclass(frozen=True, slots=True)
class JobBodies:
    """Shows jobs with what only the running service knows: progress, and links."""

    backend: ServiceBackend

    def item(self, job: ServiceJob) -> dict[str, Any]:
        """Give a job as the list shows it; the detail adds to it."""
        return {
            "id": job.id,
            "status": job.status,
            "progress": self.progress(job),
            "createdAt": iso_time(job.created_at),
            "completedAt": iso_time(job.completed_at),
            "input": {"fileName": job.file_name, "durationSeconds": job.duration_seconds},
            "options": options_of(job),
            "creditsCharged": job.credits_charged,
            "errorMessage": job.error,
        }

    def detail(self, job: ServiceJob, address: str) -> dict[str, Any]:
        """Give everything about a job."""
        return {
            **self.item(job),
            "input": input_of(job),
            "startedAt": iso_time(job.started_at),
            "expiresAt": iso_time(job.expires_at),
            "outputs": self.outputs(job, address),
            "audioMetadata": audio_metadata(job),
            "errorDetails": None,
        }

    def progress(self, job: ServiceJob) -> int:
        """Give how much is done, 0 to 100."""
        if job.status in SEPARATED:
            return 100
        return min(99, int(100 * self.backend.pool.progress(job)))

    def outputs(self, job: ServiceJob, address: str) -> dict[str, Any] | None:
        """Give links, minted anew each time; None unless there is something behind them."""
        if job.status is not JobStatus.COMPLETED or job.expires_at is None:
            return None
        lifetime = min(self.backend.link_seconds, job.expires_at - self.backend.clock())
        links = {stem: self.backend.signer.link("GET", name, lifetime) for stem, name in job.outputs.items()}
        return {
            stem: {"url": address + link.target, "expiresAt": iso_time(link.expires_at)}
            for stem, link in links.items()
        }


def input_of(job: ServiceJob) -> dict[str, Any]:
    """Give what a job was made from."""
    return {
        "fileName": job.file_name,
        "durationSeconds": job.duration_seconds,
        "fileSizeBytes": job.size_bytes,
    }


def options_of(job: ServiceJob) -> dict[str, str]:
    """Give what a job was asked for."""
    return {
        "outputType": next(word for word, stems in STEMS.items() if stems == job.stems),
        "quality": job.quality.upper(),
        "outputFormat": job.format.upper(),
    }


def audio_metadata(job: ServiceJob) -> dict[str, Any] | None:
    """Give tempo and key, once they have been measured."""
    return {"bpm": job.bpm, "key": job.key} if job.status in SEPARATED else None
