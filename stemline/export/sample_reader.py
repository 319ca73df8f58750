"""Samples read from the dataset: objects verified and, where that is asked for, cut; several tracks ahead, in order."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from stemline.errors import AudioRejected
from stemline.export.sample import ExportSample, ExportTrack, LeftOut, StemObject, StemSound
from stemline.export.sound_cut import SoundCut
from stemline.reader import StemsDataset
from stemline.reader.embedded_audio import EmbeddedAudio
from stemline.reader.stem_lookup import StemName, find_stem
from stemline.reader.store_access import StoreAccess
from stemline.records import Code

THREADS = 8
BYTES_AHEAD = 192 << 20
"""So much audio is read before it is written; at least one track."""

Prepare = Callable[[ExportSample], ExportSample]


@dataclass
class SampleReader:
    """Reads tracks of a dataset as samples."""

    dataset: StemsDataset
    access: StoreAccess
    cut: SoundCut | None
    """None: audio is copied as it is."""
    audio_format: str | None
    """The one format that is wanted; None: as it is."""
    prepare: Prepare
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Open what is read from."""
        self._embedded = EmbeddedAudio(self.access)

    def read(self, tracks: Iterable[ExportTrack], left_out: list[LeftOut]) -> Generator[ExportSample]:
        """Give samples in the order of their tracks; those whose audio is no good go to `left_out`."""
        waiting: deque[tuple[ExportTrack, Future[list[ExportSample]]]] = deque()
        ahead = 0
        with ThreadPoolExecutor(THREADS) as threads:
            try:
                for track in tracks:
                    while waiting and ahead + self._size(track) > BYTES_AHEAD:
                        ahead -= self._size(waiting[0][0])
                        yield from _taken(waiting, left_out)
                    waiting.append((track, threads.submit(self._samples, track)))
                    ahead += self._size(track)
                while waiting:
                    yield from _taken(waiting, left_out)
            finally:
                for _, future in waiting:
                    future.cancel()

    def _size(self, track: ExportTrack) -> int:
        """Give what a track takes in memory: its files, or, where they are written anew, 24 bit a sample."""
        if self.cut is None:
            return sum(stem.size_bytes or 0 for stem in track.stems.values())
        return sum(3 * (stem.frames or 0) * (stem.channels or 1) for stem in track.stems.values())

    def _samples(self, track: ExportTrack) -> list[ExportSample]:
        """Give a track's samples; raises AudioRejected."""
        sounds = {name: self._sounds(track, stem) for name, stem in track.stems.items()}
        count = min(len(each) for each in sounds.values())
        if not count:
            raise AudioRejected("it is shorter than one window.", code=Code.TOO_SHORT)
        seconds = None if self.cut is None else self.cut.seconds
        made = []
        for number in range(count):
            some = {name: each[number] for name, each in sounds.items()}
            place = (None, 0.0, None) if seconds is None else (number, number * seconds, seconds)
            made.append(self.prepare(ExportSample(track, some, *place)))
        return made

    def _sounds(self, track: ExportTrack, stem: StemObject) -> list[StemSound]:
        data = self._bytes(track, stem)
        name = f"the stem {stem.stem!r}"
        if stem.sha256 is not None and hashlib.sha256(data).hexdigest() != stem.sha256:
            raise AudioRejected(
                f"{name} is not what was verified: its object was altered.", code=Code.UNREADABLE_AUDIO
            )
        if self.cut is None or self._is_as_wanted(stem):
            return [StemSound(data, stem.format, stem.sample_rate, stem.channels, stem.frames)]
        return list(self.cut.windows(data, name, stem.frames))

    def _is_as_wanted(self, stem: StemObject) -> bool:
        """Tell whether a stem would be written anew as it is."""
        if self.cut is None or self.cut.seconds is not None or stem.format != self.audio_format:
            return False
        is_mono = self.cut.form.is_mono and stem.channels != 1
        return not is_mono and self.cut.form.sample_rate in {None, stem.sample_rate}

    def _bytes(self, track: ExportTrack, stem: StemObject) -> bytes:
        if stem.path is None:
            return self._embedded_bytes(track, stem)
        try:
            return self.access.store.read_bytes(stem.path)
        except FileNotFoundError as error:
            raise AudioRejected(
                f"the stem {stem.stem!r} is gone: {stem.path} is not there.", code=Code.MISSING_FILE
            ) from error

    def _embedded_bytes(self, track: ExportTrack, stem: StemObject) -> bytes:
        """Give embedded audio; a part that was replaced since is looked up again."""
        name = StemName(track.track_id, stem.stem, track.columns["provider"], track.columns["recipe"])
        with self._lock:
            try:
                return self._embedded.read(find_stem(name, self.dataset.tables))
            except (AudioRejected, OSError, IndexError):
                if not self.dataset.refresh():
                    raise
            return self._embedded.read(find_stem(name, self.dataset.tables))


def _size(track: ExportTrack) -> int:
    return sum(stem.size_bytes or 0 for stem in track.stems.values())


def _taken(
    waiting: deque[tuple[ExportTrack, Future[list[ExportSample]]]], left_out: list[LeftOut]
) -> Iterable[ExportSample]:
    """Give the samples of the track that comes next."""
    track, future = waiting.popleft()
    try:
        return future.result()
    except AudioRejected as error:
        left_out.append(LeftOut(track.track_id, error.message.rstrip(".")))
        return ()
