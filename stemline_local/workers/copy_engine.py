"""The copy engine, for benchmarks and tests of thousands of jobs: `engine: copy` separates nothing.

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
class CopiedStems:
    """What the copy engine gives in place of separated stems."""

    stems: dict[str, Path]
    bpm: float = BPM
    key: str = KEY


def copy_stems(source: Path, folder: Path, stems_choice: str, audio_format: str) -> CopiedStems:
    """Write the stems of a choice (vocals | instrumental | both | four | six) without separating.

    Raises:
        AudioRejected: the source does not decode.
    """
    sound = audio.decode(source)
    stems = STEMS[stems_choice]
    share = sound.samples[:, :2] * np.float32(1 / len(stems))
    first, *others = [folder / f"{stem}.{audio_format}" for stem in stems]
    audio.encode(first, share, sound.sample_rate, audio_format)
    for other in others:
        shutil.copyfile(first, other)
    return CopiedStems(dict(zip(stems, [first, *others], strict=True)))


def write_mix(source: Path, folder: Path, name: str, audio_format: str) -> Path:
    """Write the source whole in another format, and give the file."""
    sound = audio.decode(source)
    path = folder / f"{name}.{audio_format}"
    audio.encode(path, sound.samples[:, :2], sound.sample_rate, audio_format)
    return path
