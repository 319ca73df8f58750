"""The stems of one track straight from the provider into the store, without the local disk."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass

from stemline.audio import Samples
from stemline.collector.download import DownloadChunk, Downloader
from stemline.collector.mixdown import MonoAudio, MonoExcerpt, TrackSound, add_mono
from stemline.collector.spool import EXTRA_STEMS, expectation, gives_mix, most_bytes, wanted_links
from stemline.collector.stream_verification import StreamVerifier
from stemline.errors import AudioRejected
from stemline.records import Code, ReadyTrack
from stemline.storage import Store
from stemline.verify import StemExpectation, StemMeasures, check_together

_STREAMED = frozenset({"wav", "flac", "mp3"})
"""Formats whose beginning can be decoded before their end is there."""


def is_streamable(ready: ReadyTrack, store: Store) -> bool:
    """Tell whether a track can do without the local disk: no stem is missing, and none is to be derived."""
    recipe = ready.attempt.recipe
    links = wanted_links(ready)
    return store.is_streaming and recipe.format in _STREAMED and links.keys() >= set(recipe.stem_names)


@dataclass(frozen=True, slots=True)
class StemStreamer:
    """Streams stems from a provider into a store, verified on the way."""

    downloader: Downloader
    store: Store
    tolerance_seconds: float

    def stream_stems(
        self,
        ready: ReadyTrack,
        keys: Mapping[str, str],
        *,
        with_mixdown: bool,
        stored: list[str] | None = None,
    ) -> tuple[dict[str, StemMeasures], TrackSound | None]:
        """Store every stem under its key; give their measures and, if asked, how the track begins.

        Raises:
            AudioRejected: one is not right, or cannot be judged without its whole file; `stored` names those before it.
            LinkExpired, TransferFailed: as `Downloader.chunks` does.
            StorageError: the store does not take one.
        """
        expected = expectation(ready, self.tolerance_seconds)
        measures: dict[str, StemMeasures] = {}
        mixed: MonoAudio | None = None
        mix: MonoAudio | None = None
        for stem, url in wanted_links(ready).items():
            is_extra = stem in EXTRA_STEMS
            is_heard = with_mixdown and (not is_extra or gives_mix(ready))
            excerpt = MonoExcerpt()
            try:
                chunks = self.downloader.chunks(url, keys[stem].rpartition("/")[2], most_bytes(ready))
                measures[stem] = self._stream(
                    chunks, keys[stem], expected, *([excerpt.add] if is_heard else [])
                )
            except AudioRejected as error:
                raise AudioRejected(error.message, code=error.code, stems={stem}) from error
            if stored is not None:
                stored.append(stem)
            if is_heard:
                begins = excerpt.audio(measures[stem].sample_rate)
                mix, mixed = (begins, mixed) if is_extra else (mix, add_mono(mixed, begins))
        check_together(list(measures.items()))
        return measures, None if mixed is None else TrackSound(mixed, mix)

    def _stream(
        self,
        download: Generator[DownloadChunk, None, None],
        key: str,
        expected: StemExpectation,
        *on_block: Callable[[Samples], None],
    ) -> StemMeasures:
        name = key.rpartition("/")[2]
        with closing(download) as chunks:
            total = next(chunks).total
            if total is None:
                raise AudioRejected(f"Nobody says how long {name} is.", code=Code.TRUNCATED)
            with (
                StreamVerifier(name, total, expected, *on_block) as verifier,
                closing(verifier.pass_on(chunks)) as verified,
            ):
                self.store.put_stream(key, verified)
                return verifier.measures
