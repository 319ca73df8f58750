"""The learned part: a few thousand numbers that turn feature maps into masks which add up to one.

Small networks of dense layers look at one point of time and frequency at a time. The first sees the maps alone;
the second and the third also see what the one before thought about the neighbourhood (`MaskContext`). Trained by
benchmarks/train_engine.py on nothing but the songs stemline makes itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from stemline_local.engine.features import ChunkFeatures
from stemline_local.engine.stft import Floats

STEMS = ("vocals", "drums", "bass", "other")
_FRAMES = 16
"""Frames put through a network at once: its activations stay in the processor's cache."""

Layer = tuple[Floats, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class MaskNetwork:
    """Dense layers with rectifiers between and a softmax behind."""

    layers: tuple[Layer, ...]

    def masks(self, maps: Floats, context: MaskContext | None = None) -> Floats:
        """Give masks (outputs, frames, bands) that add up to one from maps (inputs, frames, bands) and a context."""
        frames, bands = maps.shape[1:]
        masks = np.empty((len(self.layers[-1][1]), frames, bands), np.float32)
        for start in range(0, frames, _FRAMES):
            part = slice(start, start + _FRAMES)
            points = maps[:, part]
            if context is not None:
                points = np.concatenate([points, context.rows(part)])
            masks[:, part] = self._run(points.reshape(len(points), -1)).reshape(len(masks), -1, bands)
        return masks

    def _run(self, points: Floats) -> Floats:
        for number, (weight, bias) in enumerate(self.layers):
            if number:
                np.maximum(points, 0, out=points)
            points = weight @ points
            points += bias[:, None]
        points -= points.max(axis=0)
        np.exp(points, out=points)
        points /= points.sum(axis=0)
        return points


@lru_cache(maxsize=1)
def load_networks() -> dict[str, MaskNetwork]:
    """Give the shipped networks: `first`, `second`, `third`, and `keys` (piano and guitar within other)."""
    with as_file(files(__package__) / "weights.npz") as path, np.load(path) as arrays:
        return {name: read_network(arrays, name) for name in ("first", "second", "third", "keys")}


def read_network(arrays: Mapping[str, NDArray[np.floating]], name: str) -> MaskNetwork:
    """Give the network whose layers are stored as `<name>_w0`, `<name>_b0`, `<name>_w1` and so on."""
    layers: list[Layer] = []
    while f"{name}_w{len(layers)}" in arrays:
        weight, bias = (arrays[f"{name}_{kind}{len(layers)}"] for kind in "wb")
        layers.append((weight.astype(np.float32), bias.astype(np.float32)))
    return MaskNetwork(tuple(layers))


class MaskContext:
    """What `masks` (4, frames, bands) say around each point: power-weighted shares, 24 of them.

    Per stem: the mask itself, its share over 0.5 s of the band, over 9 bands of the frame, over the whole frame,
    over the whole chunk of the band, and over the nine frames most like this one. They are made for some frames at
    a time: all of them at once would be the largest thing in memory.
    """

    def __init__(self, features: ChunkFeatures, masks: Floats) -> None:
        """Take masks, which must not change while their context is asked for."""
        self._masks, self._similar = masks, features.similar
        self._whole = _Surroundings(features.magnitude)
        self._parts = [_Surroundings(features.magnitude * mask) for mask in masks]

    def rows(self, frames: slice) -> Floats:
        """Give the context (24, n, bands) of some frames."""
        whole = self._whole.views(frames, self._similar)
        count, bands = self._masks[0, frames].shape
        maps = np.empty((len(self._masks), 1 + len(whole), count, bands), np.float32)
        for views, mask, part in zip(maps, self._masks, self._parts, strict=True):
            views[0] = mask[frames]
            for view, some, total in zip(views[1:], part.views(frames, self._similar), whole, strict=True):
                view[:] = np.clip(some / (total + np.float32(1e-6)), 0, 1)
        return maps.reshape(-1, count, bands)


@dataclass(slots=True, eq=False)
class _Surroundings:
    """Values (frames, bands) and what lies around each of them."""

    values: Floats
    over_time: Floats = field(init=False)
    whole_chunk: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.over_time = uniform_filter1d(self.values, 21, axis=0)
        self.whole_chunk = self.values.sum(axis=0, keepdims=True)

    def views(self, frames: slice, similar: NDArray[np.intp]) -> tuple[Floats, ...]:
        """Give what lies around some frames, each (n or 1, bands or 1)."""
        values, rows = self.values[frames], similar[frames]
        alike = self.values[rows[:, 0]]
        for column in range(1, rows.shape[1]):
            alike += self.values[rows[:, column]]
        return (
            self.over_time[frames],
            uniform_filter1d(values, 9, axis=1),
            values.sum(axis=1, keepdims=True),
            self.whole_chunk,
            alike,
        )
