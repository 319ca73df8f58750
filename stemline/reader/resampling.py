"""Sound at another sample rate and in mono, such that a window is what the whole, changed so, holds there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from stemline.audio import Samples
from stemline.errors import UsageError

RATES = (1_000, 384_000)
"""In Hz, the lowest and the highest that sound is brought to."""
QUALITY = "VHQ"
"""soxr's best: a window is then the very slice of the whole, for a tenth more time than the next lower."""
_CONTEXT = 256
"""Frames of the lower rate that soxr's filter may reach in each direction."""

ReadFrames = Callable[[int, int], Samples]
"""Gives so many frames from a number on, fewer at the end."""


class SoundForm(NamedTuple):
    """The form in which sound is wanted."""

    sample_rate: int | None = None
    """None: as it is."""
    is_mono: bool = False
    """The mean of its channels, as the one that is left."""


AS_IT_IS = SoundForm()


class Source(NamedTuple):
    """A piece of sound that is read by windows."""

    read: ReadFrames
    sample_rate: int
    frames: int


def require_rate(sample_rate: int | None) -> None:
    """Raise UsageError for what is no sample rate of sound."""
    is_whole = isinstance(sample_rate, int) and not isinstance(sample_rate, bool)
    if sample_rate is not None and not (is_whole and RATES[0] <= sample_rate <= RATES[1]):
        raise UsageError(
            f"There is no sample_rate {sample_rate!r}.",
            fix=f"Give one of {RATES[0]} to {RATES[1]} Hz, such as 44100.",
        )


def resample(samples: Samples, rate: int, wanted: int) -> Samples:
    """Give samples, (frames, channels), of one rate at another; the first frame stays at its moment."""
    if rate == wanted:
        return samples
    import soxr  # noqa: PLC0415 - only who resamples waits for it

    found: Samples = soxr.resample(samples, rate, wanted, quality=QUALITY)
    return found


def to_mono(samples: Samples) -> Samples:
    """Give the mean of the channels, (frames, 1)."""
    channels = samples.shape[1]
    if channels == 1:
        return samples
    # Channel by channel: numpy's mean over a short axis takes ten times as long.
    mixed = samples[:, 0].copy()
    for number in range(1, channels):
        mixed += samples[:, number]
    mixed /= np.float32(channels)
    return mixed[:, np.newaxis]


def read_window(source: Source, start: float, seconds: float | None, form: SoundForm = AS_IT_IS) -> Samples:
    """Give a window in a form; start and length are rounded to frames of the result, which the source's end cuts."""
    rate = form.sample_rate or source.sample_rate
    total = _frames_at(source.frames, source.sample_rate, rate)
    begin = min(round(start * rate), total)
    end = total if seconds is None else min(begin + round(seconds * rate), total)
    if rate == source.sample_rate or begin == end:
        found = source.read(min(begin, source.frames), end - begin)
        return to_mono(found) if form.is_mono else found
    return _resampled(source, rate, (begin, end), is_mono=form.is_mono)


def _resampled(source: Source, rate: int, window: tuple[int, int], *, is_mono: bool) -> Samples:
    """Give frames of the resampled whole, with as much read around them as the filter sees.

    Reading begins at a frame that stands for the same moment as one of the result, so that phases agree.
    """
    begin, end = window
    common = math.gcd(source.sample_rate, rate)
    step, step_wanted = source.sample_rate // common, rate // common
    context = _CONTEXT * max(1, math.ceil(source.sample_rate / rate))
    first_step = max(begin * step // step_wanted - context, 0) // step
    stop = min(-(-end * step // step_wanted) + context, source.frames)
    samples = source.read(first_step * step, stop - first_step * step)
    changed = resample(to_mono(samples) if is_mono else samples, source.sample_rate, rate)
    skipped = first_step * step_wanted
    return changed[begin - skipped : end - skipped]


def _frames_at(frames: int, rate: int, wanted: int) -> int:
    """Give how many frames soxr makes of so many: to the nearest, a half up."""
    return (2 * frames * wanted + rate) // (2 * rate)
