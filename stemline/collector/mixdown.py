"""Stems added up again: a stem the provider does not sell, what tempo and key are measured in, and a check.

Whole files are mixed down to make a stem. For the rest the first minute and a half in one channel does: tempo and key
are measured in it, and it is compared with the source where this worker has that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemline.audio import BlockReader, Samples, SourceBlocks, decode_blocks, open_writer
from stemline.errors import AudioRejected
from stemline.records import MIX, ReadyTrack
from stemline.verify import StemMeasures

PARTS: dict[str, tuple[str, ...]] = {"instrumental": ("drums", "bass", "other")}
"""What each derivable stem is the sum of."""

_EXCERPT_BLOCKS = 90
"""Blocks of about a second, from the beginning: enough to tell, and a bound on memory."""
_ALIGNED_SECONDS = 20
_MOST_LAG_SECONDS = 0.1  # an mp3 encoder delays by 25 to 50 ms
_SILENT_POWER = 1e-6
_LEAST_RESIDUAL_DB = -10.0
"""Stems from mp3 leave -18 dB of the source at most; when one of four is silent or strange it is above -6."""


def parts_of(stem: str, offered: Collection[str]) -> tuple[str, ...]:
    """Give the stems that make up one that is not offered; empty when they are not offered either."""
    parts = PARTS.get(stem, ())
    return parts if set(parts) <= set(offered) else ()


def mix_down(parts: Sequence[Path], path: Path, audio_format: str) -> None:
    """Write the sum of files of one sample rate; a part that ends early counts as silent from there.

    Raises:
        AudioRejected: a part cannot be decoded.
    """
    with ExitStack() as files:
        first, *others = [files.enter_context(SourceBlocks(part)) for part in parts]
        readers = [BlockReader(other, other.channels) for other in others]
        writer = files.enter_context(open_writer(path, first.sample_rate, first.channels, audio_format))
        for block in first:
            mixed = block.copy()
            for reader in readers:
                samples = reader.take(len(mixed))
                mixed[: len(samples)] += samples
            writer.write(mixed)


@dataclass(frozen=True, slots=True)
class MonoAudio:
    """Sound in one channel: float32, (frames,)."""

    samples: NDArray[np.float32]
    sample_rate: int


@dataclass(frozen=True, slots=True)
class TrackSound:
    """The beginning of a track in one channel."""

    stems: MonoAudio
    """The sum of its stems."""
    mix: MonoAudio | None = None
    """The whole that the provider gives beside all of them."""


class MonoExcerpt:
    """The first blocks of a sound in one channel, gathered while it is decoded."""

    def __init__(self) -> None:
        """Begin empty."""
        self._blocks: list[NDArray[np.float32]] = []

    def add(self, block: Samples) -> None:
        """Take in samples of shape (n, channels)."""
        if len(self._blocks) < _EXCERPT_BLOCKS:
            self._blocks.append(block.mean(axis=1))

    def audio(self, sample_rate: int) -> MonoAudio:
        """Give what was gathered."""
        return MonoAudio(np.concatenate(self._blocks), sample_rate)


def add_mono(total: MonoAudio | None, stem: MonoAudio) -> MonoAudio:
    """Give the sum of two, as long as the shorter; a stem of another sample rate is left out."""
    if total is None:
        return stem
    if stem.sample_rate != total.sample_rate:
        return total
    shared = min(len(total.samples), len(stem.samples))
    return MonoAudio(total.samples[:shared] + stem.samples[:shared], total.sample_rate)


def sum_stems(paths: Iterable[Path]) -> MonoAudio:
    """Give the beginning of the sum of files as mono.

    Raises:
        AudioRejected: one cannot be decoded.
    """
    total: MonoAudio | None = None
    for path in paths:
        total = add_mono(total, read_excerpt(path))
    return MonoAudio(np.zeros(0, np.float32), 1) if total is None else total


def local_source(ready: ReadyTrack) -> Path | None:
    """Give the track's source where this worker has it as a file and the stems should add up to it."""
    path = Path(ready.attempt.track.location)
    has_all_stems = len(ready.attempt.recipe.stem_names) > 1
    return path if has_all_stems and path.is_absolute() and path.is_file() else None


