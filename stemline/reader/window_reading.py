"""One window read: all its stems from the same second on, in one form; another place tried where one is no more."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from stemline.audio import Samples
from stemline.errors import AudioRejected, UsageError
from stemline.reader.prefetch import Pending
from stemline.reader.resampling import SoundForm
from stemline.reader.stem_audio import StemAudio
from stemline.reader.stem_lookup import StemName, find_stem
from stemline.reader.stem_place import StemPlace
from stemline.reader.tables import OpenTables
from stemline.reader.window_choice import WindowPlace
from stemline.reader.window_index import WindowIndex
from stemline.records import MIX, Code

logger = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 30.0
"""So long a look at the newest snapshot is good for."""
_SAMPLE_BYTES = 4
_STALE = (OSError, IndexError, pa.ArrowException)

Window = dict[str, Any]


class RefreshedDataset(Protocol):
    """The dataset that windows are read from."""

    @property
    def tables(self) -> OpenTables: ...  # noqa: D102 - as in StemsDataset
    @property
    def stem_audio(self) -> StemAudio: ...  # noqa: D102
    def refresh(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class WindowForm:
    """In which form windows are given."""

    stems: tuple[str, ...]
    seconds: float
    sample_rate: int | None
    """None: that of the track's first stem."""
    is_mono: bool


class _Unreadable(Exception):
    """A stem that cannot be read, by now not at any place."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass
class WindowReader:
    """Reads windows of one dataset; its threads share it."""

    dataset: RefreshedDataset
    index: WindowIndex
    form: WindowForm
    skipped: Counter[str] = field(default_factory=Counter)
    """Windows that could not be read, by reason, in this process."""

    def __post_init__(self) -> None:
        """Begin without a look at the newest snapshot."""
        self._locks: dict[int, threading.Lock] = {}
        self._looked_at = -_LOOK_AGAIN_SECONDS
        self._has_changed = False

    def pending(self, window: WindowPlace, facts: Window) -> Pending[Samples, Window | None]:
        """Give a window still to be read, into which `facts` go. It comes to None where it cannot be read."""
        row = self.index.row(window.row)
        places = {place.stem: place for place in self.index.places(row)}
        wanted = [places[name] for name in self.form.stems]
        rate = self.form.sample_rate or wanted[0].sample_rate or 1
        sound = SoundForm(rate, self.form.is_mono)
        mix = places.get(MIX)
        if mix is not None and MIX not in self.form.stems and mix.seconds is not None:
            wanted.append(mix)  # one of which no part decodes would be read whole for every window
        frames = round(self.form.seconds * rate)
        facts = {**facts, "track_id": row.track_id, "start": float(window.start), "sample_rate": rate}
        return Pending(
            [partial(self._read, place, window.start, sound) for place in wanted],
            size_bytes=(len(wanted) + 1) * frames * 2 * _SAMPLE_BYTES,
            assemble=partial(self._assembled, frames, facts),
        )

    def _assembled(self, frames: int, facts: Window, futures: Sequence[Future[Samples]]) -> Window | None:
        """Give a window of its stems, or count it as skipped."""
        try:
            sounds = [self._whole(each, frames) for each in futures[: len(self.form.stems)]]
        except _Unreadable as error:
            for each in futures:
                each.cancel()
            self._note_skipped(error, facts)
            return None
        mix = None
        for each in futures[len(self.form.stems) :]:
            try:
                mix = self._whole(each, frames)
            except _Unreadable as error:
                logger.debug("%s", error)
        channels = 1 if self.form.is_mono else max(2, *(each.shape[1] for each in sounds))
        window: Window = {
            name: _widened(each, channels) for name, each in zip(self.form.stems, sounds, strict=True)
        }
        if MIX not in window:
            window[MIX] = _sum(window.values()) if mix is None else _widened(mix, channels)
        source = "sum" if mix is None and MIX not in self.form.stems else "kept"
        return {**window, "mix_source": source, **facts}

    @staticmethod
    def _whole(future: Future[Samples], frames: int) -> Samples:
        sound = future.result()
        if len(sound) < frames:
            raise _Unreadable("shorter", "A stem is shorter than its tables tell.")
        return np.ascontiguousarray(sound[:frames])

    def _read(self, place: StemPlace, start: int, sound: SoundForm) -> Samples:
        """Give a stem's part of a window; raises _Unreadable where the newest snapshot has no other place for it."""
        try:
            return self.dataset.stem_audio.read(place, float(start), self.form.seconds, sound)[0]
        except AudioRejected as error:
            newer = self._newer_place(place)
            if newer is None:
                raise _Unreadable(_reason(error), str(error)) from error
        try:
            return self.dataset.stem_audio.read(newer, float(start), self.form.seconds, sound)[0]
        except AudioRejected as error:
            raise _Unreadable(_reason(error), str(error)) from error

    def _newer_place(self, place: StemPlace) -> StemPlace | None:
        """Give where the newest snapshot has a stem; None where there is no newer one, or it is not there."""
        with self._locks.setdefault(os.getpid(), threading.Lock()):  # a fork may find the parent's taken
            if time.monotonic() - self._looked_at >= _LOOK_AGAIN_SECONDS:
                self._has_changed |= self.dataset.refresh()
                self._looked_at = time.monotonic()
            if not self._has_changed:
                return None
            name = StemName(place.track_id, place.stem, place.provider, place.recipe)
            try:
                return find_stem(name, self.dataset.tables)
            except (UsageError, *_STALE):
                return None

    def _note_skipped(self, error: _Unreadable, facts: Window) -> None:
        self.skipped[error.reason] += 1
        if self.skipped[error.reason] == 1:
            logger.warning(
                "The window of %r at %g s is skipped: %s Others like it are counted in `skipped`.",
                facts["track_id"],
                facts["start"],
                error,
            )

    def __getstate__(self) -> dict[str, Any]:
        """Give what another process needs."""
        return {"dataset": self.dataset, "index": self.index, "form": self.form}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin anew there."""
        self.__init__(**state)  # type: ignore[misc]  # all that it is made of


def _reason(error: AudioRejected) -> str:
    return "gone" if error.code is Code.MISSING_FILE else "altered"


def _sum(sounds: Iterable[Samples]) -> Samples:
    first, *others = sounds
    total = first.copy()
    for each in others:
        total += each
    return total


def _widened(sound: Samples, channels: int) -> Samples:
    """Give sound of so many channels: a single one is in all of them."""
    if sound.shape[1] == channels:
        return sound
    single = sound if sound.shape[1] == 1 else sound.mean(axis=1, keepdims=True, dtype=np.float32)
    return np.repeat(single, channels, axis=1)
