"""Previews cut out of the stems of a few tracks: the same seconds of each, in few bytes and bounded time.

A page without them is a page all the same: whatever keeps a stem from being heard becomes a sentence in its place.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from stemline.audio import Samples, decode_blocks
from stemline.errors import AudioRejected
from stemline.reader.resampling import SoundForm, resample, to_mono
from stemline.reader.stem_audio import StemAudio
from stemline.reader.stem_place import StemPlace
from stemline.records import Code
from stemline.report.player import PlayedStem, PlayedTrack
from stemline.report.preview import BIT_RATE, SAMPLE_RATE, StemPreview, loudest_start, make_preview
from stemline.report.timed_work import PATIENT_SECONDS, done_in_time

_FORM = SoundForm(SAMPLE_RATE, is_mono=True)
_WHOLE_BYTES = 24 << 20
"""A stem whose seconds are not told apart is fetched whole up to this size."""
_GONE = "Its audio is gone. `stemline verify` tells what else is."
_ALTERED = "Its audio does not decode as the tables tell. `stemline verify` tells more."
_UNANSWERED = "The store did not give its audio. `{again}` tries again."
_LATE = "No preview: there was no more time for it, on a machine or a store that is busy. `{again}` makes it."
_UNKNOWN = "No preview: the tables do not tell where its audio is."
_TOO_LARGE = "No preview: it could only be fetched whole, and is too large for that."
NO_ROOM = "No preview: the page has as many bytes of sound as a mail takes."
LEFT_OUT = "No preview was cut when this page was written: `{again}` does."
AGAIN = "stemline report CONFIG"
"""What writes the page of a run once more."""


@dataclass(frozen=True, slots=True)
class PreviewLimits:
    """What previews may take."""

    text_bytes: int = 8_000_000
    """Of a page, together: it has ten million at most."""
    longest: float = 8.0
    """In seconds, each."""
    shortest: float = 5.0
    """With more stems than that leaves room for, the last tracks go without."""
    time_limit: float = PATIENT_SECONDS
    """In seconds, for all of them: a page must not wait for a store that hangs."""


class _Piece(NamedTuple):
    """What is to be cut of one stem."""

    place: StemPlace | None
    start: float
    seconds: float


def cut_previews(
    tracks: Sequence[PlayedTrack],
    audio: StemAudio,
    limits: PreviewLimits | None = None,
    again: str = AGAIN,
) -> tuple[PlayedTrack, ...]:
    """Give the tracks with a preview of each stem, or with a sentence that says why there is none.

    It names `again`, the command that writes the page once more.
    """
    limits = limits or PreviewLimits()
    seconds = _length(sum(len(track.stems) for track in tracks), limits)
    windows = [_window(track, seconds) for track in tracks]
    pieces = {
        (number, stem.stem): _Piece(stem.place, start, length)
        for number, (track, (start, length)) in enumerate(zip(tracks, windows, strict=True))
        for stem in track.stems
    }
    jobs = {key: partial(_cut, piece, audio) for key, piece in pieces.items()}
    found = done_in_time(jobs, limits.time_limit)
    cut = [
        replace(
            track,
            preview_start=start,
            preview_seconds=length,
            stems=tuple(_with(stem, found.get((number, stem.stem), _LATE), again) for stem in track.stems),
        )
        for number, (track, (start, length)) in enumerate(zip(tracks, windows, strict=True))
    ]
    return tuple(_within(cut, limits.text_bytes))


def without_previews(tracks: Sequence[PlayedTrack]) -> tuple[PlayedTrack, ...]:
    """Give the tracks with the sentence that says that nothing was cut."""
    return tuple(_silenced(track, LEFT_OUT.format(again=AGAIN)) for track in tracks)


def _length(stems: int, limits: PreviewLimits) -> float:
    """Give how many seconds of each stem there is room for."""
    a_second = BIT_RATE / 8 * 4 / 3  # of base64
    room = limits.text_bytes / (a_second * max(stems, 1))
    return min(max(float(math.floor(room)), limits.shortest), limits.longest)


def _window(track: PlayedTrack, seconds: float) -> tuple[float, float]:
    length = min(seconds, track.seconds)
    loudness = [stem.loudness for stem in track.stems if stem.loudness and not stem.is_original]
    return loudest_start(loudness, length, track.seconds), length


def _with(stem: PlayedStem, found: StemPreview | str, again: str) -> PlayedStem:
    if isinstance(found, str):
        return replace(stem, trouble=found.format(again=again))
    return replace(stem, preview=found)


def _within(tracks: Sequence[PlayedTrack], room: int) -> list[PlayedTrack]:
    """Give the tracks, the last of them without previews where all together are too large."""
    kept = []
    for track in tracks:
        size = sum(len(stem.preview.mp3) * 4 // 3 for stem in track.stems if stem.preview)
        kept.append(track if size <= room else _silenced(track, NO_ROOM))
        room -= size if size <= room else 0
    return kept


def _silenced(track: PlayedTrack, sentence: str) -> PlayedTrack:
    stems = tuple(replace(stem, preview=None, trouble=sentence) for stem in track.stems)
    return replace(track, stems=stems, preview_seconds=0.0)


def _cut(piece: _Piece, audio: StemAudio) -> StemPreview | str:
    """Give a preview, or why there is none; no path or address is in it, which may be nobody else's business."""
    try:
        return _preview(piece, audio)
    except AudioRejected as error:
        return _GONE if error.code is Code.MISSING_FILE else _ALTERED
    except Exception:  # noqa: BLE001 - whatever an odd file or a store comes to costs this preview, never the page
        return _UNANSWERED


def _preview(piece: _Piece, audio: StemAudio) -> StemPreview | str:
    place, start, seconds = piece
    if place is None:
        return _UNKNOWN
    if place.seconds is not None and place.frames is not None:
        samples, _ = audio.read(place, start, seconds, _FORM)
    elif place.is_linked and place.path.startswith("/"):
        samples = _window_of_file(Path(place.path), start, seconds)
    elif place.embedded is None and (place.size_bytes is None or place.size_bytes > _WHOLE_BYTES):
        return _TOO_LARGE
    else:
        samples = _window_of_file(io.BytesIO(audio.read_object(place)), start, seconds)
    return make_preview(samples) if len(samples) else _ALTERED


def _window_of_file(file: Path | BinaryIO, start: float, seconds: float) -> Samples:
    """Give a window of a whole file, decoded from its beginning and kept from the window's."""
    with decode_blocks(file) as blocks:
        rate = blocks.sample_rate
        first, last = round(start * rate), round((start + seconds) * rate)
        kept, place = [np.empty((0, blocks.channels), np.float32)], 0
        for block in blocks:
            kept.append(block[max(first - place, 0) : max(last - place, 0)])
            place += len(block)
            if place >= last:
                break
    return resample(to_mono(np.concatenate(kept)), rate, SAMPLE_RATE)
