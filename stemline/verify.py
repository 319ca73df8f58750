"""Whether a downloaded stem is the sound it should be, and its measures.

Every file is decoded to its end, because no header can be believed: a truncated flac still announces its full
length, and a truncated mp3, ogg or wav decodes without an error and is merely short.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stemline.audio import Blocks, Samples, blocks
from stemline.errors import AudioRejected
from stemline.records import Code

LOSSY_EXTRA_SECONDS = 0.1
"""How much longer an mp3 or ogg may be: encoders add up to two frames of delay and padding."""

_SILENT_DBFS = -60.0
_FULL_SCALE = 0.9999  # a 16-bit sample at its limit
_CLIPPED_SHARE = 1e-3
_LOSSLESS = frozenset({"wav", "flac"})
_HASH_BYTES = 1 << 20
_STREAMINFO_BYTES = 34
_CONTAINERS = frozenset({"wav", "flac", "ogg"})
_CHECKED_BITS = frozenset({16, 24})  # float32 holds both exactly


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a stem should be."""

    format: str
    duration_seconds: float | None = None
    """The source's length as we know it; None when we do not."""
    tolerance_seconds: float = 1.0
    """Manifests and providers round lengths to whole seconds."""
    provider_seconds: float | None = None
    """The source's length as the provider found it, which is right where a manifest is wrong."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a stem is."""

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
    here from the stems the provider gave.
    """

    def with_warning(self, word: str) -> Measured:
        """Give the same with one more warning."""
        words = "" if self.verification == "ok" else f"{self.verification},"
        return replace(self, verification=f"{words}{word}")

    @property
    def is_silent(self) -> bool:
        """Whether nothing can be heard, which a single stem may well be."""
        return "silent" in self.verification.split(",")


@dataclass(frozen=True, slots=True)
class Heard:
    """What the sound of a stem is, decoded to its end."""

    format: str
    sample_rate: int
    channels: int
    level: Level
    is_broken: bool
    """Whether its own checksum does not fit."""

    @property
    def seconds(self) -> float:
        """The length that was really there."""
        return self.level.frames / self.sample_rate


def verify_stem(path: Path, expected: Expectation) -> Measured:
    """Decode a stem to its end in bounded memory and give its measures.

    Raises:
        AudioRejected: UNDECODABLE, TRUNCATED (ends too early) or WRONG_DURATION (too long).
    """
    return judge(path.name, listen(path), path.stat().st_size, file_sha256(path), expected)


def listen(source: Path | BinaryIO, *ears: Callable[[Samples], None]) -> Heard:
    """Decode a stem to its end, block by block, each of which goes to all `ears` too.

    Raises:
        AudioRejected: UNDECODABLE.
    """
    level = Level()
    try:
        with blocks(source) as stream:
            seal = _FlacSeal.read(stream)
            for block in stream:
                for hear in (level.add, seal.add, *ears):
                    hear(block)
    except AudioRejected as error:
        raise AudioRejected(error.message, code=Code.UNDECODABLE) from error
    return Heard(_format(stream), stream.sample_rate, stream.channels, level, seal.is_broken(level.frames))


def judge(name: str, heard: Heard, size_bytes: int, sha256: str, expected: Expectation) -> Measured:
    """Give the measures of a stem that was heard to its end.

    Raises:
        AudioRejected: as `verify_stem` does.
    """
    if heard.level.has_nan:
        raise AudioRejected(f"{name} holds samples that are no numbers.", code=Code.UNDECODABLE)
    if heard.is_broken:
        raise AudioRejected(f"{name} is damaged: its own checksum does not fit.", code=Code.UNDECODABLE)
    _check_length(name, heard.seconds, heard.format, expected)
    return Measured(
        format=heard.format,
        sample_rate=heard.sample_rate,
        channels=heard.channels,
        frames=heard.level.frames,
        duration_seconds=heard.seconds,
        size_bytes=size_bytes,
        sha256=sha256,
        peak_dbfs=_dbfs(heard.level.peak),
        rms_dbfs=_dbfs(heard.level.rms),
        verification=",".join(_warnings(heard, expected)) or "ok",
    )


def check_together(stems: Sequence[tuple[str, Measured]]) -> None:
    """Check the stems of one track, as (name, measures), against each other.

    A source's length is known to about a second; its stems must agree to a tenth of one.

    Raises:
        AudioRejected: ALL_SILENT, or TRUNCATED for a stem that ends before the others.
    """
    if stems and all(measured.is_silent for _, measured in stems):
        raise AudioRejected("Every stem is silent.", code=Code.ALL_SILENT)
    longest = max((measured.duration_seconds for _, measured in stems), default=0.0)
    for name, measured in stems:
        if longest - measured.duration_seconds > LOSSY_EXTRA_SECONDS:
            raise AudioRejected(
                f"{name} lasts {measured.duration_seconds:.2f} s where another stem lasts {longest:.2f} s.",
                code=Code.TRUNCATED,
            )


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class Level:
    """Loudness over all blocks seen so far."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.frames = 0
        self.peak = 0.0
        self.has_nan = False
        self._samples = 0
        self._squares = 0.0
        self._full = 0

    def add(self, block: Samples) -> None:
        """Take in float32 samples of shape (n, channels)."""
        loudness = np.abs(block)
        peak = float(loudness.max(initial=0.0))
        self.has_nan = self.has_nan or not math.isfinite(peak)
        self.peak = max(self.peak, peak)
        self.frames += len(block)
        self._samples += block.size
        self._squares += float(np.sum(np.square(block, dtype=np.float64)))
        self._full += int(np.count_nonzero(loudness >= _FULL_SCALE))

    @property
    def rms(self) -> float:
        """Root mean square; full scale is 1."""
        return math.sqrt(self._squares / self._samples) if self._samples else 0.0

    @property
    def clipped_share(self) -> float:
        """The share of samples at full scale."""
        return self._full / self._samples if self._samples else 0.0


