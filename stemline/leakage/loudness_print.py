"""Tracks that sound as good as the same, found by how loud each of their seconds is: no audio is read.

The power of all stems of a second, summed, is about that of the whole; taken relative to the track's own mean it does
not change with gain, and hardly with the codec. Two tracks are near-equal where these curves go together second by
second and are as long, to a second. A copy that is cut, sped up or that begins elsewhere is not found.
"""

from __future__ import annotations

import math
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stemline.records import MIX

LEAST_SECONDS = 10
"""Of shorter tracks too little is known."""
FLOOR_DB = 40.0
"""So far below its loudest second a second counts as silent, as codecs differ in what they leave of silence."""
LEAST_CHANGE_DB = 0.5
"""A track whose loudness changes less than this (standard deviation) is like any other that is even."""
MOST_DIFFERENCE = 0.2
"""So much of the change of a curve (root mean square, as a share) may differ: a correlation of 0.98."""
_SEGMENTS = 16
_SEARCHED = 0.35
"""How far apart the outlines of near-equal curves are at most, and some that are not; both have length 1."""
_SECOND = 0.15
"""How far apart a second of length puts them."""
_NEIGHBOURS = 4
_STEPS_PER_DB = 4
_TWOS_PER_DB = np.float32(math.log2(10) / 10)
"""A power in powers of two, for each dB."""
_SPOOLED_BYTES = 64 << 20
_AT_ONCE = 20_000
_COLUMNS = ["track_id", "provider", "recipe", "stem", "rms_dbfs"]
Curve: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NearEqual:
    """A track of one set of tracks and one of another that sound as good as the same."""

    one: int
    other: int
    difference: float
    """As a share of how much the curve changes: 0 is the very same."""


