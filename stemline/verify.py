"""Whether a downloaded stem is the sound it should be, and its measures.

Every file is decoded to its end, because no header can be believed: a truncated flac still announces its full
length, and a truncated mp3, ogg or wav decodes without an error and is merely short.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import BinaryIO

from stemline.activity import StemActivity
from stemline.audio import AudioBlocks, FlacChecksum, Loudness, PacketIndex, Samples
from stemline.errors import AudioRejected
from stemline.records import LOSSLESS, LOSSY_EXTRA_SECONDS, ROUNDED_SECONDS, Code, StemFile
from stemline.storage import file_sha256

_SILENT_DBFS = -60.0
_CLIPPED_SHARE = 1e-3
_CONTAINERS = frozenset({"wav", "flac", "ogg"})


@dataclass(frozen=True, slots=True)
class StemExpectation:
    """What a stem should be."""

    format: str
    duration_seconds: float | None = None
    """The source's length as we know it; None when we do not."""
    tolerance_seconds: float = ROUNDED_SECONDS
    provider_seconds: float | None = None
    """The source's length as the provider found it, which is right where a manifest is wrong."""


@dataclass(frozen=True, slots=True)
class StemMeasures:
    """What a stem is, as measured in its samples."""

    format: str
    sample_rate: int
    channels: int
    frames: int
    duration_seconds: float
    size_bytes: int
    sha256: str
    peak_dbfs: float | None
    """None for digital silence."""
    rms_dbfs: float | None
    verification: str
    """`ok`, or warnings joined by `,`.

    `silent`, `clipped`, `format`: sound, but not in the format asked; `length`: not the length we know the source
    by, though the provider found it so; `residual`: the stems do not add up to their source; `derived`: mixed down
    here from the stems the provider gave; `accepted`: it did not verify, and a person accepted it as it is.
    """
    silent_share: float | None
    """The share of its seconds below -60 dBFS; None where it has none."""
    clipped_share: float
    """The share of its samples at full scale."""
    activity: StemActivity
    residual_db: float | None = None
    """What the sum of all stems leaves of their source, in dB of it, where it was compared."""
    residual_of: str | None = None
    """What the sum was compared with: `source` or `mix`."""

    def with_warning(self, word: str) -> StemMeasures:
        """Give the same with one more warning."""
        words = "" if self.verification == "ok" else f"{self.verification},"
        return replace(self, verification=f"{words}{word}")

    @property
    def is_silent(self) -> bool:
        """Whether the whole stem is silent, which a single one may well be."""
        return "silent" in self.verification.split(",")

    def stored(self, stem: str, path: str) -> StemFile:
        """Give the stem as it lies in the dataset under a path."""
        facts = {field.name: getattr(self, field.name) for field in fields(self)}
        return StemFile(stem=stem, path=path, **{**facts, "activity": self.activity.pack()})


@dataclass(frozen=True, slots=True)
class DecodedStem:
    """A stem decoded to its end."""

    format: str
    sample_rate: int
    channels: int
    loudness: Loudness
    activity: StemActivity
    is_broken: bool
    """Whether its own checksum does not fit."""

    @property
    def seconds(self) -> float:
        """The length that was really there."""
        return self.loudness.frames / self.sample_rate

    @property
    def silent_share(self) -> float | None:
        """The share of its seconds below -60 dBFS."""
        return self.activity.share_below(_SILENT_DBFS)

    @property
    def clipped_share(self) -> float:
        """The share of its samples at full scale."""
        return round(self.loudness.clipped_share, 6)


def verify_stem(path: Path, expected: StemExpectation) -> StemMeasures:
    """Decode a stem to its end in bounded memory and give its measures.

    Raises:
        AudioRejected: UNDECODABLE, TRUNCATED (ends too early) or WRONG_DURATION (too long).
    """
    return check_stem(path.name, decode_stem(path), path.stat().st_size, file_sha256(path), expected)


def decode_stem(
    source: Path | BinaryIO, *on_block: Callable[[Samples], None], may_skip: bool = False
) -> DecodedStem:
    """Decode a stem to its end, block by block; each block is given to every `on_block` too.

    `may_skip` goes on behind what is no frame of an mp3, as files of a catalogue have it.

    Raises:
        AudioRejected: UNDECODABLE.
    """
    index = PacketIndex()
    try:
        with AudioBlocks(source, index.add, may_skip=may_skip) as stream:
            loudness, checksum = Loudness(stream.sample_rate), FlacChecksum.read(stream)
            for block in stream:
                for take in (loudness.add, checksum.add, *on_block):
                    take(block)
    except AudioRejected as error:
        raise AudioRejected(error.message, code=Code.UNDECODABLE) from error
    return DecodedStem(
        _format(stream),
        stream.sample_rate,
        stream.channels,
        loudness,
        StemActivity(loudness.rms_dbfs_by_second(), index.offsets(stream.container, stream.codec)),
        is_broken=checksum.is_broken(loudness.frames),
    )


