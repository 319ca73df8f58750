"""A batch of ready tracks, collected: what a worker thread or a Dask or Ray worker is handed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from stemline.collector.download import Downloader, new_client
from stemline.collector.keep import keep_rejected, stem_key
from stemline.collector.mixture import Mono, add_up
from stemline.collector.music import Music, heard_music, is_to_be_heard, told_music
from stemline.collector.source import compare_with_source, local_source
from stemline.collector.spool import EXTRAS, Spooled, derive_stems, fetch_stems, verify_stems, wanted_links
from stemline.collector.stream import Streamer, is_streamable
from stemline.errors import AudioRejected, LinkExpired, TransferFailed
from stemline.records import Code, CollectedTrack, Failure, Job, ReadyTrack, State, StemFile
from stemline.storage import Store, open_store, scratch_folder
from stemline.verify import Measured

_MAYBE_TRANSFER = frozenset({Code.UNDECODABLE, Code.TRUNCATED})
_FAR_AWAY = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Target:
    """Where collected stems go and how hard to work; picklable."""

    url: str
    storage_options: dict[str, Any] = field(default_factory=dict, repr=False)
    audio: Literal["objects", "embedded"] = "objects"
    tolerance_seconds: float = 1.0
    """How far a stem's length may be from its source's, which manifests round to whole seconds."""
    spool: str | None = None
    """The folder for downloads on their way; None: the system's temporary one."""
    concurrency: int = 4
    """How many tracks are in the air at once."""


@dataclass(frozen=True, slots=True)
class Relink:
    """A track whose links no longer work: fresh ones are needed, and nothing was lost."""

    token: str
    sentence: str
    is_gone: bool = False
    """A link was right, and nothing was there."""


Collected = CollectedTrack | Failure | Relink


def collect_batch(
    ready: Sequence[ReadyTrack],
    target: Target,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> list[Collected]:
    """Download, verify and store stems of ready tracks, soonest-expiring first; one result each, in order.

    A track is a CollectedTrack only when every stem is right and stored. What does not verify is kept under
    `_stemline/quarantine/<token>/` and is a Failure. A download that broke off for good is a Failure in state
    READY: it is paid and can be collected later.

    Raises:
        StorageError: the dataset or the local disk takes nothing more; tracks collected before it are simply
            collected again by the next run.
    """
    store = open_store(target.url, target.storage_options)
    order = sorted(range(len(ready)), key=lambda index: _expires_at(ready[index].job))
    with new_client(target.concurrency) as client, ThreadPoolExecutor(target.concurrency) as pool:
        collector = _Collector(store, target, Downloader(client, sleep), clock)
        futures = {index: pool.submit(collector.collect, ready[index]) for index in order}
        try:
            return [futures[index].result() for index in range(len(ready))]
        finally:
            collector.downloader.stopping.set()
            pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Collector:
    """What every track of a batch shares."""

    store: Store
    target: Target
    downloader: Downloader
    clock: Callable[[], datetime]
    hearing: Lock = field(default_factory=Lock)
    """One track is listened to at a time: it takes some hundred megabytes."""

    def collect(self, ready: ReadyTrack) -> Collected:
        """Collect one track: streamed where that can be; else, or when in doubt, through temporary files."""
        token = ready.attempt.token
        if _expires_at(ready.job) <= self.clock():
            return Relink(token, "The links had expired before the download began.")
        try:
            is_again = is_streamable(ready, self.store)
            if is_again:
                with suppress(AudioRejected):
                    return self._stream(ready)
            with scratch_folder(self.target.spool) as folder:
                return self._accept_or_keep(ready, folder, is_again=is_again)
        except LinkExpired as error:
            return Relink(token, error.message, is_gone=error.is_gone)
        except TransferFailed as error:
            return Failure(token, State.READY, Code.DOWNLOAD_FAILED, error.message, is_retryable=True)

    def _stream(self, ready: ReadyTrack) -> CollectedTrack:
        """Collect a track without the local disk; when that fails, no object of it is left."""
        keys = {stem: self._key(ready, stem, ready.attempt.recipe.format) for stem in wanted_links(ready)}
        streamer = Streamer(self.downloader, self.store, self.target.tolerance_seconds)
        try:
            measured, mixed = streamer.stream_stems(ready, keys, is_heard=is_to_be_heard(ready))
        except (AudioRejected, LinkExpired, TransferFailed):
            for key in keys.values():
                self.store.delete(key)
            raise
        return self._collected(ready, *self._heard(ready, measured, mixed))

    def _accept_or_keep(self, ready: ReadyTrack, folder: Path, *, is_again: bool) -> CollectedTrack | Failure:
        """Accept a track; audio that a transfer may have spoilt is fetched twice before it is given up."""
        spooled = fetch_stems(self.downloader, ready, folder / "first")
        try:
            return self._accept(ready, spooled)
        except AudioRejected as error:
            rejection = error
        if rejection.code in _MAYBE_TRANSFER and not is_again:
            with suppress(LinkExpired, TransferFailed):
                spooled = fetch_stems(self.downloader, ready, folder / "again")
                try:
                    return self._accept(ready, spooled)
                except AudioRejected as error:
                    rejection = error
        kept = keep_rejected(self.store, ready, spooled, rejection)
        sentence = f"{rejection.message} Kept in {kept}."
        return Failure(ready.attempt.token, State.QUARANTINED, rejection.code, sentence)

    def _accept(self, ready: ReadyTrack, spooled: Spooled) -> CollectedTrack:
        spooled = derive_stems(ready, spooled)
        measured = verify_stems(ready, spooled, self.target.tolerance_seconds)
        parts = [path for stem, path in spooled.items() if stem not in EXTRAS]
        music, measured = self._heard(ready, measured, add_up(parts) if is_to_be_heard(ready) else None)
        for stem, path in spooled.items():
            self.store.put_file(self._key(ready, stem, measured[stem].format), path)
        return self._collected(ready, music, measured)

    def _heard(
        self, ready: ReadyTrack, measured: dict[str, Measured], mixed: Mono | None
    ) -> tuple[Music, dict[str, Measured]]:
        """Give tempo and key, and the measures once the stems' sum was held against the source."""
        if mixed is None:
            return told_music(ready), measured
        with self.hearing:
            music = heard_music(told_music(ready), mixed)
            return music, compare_with_source(measured, local_source(ready), mixed)

    def _collected(self, ready: ReadyTrack, music: Music, measured: dict[str, Measured]) -> CollectedTrack:
        return CollectedTrack(
            token=ready.attempt.token,
            stems=tuple(
                StemFile(stem=stem, path=self._key(ready, stem, measures.format), **asdict(measures))
                for stem, measures in measured.items()
            ),
            bpm=music.bpm,
            key=music.key,
            bpm_source=music.bpm_source,
            key_source=music.key_source,
            collected_at=self.clock(),
        )

    def _key(self, ready: ReadyTrack, stem: str, audio_format: str) -> str:
        return stem_key(ready, stem, audio_format, embedded=self.target.audio == "embedded")


def _expires_at(job: Job) -> datetime:
    """Give when the first of a job's links expires."""
    return min((output.expires_at or _FAR_AWAY for output in job.outputs), default=_FAR_AWAY)
