"""Job intake, from a request to an accepted job: get the source, measure it, reserve the credits."""

from __future__ import annotations

import asyncio
import math
import re
import shutil
import string
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from stemline.errors import TerminalError
from stemline.probe.probing import probe
from stemline_local.faults import ActiveFaults
from stemline_local.files.file_storage import FileStorage
from stemline_local.files.source_download import SourceDownloader
from stemline_local.jobs.accounts import Account
from stemline_local.jobs.job import IdempotencyKey, JobKind, JobOrder, ServiceJob, new_id
from stemline_local.jobs.job_store import JobStore
from stemline_local.refusal import Refusal, RefusalReason
from stemline_local.workers.engine_pool import EnginePool

MAXIMUM_SECONDS = 3_600
"""Longer audio is refused (StemSplit: 60 minutes)."""
PREFIXES = {JobKind.STEM: "c", JobKind.YOUTUBE: "c", JobKind.SPLIT: "split_"}
TEXT_BYTES = string.printable.encode()


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """What a client asks for, in words that every dialect shares; one of the three sources is set."""

    stems: str
    quality: str
    format: str
    upload_key: str | None = None
    source_url: str | None = None
    file: Path | None = None
    file_name: str | None = None
    kind: JobKind = JobKind.STEM
    details: dict[str, Any] = field(default_factory=dict)
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class JobIntake:
    """Turns requests into jobs."""

    jobs: JobStore
    pool: EnginePool
    storage: FileStorage
    downloader: SourceDownloader
    minimum_seconds: float
    faults: ActiveFaults

    async def accept(self, account: Account, request: SubmitRequest) -> ServiceJob:
        """Give the job; it is on disk and its credits are reserved. A repeat gives the job it made before.

        Raises:
            Refusal: nothing was kept and nothing charged.
        """
        if request.idempotency is not None:
            earlier = await asyncio.to_thread(self.jobs.find_repeat, account.id, request.idempotency)
            if earlier is not None:
                return earlier
        job_id = new_id(PREFIXES[request.kind])
        try:
            order = await self._order(job_id, account, request)
        except BaseException:
            self.storage.remove(f"sources/{job_id}")
            raise
        try:
            job = await asyncio.to_thread(self.jobs.accept, order, request.idempotency)
        except Refusal:  # not when cancelled: the job may be on disk by then
            self.storage.remove(f"sources/{job_id}")
            raise
        if job.id == job_id:
            self.pool.wake()
        else:  # the same submit came twice at once
            self.storage.remove(f"sources/{job_id}")
        return job

    async def _order(self, job_id: str, account: Account, request: SubmitRequest) -> JobOrder:
        if request.upload_key is not None:
            source = self._take_upload(job_id, account, request.upload_key)
        elif request.file is not None:
            source = await asyncio.to_thread(self._copy, job_id, request.file)
        else:
            source = await self._download(job_id, request.source_url or "")
        seconds = await asyncio.to_thread(self._measure, source)
        is_token_dropped = self.faults.strikes("token_dropped") is not None
        raised = self.faults.strikes("price_change")
        return JobOrder(
            id=job_id,
            account=account.id,
            file_name=(not is_token_dropped and request.file_name) or _name_of(request),
            duration_seconds=seconds,
            size_bytes=self.storage.path(source).stat().st_size,
            source=source,
            stems=request.stems,
            quality=request.quality,
            format=request.format,
            credits_required=math.ceil(seconds * (raised.factor if raised else 1)),
            kind=request.kind,
            details=request.details,
        )

    def _take_upload(self, job_id: str, account: Account, key: str) -> str:
        source = f"sources/{job_id}/{PurePosixPath(key).name}"
        is_own = re.fullmatch(rf"uploads/{account.id}/[a-z0-9_]+/input(\.[a-z0-9]+)?", key)
        if not is_own or not self.storage.path(key).exists():
            raise Refusal(RefusalReason.UNKNOWN_UPLOAD, "Nothing was uploaded under this upload key.")
        self.storage.link(key, source)
        return source

    def _copy(self, job_id: str, file: Path) -> str:
        source = f"sources/{job_id}/input{suffix_of(file.name)}"
        target = self.storage.path(source)
        target.parent.mkdir(parents=True)
        try:
            shutil.copyfile(file, target)
        except OSError as error:
            raise Refusal(RefusalReason.SOURCE_UNREACHABLE, "The source cannot be read.") from error
        return source

    async def _download(self, job_id: str, url: str) -> str:
        source = f"sources/{job_id}/input{suffix_of(_path_of(url))}"
        await self.downloader.download(url, source)
        return source

    def _measure(self, source: str) -> int:
        """Give the length in seconds, rounded up as credits are."""
        path = self.storage.path(source)
        if _is_text(path):
            raise _unsupported()
        try:
            seconds = probe(str(path)).duration_seconds
        except TerminalError as error:
            raise _unsupported() from error
        if seconds > MAXIMUM_SECONDS:
            raise Refusal(
                RefusalReason.AUDIO_TOO_LONG, f"The audio is longer than {MAXIMUM_SECONDS} seconds."
            )
        if seconds < self.minimum_seconds:
            raise Refusal(
                RefusalReason.AUDIO_TOO_SHORT, f"The audio is shorter than {self.minimum_seconds:g} seconds."
            )
        return math.ceil(seconds)


def _is_text(path: Path) -> bool:
    """Tell a playlist from audio: decoders follow one to files and addresses of its author's choosing."""
    with path.open("rb") as file:
        head = file.read(64)
    return bool(head) and all(byte in TEXT_BYTES for byte in head)


def _unsupported() -> Refusal:
    return Refusal(RefusalReason.UNSUPPORTED_FORMAT, "The file holds no audio that can be read.")


def suffix_of(name: str) -> str:
    """Give the file name's suffix when it is a plain one, such as `.mp3`; else nothing."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""


def _name_of(request: SubmitRequest) -> str:
    """Give the name a source has of its own; an upload key has lost the original one."""
    if request.file is not None:
        return request.file.name
    path = request.upload_key or unquote(_path_of(request.source_url or ""))
    return PurePosixPath(path).name or "input"


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError as error:
        raise Refusal(RefusalReason.SOURCE_REFUSED, "The source URL is not a URL.") from error