def check_stem(
    name: str, stem: DecodedStem, size_bytes: int, sha256: str, expected: StemExpectation
) -> StemMeasures:
    """Give the measures of a decoded stem that is what it should be.

    Raises:
        AudioRejected: as `verify_stem` does.
    """
    if stem.loudness.has_nan:
        raise AudioRejected(f"{name} holds samples that are no numbers.", code=Code.UNDECODABLE)
    if stem.is_broken:
        raise AudioRejected(f"{name} is damaged: its own checksum does not fit.", code=Code.UNDECODABLE)
    _check_length(name, stem.seconds, stem.format, expected)
    return measure_stem(stem, size_bytes, sha256, expected)


def measure_stem(stem: DecodedStem, size_bytes: int, sha256: str, expected: StemExpectation) -> StemMeasures:
    """Give the measures of a decoded stem, whether or not it is what it should be."""
    return StemMeasures(
        format=stem.format,
        sample_rate=stem.sample_rate,
        channels=stem.channels,
        frames=stem.loudness.frames,
        duration_seconds=stem.seconds,
        size_bytes=size_bytes,
        sha256=sha256,
        peak_dbfs=_dbfs(stem.loudness.peak),
        rms_dbfs=_dbfs(stem.loudness.rms),
        verification=",".join(_warnings(stem, expected)) or "ok",
        silent_share=stem.silent_share,
        clipped_share=stem.clipped_share,
        activity=stem.activity,
    )


def check_together(stems: Sequence[tuple[str, StemMeasures]]) -> None:
    """Check the stems of one track, as (name, measures), against each other.

    Raises:
        AudioRejected: ALL_SILENT, or as `check_lengths` does.
    """
    if stems and all(measured.is_silent for _, measured in stems):
        raise AudioRejected("Every stem is silent.", code=Code.ALL_SILENT)
    check_lengths(stems)


def check_lengths(stems: Sequence[tuple[str, StemMeasures]]) -> None:
    """Check that all stems of one track are of one length.

    A source's length is known to about a second; its stems must agree to a tenth of one.

    Raises:
        AudioRejected: TRUNCATED, naming every stem that ends before the others, the shortest first.
    """
    longest = max((measured.duration_seconds for _, measured in stems), default=0.0)
    short = {
        name: measured.duration_seconds
        for name, measured in stems
        if longest - measured.duration_seconds > LOSSY_EXTRA_SECONDS
    }
    if short:
        sentences = [
            f"{name} lasts {seconds:.2f} s where another stem lasts {longest:.2f} s."
            for name, seconds in sorted(short.items(), key=lambda item: item[1])
        ]
        raise AudioRejected(" ".join(sentences), code=Code.TRUNCATED, stems=short)


def _warnings(stem: DecodedStem, expected: StemExpectation) -> list[str]:
    """Give what is odd about a stem that is still a stem, in words."""
    rms = _dbfs(stem.loudness.rms)
    signs = {
        "silent": rms is None or rms < _SILENT_DBFS,
        "clipped": stem.loudness.clipped_share > _CLIPPED_SHARE,
        "format": stem.format != expected.format,
        "length": _is_off(stem.seconds, expected.duration_seconds, stem.format, expected),
    }
    return [word for word, is_so in signs.items() if is_so]


def _check_length(name: str, seconds: float, audio_format: str, expected: StemExpectation) -> None:
    """Refuse a length that is neither the one we know the source by nor the one the provider found."""
    lengths = [
        length for length in (expected.duration_seconds, expected.provider_seconds) if length is not None
    ]
    if not all(_is_off(seconds, length, audio_format, expected) for length in lengths) or not lengths:
        return
    nearest = min(lengths, key=lambda length: abs(length - seconds))
    raise AudioRejected(
        f"{name} lasts {seconds:.2f} s and its source {nearest:.2f} s.",
        code=Code.TRUNCATED if seconds < nearest else Code.WRONG_DURATION,
    )


def _is_off(seconds: float, length: float | None, audio_format: str, expected: StemExpectation) -> bool:
    """Tell whether a stem is not as long as its source, for all that rounding and a lossy encoder may add."""
    if length is None:
        return False
    extra = 0.0 if audio_format in LOSSLESS else LOSSY_EXTRA_SECONDS
    return not -expected.tolerance_seconds <= seconds - length <= expected.tolerance_seconds + extra


def _format(stream: AudioBlocks) -> str:
    """Give the file's format from its container or else its codec, whatever its name says."""
    if stream.container in _CONTAINERS:
        return stream.container
    return "mp3" if stream.codec.startswith("mp3") else stream.codec


def _dbfs(level: float) -> float | None:
    """Give a level in dB below full scale, to a hundredth; None for digital silence."""
    return round(20 * math.log10(level), 2) if level > 0 else None