class _FlacSeal:
    """The length and MD5 that a flac carries of its own samples, held against what was decoded.

    The decoder leaves out damaged frames and says nothing. Layout of STREAMINFO: RFC 9639, section 8.2.
    """

    def __init__(self, bits: int = 0, frames: int = 0, md5: bytes = b"") -> None:
        """Take what the header says; without it nothing is held against anything."""
        self._bits, self._frames, self._md5 = bits, frames, md5
        self._is_checked = bits in _CHECKED_BITS and any(md5)
        self._digest = hashlib.md5(usedforsecurity=False)

    @classmethod
    def read(cls, stream: Blocks) -> _FlacSeal:
        """Give the seal of a file; that of one which has none is never broken."""
        if stream.container != "flac" or len(stream.header) < _STREAMINFO_BYTES:
            return cls()
        packed = int.from_bytes(stream.header[10:18])  # rate 20 bits, channels 3, bits a sample 5, samples 36
        return cls((packed >> 36 & 0x1F) + 1, packed & 0xF_FFFF_FFFF, stream.header[18:34])

    def add(self, block: Samples) -> None:
        """Take in decoded samples, as the integers they were."""
        if not self._is_checked:
            return
        whole = (block * np.float32(2.0 ** (self._bits - 1))).astype("<i4")
        if self._bits == 16:
            self._digest.update(whole.astype("<i2").tobytes())
        else:
            self._digest.update(whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())

    def is_broken(self, frames: int) -> bool:
        """Tell whether the decoded samples are not those that were encoded."""
        return 0 < self._frames != frames or (self._is_checked and self._digest.digest() != self._md5)


def _warnings(heard: Heard, expected: Expectation) -> list[str]:
    """Give what is odd about a stem that is still a stem, in words."""
    rms = _dbfs(heard.level.rms)
    signs = {
        "silent": rms is None or rms < _SILENT_DBFS,
        "clipped": heard.level.clipped_share > _CLIPPED_SHARE,
        "format": heard.format != expected.format,
        "length": _is_off(heard.seconds, expected.duration_seconds, heard.format, expected),
    }
    return [word for word, is_so in signs.items() if is_so]


def _check_length(name: str, seconds: float, found: str, expected: Expectation) -> None:
    """Refuse a length that is neither the one we know the source by nor the one the provider found."""
    known = [
        length for length in (expected.duration_seconds, expected.provider_seconds) if length is not None
    ]
    if not all(_is_off(seconds, length, found, expected) for length in known) or not known:
        return
    nearest = min(known, key=lambda length: abs(length - seconds))
    raise AudioRejected(
        f"{name} lasts {seconds:.2f} s and its source {nearest:.2f} s.",
        code=Code.TRUNCATED if seconds < nearest else Code.WRONG_DURATION,
    )


def _is_off(seconds: float, known: float | None, found: str, expected: Expectation) -> bool:
    """Tell whether a length is not the known one, for all that rounding and a lossy encoder may add."""
    if known is None:
        return False
    extra = 0.0 if found in _LOSSLESS else LOSSY_EXTRA_SECONDS
    return not -expected.tolerance_seconds <= seconds - known <= expected.tolerance_seconds + extra


def _format(stream: Blocks) -> str:
    """Give the file's format from its container or else its codec, whatever its name says."""
    if stream.container in _CONTAINERS:
        return stream.container
    return "mp3" if stream.codec.startswith("mp3") else stream.codec


def _dbfs(level: float) -> float | None:
    """Give a level in dB below full scale, to a hundredth; None for digital silence."""
    return round(20 * math.log10(level), 2) if level > 0 else None
