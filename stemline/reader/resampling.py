"""Sound at another sample rate, such that a window is what the whole resampled holds there."""

from __future__ import annotations

from stemline.audio import Samples
from stemline.reader.stem_audio import StemAudio
from stemline.reader.stem_place import StemPlace

CONTEXT_FRAMES = 2048
"""How much is read around a window, so that its edges are as within the whole."""


def resample(samples: Samples, rate: int, wanted: int) -> Samples:
    """Give samples, (frames, channels), of one rate at another; the first frame stands for the same moment."""
    if rate == wanted:
        return samples
    import soxr  # noqa: PLC0415 - only who resamples waits for it

    found: Samples = soxr.resample(samples, rate, wanted)
    return found


def resampled_window(
    audio: StemAudio, place: StemPlace, window: tuple[float, float | None], wanted: int | None
) -> Samples:
    """Give a window of a stem, start and seconds, at a sample rate; None: at its own."""
    start, seconds = window
    samples, rate = audio.read(place, start, seconds)
    return samples if wanted is None else resample(samples, rate, wanted)
