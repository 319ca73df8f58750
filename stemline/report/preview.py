"""A few seconds of a stem as a page holds them: an mp3 that every browser decodes, and the peaks it is drawn by."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stemline.audio import Samples
from stemline.audio.mp3_file import MOST_CHANNELS, created_mp3

SAMPLE_RATE = 32_000
BIT_RATE = 80_000
"""Of two channels; of one, half as much."""
PEAKS = 96
_CENTRED = 1e-3
"""Of the power: -30 dB."""
_QUIETEST_DBFS = -60.0
"""What is quieter does not count as sounding."""
_MIDDLE = 0.4
"""Where a track is cut of which nobody measured how loud it is: beginnings and ends are quiet."""


@dataclass(frozen=True, slots=True)
class StemPreview:
    """A few seconds of a stem."""

    mp3: bytes
    peaks: tuple[float, ...]
    """The highest sample of each of PEAKS parts, full scale at 1."""

    @property
    def url(self) -> str:
        """Give the sound as a page holds it."""
        return f"data:audio/mpeg;base64,{base64.b64encode(self.mp3).decode()}"


def make_preview(samples: Samples) -> StemPreview:
    """Give a preview of sound of SAMPLE_RATE, (frames, channels).

    Of more than two channels it is their mean; so it is of two that hardly differ, as a voice and a bass often do: that
    takes half the bytes and half the time.
    """
    clean = np.clip(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    if clean.shape[1] > MOST_CHANNELS or _is_centred(clean):
        clean = clean.mean(axis=1, keepdims=True)
    channels = clean.shape[1]
    file = io.BytesIO()
    with created_mp3(file, SAMPLE_RATE, channels, BIT_RATE * channels // MOST_CHANNELS) as mp3:
        mp3.write(clean)
    return StemPreview(file.getvalue(), _peaks(clean))


def _is_centred(samples: Samples) -> bool:
    """Tell whether the two sides are so alike that their difference is not heard."""
    if samples.shape[1] != MOST_CHANNELS:
        return False
    middle, side = samples[:, 0] + samples[:, 1], samples[:, 0] - samples[:, 1]
    return bool(np.dot(side, side) <= _CENTRED * np.dot(middle, middle))


def loudest_start(loudness: Sequence[Sequence[float]], seconds: float, total: float) -> float:
    """Give where the loudest `seconds` of a track begin, by the loudness of each second of its stems in dBFS.

    Loudness in dB is added up over the stems, so that seconds in which most of them sound come before those in which
    one of them is very loud.
    """
    latest = max(total - seconds, 0.0)
    count = min((len(each) for each in loudness), default=0)
    width = math.ceil(seconds)
    if count <= width:
        return min(latest, total * _MIDDLE) if not count else 0.0
    levels = np.nan_to_num(np.asarray([each[:count] for each in loudness], np.float64), nan=_QUIETEST_DBFS)
    sounding = np.maximum(levels - _QUIETEST_DBFS, 0.0).sum(axis=0)
    sums = np.convolve(sounding, np.ones(width), "valid")
    return min(float(np.argmax(sums)), latest)


def _peaks(samples: Samples) -> tuple[float, ...]:
    heights = np.abs(samples).max(axis=1)
    parts = np.array_split(heights, PEAKS)
    return tuple(round(float(part.max()), 3) if len(part) else 0.0 for part in parts)