def comparable_source(ready: ReadyTrack, fetched: Path | None) -> Path | None:
    """Give what the stems should add up to: the source as a file of this machine, or as it was fetched."""
    has_all_stems = len(ready.attempt.recipe.stem_names) > 1
    return local_source(ready) or (fetched if has_all_stems else None)


def compare_with_source(
    measures: dict[str, StemMeasures], source: Path | None, sound: TrackSound
) -> dict[str, StemMeasures]:
    """Give the stems' measures with what their sum leaves of the source, and the warning `residual` where that is much.

    Where the source is not here, or cannot be read, the provider's mix takes its place. A warning only: nobody promises
    that separated stems add up, and it does not say which one is wrong.
    """
    residual_of, residual = "source", None
    if source is not None:
        with suppress(AudioRejected):  # what the provider could read and we cannot is no fault of the stems
            residual = residual_db(read_excerpt(source), sound.stems)
    if residual is None and sound.mix is not None:
        residual_of, residual = "mix", residual_db(sound.mix, sound.stems)
    if residual is None:
        return measures
    told = {
        stem: replace(measured, residual_db=round(residual, 2), residual_of=residual_of)
        for stem, measured in measures.items()
        if stem != MIX
    }
    if residual >= _LEAST_RESIDUAL_DB:
        told = {stem: measured.with_warning("residual") for stem, measured in told.items()}
    return {**measures, **told}


def residual_db(original: MonoAudio, mixed: MonoAudio) -> float | None:
    """Give how much of a sound the sum of its stems leaves, in dB of it, after one common gain.

    Measured: 16-bit stems -79 dB, mp3 at 128 kbit/s -18, one stem silent -5, a stem of another song -4.
    None where it cannot be measured: another sample rate, a silent beginning, or float samples past all measure.
    """
    if original.sample_rate != mixed.sample_rate:
        return None
    wanted, given = _aligned(original.samples, mixed.samples, mixed.sample_rate)
    with np.errstate(over="ignore", invalid="ignore"):
        power = float(wanted @ wanted)
        if power < _SILENT_POWER * max(len(wanted), 1):
            return None
        gain = float(wanted @ given) / max(float(given @ given), 1e-12)
        left = wanted - np.float32(gain) * given
        residual = float(10 * np.log10(max(float(left @ left), 1e-12) / power))
    return residual if np.isfinite(residual) else None


def read_excerpt(path: Path) -> MonoAudio:
    """Give the beginning of a file in one channel.

    Raises:
        AudioRejected: it cannot be decoded.
    """
    excerpt = MonoExcerpt()
    with decode_blocks(path) as stream:
        for block in islice(stream, _EXCERPT_BLOCKS):
            excerpt.add(block)
    return excerpt.audio(stream.sample_rate)


def _aligned(
    one: NDArray[np.float32], other: NDArray[np.float32], sample_rate: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the parts of both that sound at the same time: an encoder's delay is no difference."""
    start = min(len(one), len(other), _ALIGNED_SECONDS * sample_rate)
    # Imported here: scipy.signal takes over a second to load, and only local sources are compared.
    from scipy.signal import correlate  # noqa: PLC0415

    likeness = correlate(one[:start], other[:start], mode="full", method="fft")
    most = min(int(_MOST_LAG_SECONDS * sample_rate), max(start - 1, 0))
    near = likeness[start - 1 - most : start + most]
    lag = int(np.argmax(near)) - most if len(near) else 0
    one, other = one[max(lag, 0) :], other[max(-lag, 0) :]
    shared = min(len(one), len(other))
    return one[:shared], other[:shared]