class LoudnessPrints:
    """The loudness curves of many tracks: outlines in memory, the curves themselves in a temporary file."""

    def __init__(self) -> None:
        """Begin with none."""
        self._file = tempfile.SpooledTemporaryFile(max_size=_SPOOLED_BYTES)  # noqa: SIM115 - as long as this object
        self._ends = array("Q")
        self._outlines = bytearray()
        self.track_ids: list[str] = []
        self.too_short = self.too_even = 0
        self._rest: pa.Table | None = None
        """Rows of the last track, of which more may come."""

    def __len__(self) -> int:
        """Give how many can be compared."""
        return len(self.track_ids)

    def add(self, activity: pa.Table) -> None:
        """Take in rows of the activity table, those of a track one behind the other; its first recipe counts.

        It needs the columns `track_id`, `provider`, `recipe`, `stem` and `rms_dbfs`.
        """
        rows = activity.select(_COLUMNS).filter(pc.not_equal(activity.column("stem"), MIX))
        rows = rows if self._rest is None else pa.concat_tables([self._rest, rows])
        if rows.num_rows:
            track_ids = rows.column("track_id")
            begun = pc.index(track_ids, track_ids[-1]).as_py()
            self._rest = rows.slice(begun)
            self._measure(rows.slice(0, begun))

    def finish(self) -> None:
        """Take in the last track: no more rows come."""
        if self._rest is not None:
            self._measure(self._rest)
            self._rest = None

    def _measure(self, rows: pa.Table) -> None:
        for track_id, curve in _curves(rows):
            if len(curve) < LEAST_SECONDS:
                self.too_short += 1
            elif float(curve.std()) < LEAST_CHANGE_DB:
                self.too_even += 1
            else:
                self._keep(track_id, curve)

    def _keep(self, track_id: str, curve: Curve) -> None:
        steps = np.rint((curve - curve.max() + FLOOR_DB) * _STEPS_PER_DB).astype(np.uint8)
        self._file.write(steps.tobytes())
        self._ends.append((self._ends[-1] if self._ends else 0) + len(steps))
        self._outlines += _outline(curve, len(curve)).tobytes()
        self.track_ids.append(track_id)

    def near_equal(self, ones: NDArray[np.int64], others: NDArray[np.int64]) -> Iterator[NearEqual]:
        """Give for each of `ones` (numbers in `track_ids`) the first of `others` that it is near-equal to, if any."""
        if not len(ones) or not len(others):
            return
        from scipy.spatial import KDTree  # noqa: PLC0415 - only where two splits are compared

        places = np.frombuffer(self._outlines, np.float32).reshape(len(self), -1)
        tree = KDTree(places[others])
        for start in range(0, len(ones), _AT_ONCE):
            some = ones[start : start + _AT_ONCE]
            asked = [(one, outline) for one in some.tolist() for outline in self._outlines_of(one, places)]
            outlines = np.stack([outline for _, outline in asked])
            found = np.asarray(tree.query(outlines, k=_NEIGHBOURS, distance_upper_bound=_SEARCHED)[1])
            candidates: dict[int, set[int]] = {}
            for (one, _), nearest in zip(asked, found.tolist(), strict=True):
                candidates.setdefault(one, set()).update(
                    others[[each for each in nearest if each < len(others)]].tolist()
                )
            for one, those in candidates.items():
                near = (self._compare(one, other) for other in sorted(those))
                yield from [each for each in near if each.difference <= MOST_DIFFERENCE][:1]

    def _outlines_of(self, one: int, places: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Give a track's outline, and those that it would have were it a second shorter or longer, if others."""
        yield places[one]
        length = self._length(one)
        for other in (length - 1, length + 1):
            if _width(other) != _width(length):
                yield _outline(self._curve(one), other)

    def _compare(self, one: int, other: int) -> NearEqual:
        curves = self._curve(one), self._curve(other)
        length = min(map(len, curves))
        if abs(len(curves[0]) - len(curves[1])) > 1:
            return NearEqual(one, other, np.inf)
        cut = [curve[:length] - curve[:length].mean() for curve in curves]
        change = max(min(float(curve.std()) for curve in cut), 1e-9)
        return NearEqual(one, other, round(float(np.std(cut[0] - cut[1])) / change, 3))

    def _length(self, number: int) -> int:
        return self._ends[number] - (self._ends[number - 1] if number else 0)

    def _curve(self, number: int) -> Curve:
        length = self._length(number)
        self._file.seek(self._ends[number] - length)
        steps = np.frombuffer(self._file.read(length), np.uint8)
        return (steps / _STEPS_PER_DB).astype(np.float32)


def _outline(curve: Curve, length: int) -> NDArray[np.float32]:
    """Give the outline of a curve, cut into segments as one of this length is, and how long it is itself.

    Its values have the length 1. Segments are whole seconds: in a copy that has a second more all others are the same.
    """
    width = _width(length)
    kept = curve[: width * _SEGMENTS]
    padded = np.pad(kept - kept.mean(), (0, width * _SEGMENTS - len(kept)))
    means = padded.reshape(_SEGMENTS, width).mean(axis=1)
    return np.append(means / max(float(np.linalg.norm(means)), 1e-9), len(curve) * _SECOND).astype(np.float32)


def _width(length: int) -> int:
    """Give how many seconds each segment of an outline has."""
    return max(1, length // _SEGMENTS)


def _curves(rows: pa.Table) -> Iterator[tuple[str, Curve]]:
    """Give the loudness of each second of each track, in dB, what is silent on the floor."""
    if not rows.num_rows:
        return
    levels: Any = rows.column("rms_dbfs").combine_chunks()
    offsets, power = levels.offsets.to_numpy(), np.exp2(np.asarray(levels.values) * _TWOS_PER_DB)
    track_ids = rows.column("track_id").to_pylist()
    recipes = list(zip(*(rows.column(name).to_pylist() for name in ("provider", "recipe")), strict=True))
    for track_id, group in groupby(range(len(track_ids)), track_ids.__getitem__):
        places = list(group)
        chosen = [place for place in places if recipes[place] == recipes[places[0]]]
        whole = np.zeros(max(offsets[place + 1] - offsets[place] for place in chosen), np.float32)
        for place in chosen:
            whole[: offsets[place + 1] - offsets[place]] += power[offsets[place] : offsets[place + 1]]
        curve = np.log2(np.maximum(whole, 1e-12)) / _TWOS_PER_DB
        yield track_id, np.maximum(curve, curve.max(initial=-120.0) - FLOOR_DB).astype(np.float32)
