"""What jobs left behind whose outputs were collected, let go of while no service runs in the folder."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from stemline_local.files.file_storage import FileStorage
from stemline_local.jobs.database import ServiceDatabase
from stemline_local.jobs.job import JobStatus
from stemline_local.jobs.job_store import JobStore


def jobs_with_outputs(folder: Path) -> list[str]:
    """Give the ids of the jobs whose outputs the folder of a service holds."""
    outputs = folder / "files" / "outputs"
    return sorted(path.name for path in outputs.iterdir()) if outputs.is_dir() else []


def let_go(folder: Path, job_ids: Collection[str]) -> None:
    """Delete the outputs of these jobs, which expire, and uploads and sources that no job waits for.

    Raises:
        UsageError: a service is at work in the folder.
    """
    storage = FileStorage(folder / "files")
    with closing(ServiceDatabase(folder / "service.db")) as database:
        jobs = JobStore(database, time.time, 0.0)
        jobs.expire(job_ids)
        for job_id in jobs.take_expired():
            storage.remove(f"outputs/{job_id}")
        waiting = jobs.ids(JobStatus.PENDING, JobStatus.PROCESSING)
        storage.remove_others("sources", waiting)
        if not waiting:
            storage.remove_older("uploads", before=time.time() + 1.0)
