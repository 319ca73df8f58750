"""A batch of ready tracks collected: the work of one worker thread, or of one Dask or Ray task."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import httpx

from stemline.collector import CollectResult, CollectTarget, Relink
from stemline.collector.download import Downloader, new_client
from stemline.collector.mix import MixKeeper, TrackMix
from stemline.collector.mixdown import (
    TrackSound,
    comparable_source,
    compare_with_source,
    read_excerpt,
    sum_stems,
)
from stemline.collector.music_facts import MusicFacts, known_music, measure_music, needs_mixdown
from stemline.collector.quarantine import keep_stems, list_kept
from stemline.collector.source_hosts import SourceHosts
from stemline.collector.spool import EXTRA_STEMS, Spool, derive_stems, gives_mix, verify_stems, wanted_links
from stemline.collector.stream import StemStreamer, is_streamable
from stemline.dataset import staged_path, stem_path
from stemline.errors import AudioRejected, LinkExpired, StorageError, TransferFailed
from stemline.records import MIX, Code, CollectedTrack, Failure, ReadyTrack, State, audio_seconds
from stemline.storage import Store, open_store, scratch_folder
from stemline.verify import StemMeasures

_MAYBE_TRANSFER = frozenset({Code.UNDECODABLE, Code.TRUNCATED})


def collect_batch(
    ready: Sequence[ReadyTrack],
    target: CollectTarget,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> list[CollectResult]:
    """Download, verify and store stems of ready tracks, soonest-expiring first; one result each, in order.

    A track is a CollectedTrack only when every stem is right and stored. What does not verify is kept under
    `_stemline/quarantine/<token>/` and is a Failure. A download that broke off for good, and one that spoilt its
    stem while new links can be had, is a Failure in state READY: it is paid and can be collected later.

    Raises:
        StorageError: the dataset or the local disk takes nothing more; tracks collected before it are simply
            collected again by the next run.
    """
    order = sorted(range(len(ready)), key=lambda index: ready[index].job.links_expire_at)
    with open_collector(target, clock, sleep) as collector, ThreadPoolExecutor(target.concurrency) as pool:
        futures = {index: pool.submit(collector.collect, ready[index]) for index in order}
        try:
            return [futures[index].result() for index in range(len(ready))]
        finally:
            collector.stop()
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def open_collector(
    target: CollectTarget,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[TrackCollector]:
    """Give what collects tracks, several at once if need be, with its store and its connections."""
    with new_client(target.concurrency) as client:
        yield _collector(target, client, clock, sleep)


def new_collector(target: CollectTarget) -> TrackCollector:
    """Give what collects tracks for as long as it is kept."""
    return _collector(target, new_client(target.concurrency), lambda: datetime.now(UTC), time.sleep)


def _collector(
    target: CollectTarget,
    client: httpx.Client,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
) -> TrackCollector:
    store = open_store(target.url, target.storage_options)
    return TrackCollector(store, target, Downloader(client, sleep), clock)


def discard(store: Store, named: Collection[str]) -> None:
    """Remove objects of a track that is not collected."""
    for key in named:
        with suppress(StorageError):  # a store that takes nothing may not let go either: nothing hangs on it
            store.delete(key)


@dataclass(frozen=True, slots=True)
class TrackCollector:
    """What every track of a batch shares."""

    store: Store
    target: CollectTarget
    downloader: Downloader
    clock: Callable[[], datetime]
    analysis_lock: Lock = field(default_factory=Lock)
    """One track is analysed at a time: it takes some hundred megabytes."""
    hosts: SourceHosts = field(default_factory=SourceHosts)

    @property
    def mixes(self) -> MixKeeper:
        """What keeps the sources of tracks beside their stems."""
        return MixKeeper(self.store, self.target, self.downloader, self.hosts)

    def collect(self, ready: ReadyTrack) -> CollectResult:
        """Collect one track; of one that is not collected no object is left."""
        named: set[str] = set()
        result: CollectResult | None = None
        try:
            result = self.attempt(ready, named)
        finally:
            if not isinstance(result, CollectedTrack):
                discard(self.store, named)
        return result

    def attempt(self, ready: ReadyTrack, named: set[str]) -> CollectResult:
        """Collect one track; `named` gets the keys that objects of it may have, whatever comes of it."""
        token = ready.attempt.token
        if ready.job.links_expire_at <= self.clock():
            return Relink(token, "The links had expired before the download began.")
        try:
            return self._collect(ready, named)
        except LinkExpired as error:
            return Relink(token, error.message, is_gone=error.is_gone)
        except TransferFailed as error:
            return Failure(token, State.READY, Code.DOWNLOAD_FAILED, error.message, is_retryable=True)

    def stop(self) -> None:
        """Have what is under way end at its next bytes."""
        self.downloader.stopping.set()

    def _collect(self, ready: ReadyTrack, named: set[str]) -> CollectedTrack | Failure:
        """Collect a track: streamed where that can be; else, or when in doubt, through temporary files.

        `named` gets the keys that objects of it may have.
        """
        kept = list_kept(self.store, ready) if ready.is_repeated else {}
        if kept or not is_streamable(ready, self.store):
            with self._spooling(ready) as spool:
                spool.take(kept, is_kept=True)
                return self._accept_or_refuse(spool, named, is_fetched_again=ready.is_repeated)
        keys = {stem: self._key(ready, stem, ready.attempt.recipe.format) for stem in wanted_links(ready)}
        named.update(keys.values())
        stored: list[str] = []
        try:
            return self._stream(ready, keys, stored, named)
        except AudioRejected as error:
            good = {stem: keys[stem] for stem in stored if stem not in error.stems}
        except (LinkExpired, TransferFailed):
            with self._spooling(ready) as spool:
                spool.take({stem: keys[stem] for stem in stored})
                raise
        with self._spooling(ready) as spool:
            spool.take(good)
            return self._accept_or_refuse(spool, named, is_fetched_again=True)

    @contextmanager
    def _spooling(self, ready: ReadyTrack) -> Iterator[Spool]:
        """Give a track's place on the local disk; what is there when a link or a transfer fails is kept."""
        with scratch_folder(self.target.spool) as folder:
            spool = Spool(self.downloader, self.store, ready, folder)
            try:
                yield spool
            except (LinkExpired, TransferFailed) as error:
                if spool.fetched and not self.downloader.stopping.is_set():
                    keep_stems(self.store, spool, spool.unfinished(error))
                raise

    def _stream(
        self, ready: ReadyTrack, keys: dict[str, str], stored: list[str], named: set[str]
    ) -> CollectedTrack:
        """Collect a track without the local disk."""
        streamer = StemStreamer(self.downloader, self.store, self.target.tolerance_seconds)
        is_mixed = self._needs_mixdown(ready)
        measures, sound = streamer.stream_stems(ready, keys, with_mixdown=is_mixed, stored=stored)
        return self._complete(ready, measures, sound, named)

    def _accept_or_refuse(
        self, spool: Spool, named: set[str], *, is_fetched_again: bool
    ) -> CollectedTrack | Failure:
        """Accept a track; stems that a transfer may have spoilt are fetched again, and more often under new links."""
        spool.download()
        try:
            return self._accept(spool, named)
        except AudioRejected as error:
            rejection = error
        if rejection.code in _MAYBE_TRANSFER and not is_fetched_again:
            with suppress(LinkExpired, TransferFailed):
                spool.download_again(rejection.stems)
                try:
                    return self._accept(spool, named)
                except AudioRejected as error:
                    rejection = error
        return self._refuse(spool, rejection)

    def _refuse(self, spool: Spool, rejection: AudioRejected) -> Failure:
        """Keep a track until new links are there, under which only what is wrong is fetched; else for good."""
        token, folder = spool.ready.attempt.token, keep_stems(self.store, spool, rejection)
        if rejection.code in _MAYBE_TRANSFER and not spool.ready.is_last:
            return Failure(token, State.READY, rejection.code, rejection.message, is_retryable=True)
        return Failure(token, State.QUARANTINED, rejection.code, f"{rejection.message} Kept in {folder}.")

    def _accept(self, spool: Spool, named: set[str]) -> CollectedTrack:
        """Verify and store the stems of a track that lie on the local disk."""
        ready = spool.ready
        spooled = derive_stems(ready, spool.stems, self.target.tolerance_seconds)
        measures = verify_stems(ready, spooled, self.target.tolerance_seconds)
        asked = [path for stem, path in spooled.items() if stem not in EXTRA_STEMS]
        sound: TrackSound | None = None
        if self._needs_mixdown(ready):
            sound = TrackSound(sum_stems(asked), read_excerpt(spooled[MIX]) if gives_mix(ready) else None)
        for stem, path in spooled.items():
            key = self._key(ready, stem, measures[stem].format)
            named.add(key)
            self.store.put_file(key, path)
        return self._complete(ready, measures, sound, named)

    def _needs_mixdown(self, ready: ReadyTrack) -> bool:
        return needs_mixdown(ready) or gives_mix(ready) or self.mixes.is_read(ready)

    def _complete(
        self,
        ready: ReadyTrack,
        measures: dict[str, StemMeasures],
        sound: TrackSound | None,
        named: set[str],
    ) -> CollectedTrack:
        """Give a track whose stems are stored, with what is measured in all of them, and its mix beside them."""
        with self.mixes.at_hand(ready) as mix:
            music, measures = self._analysed(ready, measures, sound, comparable_source(ready, mix.path))
            return self._with_mix(ready, self._collected(ready, music, measures), mix, named)

    def add_mix(self, ready: ReadyTrack, collected: CollectedTrack) -> CollectedTrack:
        """Give a track whose stems are stored with its mix beside them, where one is wanted and can be had."""
        with self.mixes.at_hand(ready) as mix:
            return self._with_mix(ready, collected, mix, set())

    def _with_mix(
        self, ready: ReadyTrack, collected: CollectedTrack, mix: TrackMix, named: set[str]
    ) -> CollectedTrack:
        def name(audio_format: str) -> str:
            named.add(key := self._key(ready, MIX, audio_format))
            return key

        kept = self.mixes.keep(ready, mix, collected.duration_seconds or 0.0, name)
        if isinstance(kept, TrackMix):
            return replace(collected, mix_problem=kept.problem)
        return replace(collected, stems=(*collected.stems, kept))

    def _analysed(
        self,
        ready: ReadyTrack,
        measures: dict[str, StemMeasures],
        sound: TrackSound | None,
        source: Path | None,
    ) -> tuple[MusicFacts, dict[str, StemMeasures]]:
        """Give tempo and key, and the measures once the sum of the stems was compared with the source."""
        if sound is None:
            return known_music(ready), measures
        with self.analysis_lock:
            music = measure_music(known_music(ready), sound.stems)
            return music, compare_with_source(measures, source, sound)

    def _collected(
        self, ready: ReadyTrack, music: MusicFacts, measures: dict[str, StemMeasures]
    ) -> CollectedTrack:
        stems = tuple(
            measured.stored(stem, self._key(ready, stem, measured.format))
            for stem, measured in measures.items()
        )
        return CollectedTrack(
            token=ready.attempt.token,
            stems=stems,
            bpm=music.bpm,
            key=music.key,
            bpm_source=music.bpm_source,
            key_source=music.key_source,
            collected_at=self.clock(),
            duration_seconds=audio_seconds(stems, ready.attempt.track.duration_seconds),
        )

    def _key(self, ready: ReadyTrack, stem: str, audio_format: str) -> str:
        """Give the final name of a stem, or the one under which it waits to be embedded."""
        path_of = staged_path if self.target.audio == "embedded" else stem_path
        return path_of(ready.attempt, stem, audio_format)
