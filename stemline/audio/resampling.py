"""Samples, and samples at another rate: whole, or block by block with the same result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""float32, (frames, channels), full scale at -1..1."""

_HALF_LENGTH = 10
"""Of the filter on either side, in samples of the lower of the two rates."""


def resampled(samples: NDArray[np.floating], up: int, down: int) -> Samples:
    """Give samples, (frames,) or (frames, channels), at `up / down` times their rate, by a polyphase filter."""
    # Imported here: scipy.signal takes over a second to load, and most commands never resample.
    from scipy.signal import resample_poly  # noqa: PLC0415

    return np.asarray(resample_poly(samples, up, down, axis=0), np.float32)


class Resampler:
    """Sound at another rate while it comes: the blocks that are given add up to what `resampled` gives of the whole.

    Holds back what the filter reaches over, a few milliseconds.
    """

    def __init__(self, up: int, down: int) -> None:
        """Begin before the first block; the rate becomes `up / down` times what it is."""
        common = gcd(up, down)
        self._up, self._down = up // common, down // common
        # Where an output sample falls upon an input sample, a part of the sound comes out as in the whole.
        reach = -(-_HALF_LENGTH * max(self._up, self._down) // self._up)
        self._margin = -(-reach // self._down) * self._down
        self._held: Samples | None = None
        self._done = 0
        """How much of what is held was given already, in input samples."""

    def add(self, block: Samples) -> Samples:
        """Take in samples, (n,) or (n, channels); give those whose surroundings are all there, maybe none."""
        if self._up == self._down:
            return block
        held = block if self._held is None else np.concatenate([self._held, block])
        ready = max(self._done, (len(held) - self._margin) // self._down * self._down)
        given = self._resampled(held[: ready + self._margin], self._done, ready)
        dropped = max(0, ready - self._margin)
        self._held, self._done = held[dropped:].copy(), ready - dropped
        return given

    def end(self) -> Samples:
        """Give the rest, which may be nothing."""
        if self._held is None:
            return np.zeros(0, np.float32)
        return self._resampled(self._held, self._done, None)

    def _resampled(self, samples: Samples, start: int, stop: int | None) -> Samples:
        if stop is not None and stop == start:
            return samples[:0]
        from scipy.signal import resample_poly  # noqa: PLC0415 - as above

        taps = _filter(max(self._up, self._down))
        # scipy-stubs know of no filter that is an array.
        changed = resample_poly(samples, self._up, self._down, axis=0, window=taps)  # type: ignore[call-overload]
        first = start // self._down * self._up
        last = None if stop is None else stop // self._down * self._up
        return np.asarray(changed[first:last], np.float32)


def resampled_blocks(blocks: Iterable[Samples], up: int, down: int) -> Iterator[Samples]:
    """Give blocks of samples at `up / down` times their rate; none is empty."""
    resampler = Resampler(up, down)
    for block in blocks:
        if len(changed := resampler.add(block)):
            yield changed
    if len(rest := resampler.end()):
        yield rest


@lru_cache(maxsize=4)
def _filter(rate: int) -> Samples:
    """Give the low-pass that `resample_poly` would design for every block anew."""
    from scipy.signal import firwin  # noqa: PLC0415 - as above

    taps = firwin(2 * _HALF_LENGTH * rate + 1, 1 / rate, window=("kaiser", 5.0))
    return np.asarray(taps, np.float32)
