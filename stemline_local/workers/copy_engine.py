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
    stems = STEMS[stems_choice]
    first, *others = [folder / f"{stem}.{audio_format}" for stem in stems]
    _write_scaled(source, first, audio_format, np.float32(1 / len(stems)))
    for other in others:
        shutil.copyfile(first, other)
    return CopiedStems(dict(zip(stems, [first, *others], strict=True)))


def write_mix(source: Path, folder: Path, name: str, audio_format: str) -> Path:
    """Write the source whole in another format, and give the file."""
    path = folder / f"{name}.{audio_format}"
    _write_scaled(source, path, audio_format, np.float32(1))
    return path


def _write_scaled(source: Path, path: Path, audio_format: str, gain: np.float32) -> None:
    """Write the first two channels of a source, block by block."""
    with (
        audio.SourceBlocks(source) as stream,
        audio.open_writer(path, stream.sample_rate, min(stream.channels, 2), audio_format) as writer,
    ):
        for block in stream:
            writer.write(gain * block[:, :2])
