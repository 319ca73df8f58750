"""At which seconds of a track a window may begin: those where it fits, and is loud enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stemline.activity import TENTHS
from stemline.reader.window_index import NONE
from stemline.reader.window_request import WindowRequest

_LOWEST_LEVEL, _LEVELS = -32_768, 65_536
_POWER = 10.0 ** (np.arange(_LOWEST_LEVEL, _LOWEST_LEVEL + _LEVELS).clip(-2000, 600) / (10 * TENTHS))
"""Of each level in tenths of dBFS."""


@dataclass(frozen=True, slots=True, eq=False)
class Starts:
    """Seconds at which windows of some rows may begin, one row behind the other."""

    counts: NDArray[np.int64]
    """How many seconds of each row the window fits at; a negative one fits nowhere."""
    is_loud: NDArray[np.bool_]
    """Of each of these seconds, whether the window there is loud enough."""
    has_levels: NDArray[np.bool_]
    """Of each row, whether its loudness is known."""

    def loud_counts(self) -> NDArray[np.int64]:
        """Give how many seconds of each row are loud enough."""
        ends = np.cumsum(np.maximum(self.counts, 0))
        sums = np.concatenate([[0], np.cumsum(self.is_loud)])
        found: NDArray[np.int64] = sums[ends] - sums[ends - np.maximum(self.counts, 0)]
        return found


def find_starts(
    levels: NDArray[np.int16], stems: Sequence[NDArray[np.void]], request: WindowRequest
) -> Starts:
    """Give where windows of some rows may begin; `stems` are the records of each asked stem, row by row.

    The power of a window is at least that of its whole seconds over its length, so none that is quieter than asked
    for is taken; one of less than a second is taken by the whole second it begins.
    """
    shortest = np.min([stem["frames"] / np.maximum(stem["sample_rate"], 1) for stem in stems], axis=0)
    counts = np.floor(shortest - request.seconds + 1e-6).astype(np.int64) + 1
    seconds = np.min([np.where(stem["levels_at"] == NONE, 0, stem["seconds"]) for stem in stems], axis=0)
    whole = max(1, int(request.seconds))
    has_levels = seconds >= np.maximum(counts, 0) + whole - 1
    fitting = np.maximum(counts, 0)
    row = np.repeat(np.arange(len(counts)), fitting)
    within = np.arange(len(row)) - np.repeat(np.cumsum(fitting) - fitting, fitting)
    is_known = has_levels[row]
    power = {
        name: _power(levels, stem, (row[is_known], within[is_known]), request.seconds)
        for name, stem in zip(request.stems, stems, strict=True)
    }
    is_loud = np.ones(len(row), bool)
    is_loud[is_known] = _is_loud(power, request)
    return Starts(counts, is_loud, has_levels)


def _power(
    levels: NDArray[np.int16],
    stem: NDArray[np.void],
    starts: tuple[NDArray[np.int64], NDArray[np.int64]],
    seconds: float,
) -> NDArray[np.float64]:
    """Give the mean power of one stem in the window at each start: row, and second within it."""
    row, within = starts
    first = stem["levels_at"][row] + within
    total = np.zeros(len(first))
    for second in range(max(1, int(seconds))):
        total += _POWER[levels[first + second].astype(np.int64) - _LOWEST_LEVEL]
    return total / max(1.0, seconds)


def _is_loud(power: Mapping[str, NDArray[np.float64]], request: WindowRequest) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.sum(list(power.values()), axis=0) >= _power_of(request.floor)
    for name, floor in request.floors.items():
        found &= power[name] >= _power_of(floor)
    return found


def _power_of(dbfs: float) -> float:
    return math.pow(10.0, dbfs / 10) * (1 - 1e-9)


def bits_of(starts: Starts) -> NDArray[np.uint8]:
    """Give a bit a second, each row from a byte of its own on."""
    fitting = np.maximum(starts.counts, 0)
    room = -(-fitting // 8) * 8
    spread = np.zeros(int(room.sum()), bool)
    begin = np.repeat(np.cumsum(room) - room - (np.cumsum(fitting) - fitting), fitting)
    spread[begin + np.arange(len(starts.is_loud))] = starts.is_loud
    return np.packbits(spread)
