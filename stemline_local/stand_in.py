"""A stand-in for an engine, for benchmarks and tests of thousands of jobs: `engine: copy` separates nothing.

Each stem is the source divided by the number of stems, so that they still add up to it; tempo and key are made up.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stemline import audio
from stemline.records import STEMS

ENGINE = "copy"
BPM = 120.0
KEY = "C"


@dataclass(frozen=True, slots=True)
class Copies:
    """What stands in for a separation."""

    stems: dict[str, Path]
    bpm: float = BPM
    key: str = KEY


def copy_file(source: Path, folder: Path, order: str, audio_format: str) -> Copies:
    """Write the stems of an order (vocals | instrumental | both | four | six) without separating.

    Raises:
        AudioRejected: the source does not decode.
    """
    sound = audio.decode(source)
    stems = STEMS[order]
    share = sound.samples[:, :2] * np.float32(1 / len(stems))
    first, *others = [folder / f"{stem}.{audio_format}" for stem in stems]
    audio.encode(first, share, sound.sample_rate, audio_format)
    for other in others:
        shutil.copyfile(first, other)
    return Copies(dict(zip(stems, [first, *others], strict=True)))


def write_mix(source: Path, folder: Path, name: str, audio_format: str) -> Path:
    """Write the source whole in another format, and give the file."""
    sound = audio.decode(source)
    path = folder / f"{name}.{audio_format}"
    audio.encode(path, sound.samples[:, :2], sound.sample_rate, audio_format)
    return path
