"""Sound into files, in blocks: wav, flac and ogg, written by libsndfile, and mp3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from stemline.audio.mp3_file import MOST_CHANNELS, MP3_RATES, Mp3File, created_mp3
from stemline.audio.resampling import Resampler
from stemline.errors import AudioRejected, StorageError
from stemline.records import Code

FORMATS = ("wav", "flac", "mp3", "ogg")
_SUBTYPES = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS"}
Quantiser: TypeAlias = Callable[[NDArray[np.floating]], NDArray[Any]]
_SYSTEM_ERROR = 2  # SF_ERR_SYSTEM


def encode(
    path: str | Path | BinaryIO,
    samples: NDArray[np.floating],
    sample_rate: int,
    audio_format: str,
    *,
    bits: Literal[16, 24] = 16,
) -> None:
    """Write samples of shape (frames, channels) as a whole file, as `AudioWriter` writes them.

    Raises:
        AudioRejected, StorageError: as `open_writer` does.
    """
    with open_writer(path, sample_rate, samples.shape[1], audio_format, bits=bits) as writer:
        writer.write(samples)


class AudioWriter:
    """A sound file that is being written; how its sound is cut into blocks does not show in it."""

    def __init__(
        self, file: soundfile.SoundFile | Mp3File, resampler: Resampler, quantise: Quantiser
    ) -> None:
        """Take the open file, what fits samples to its rate, and what makes them what its encoder takes."""
        self._file, self._resampler, self._quantise = file, resampler, quantise
        self._waiting = np.zeros((0, file.channels), np.float32)

    def write(self, samples: NDArray[np.floating]) -> None:
        """Write samples of shape (n, channels)."""
        for start in range(0, len(samples), self._file.samplerate):
            block = samples[start : start + self._file.samplerate]
            numbers = np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0)
            self._write_seconds(self._resampler.add(numbers))

    def end(self) -> None:
        """Write what is held back; nothing follows it."""
        if len(rest := self._resampler.end()):
            self._write_seconds(rest)
        self._file.write(self._quantise(self._waiting))

    def _write_seconds(self, samples: NDArray[np.floating]) -> None:
        """Write whole seconds: Vorbis sounds a little otherwise when it is cut otherwise.

        Given a minute at once, libsndfile's encoder of it overruns the stack.
        """
        second, waiting = self._file.samplerate, np.concatenate([self._waiting, samples])
        whole = len(waiting) // second * second
        for start in range(0, whole, second):
            self._file.write(self._quantise(waiting[start : start + second]))
        self._waiting = waiting[whole:]


@contextmanager
def open_writer(
    path: str | Path | BinaryIO,
    sample_rate: int,
    channels: int,
    audio_format: str,
    *,
    bits: Literal[16, 24] = 16,
) -> Iterator[AudioWriter]:
    """Give what writes a file: `wav` or `flac` of so many bits, `mp3` or `ogg` (Vorbis). It is whole afterwards.

    What exceeds full scale is clipped and NaN becomes silence. An mp3 knows nine sample rates: another one is
    resampled to the next higher, at most 48 kHz.

    Raises:
        AudioRejected: the format is none of the four, or cannot hold so many channels or such a rate.
        StorageError: the file cannot be created or written.
    """
    if audio_format not in FORMATS:
        raise _unwritable(path, audio_format, f"the formats are {', '.join(FORMATS)}")
    rate = _mp3_rate(sample_rate) if audio_format == "mp3" else sample_rate
    created = (
        _created_mp3(path, channels, rate)
        if audio_format == "mp3"
        else _created(path, channels, rate, audio_format, bits)
    )
    with created as file:
        writer = AudioWriter(file, Resampler(rate, sample_rate), _quantiser(audio_format, bits))
        yield writer
        writer.end()


@contextmanager
def _created(
    path: str | Path | BinaryIO, channels: int, sample_rate: int, audio_format: str, bits: int
) -> Iterator[soundfile.SoundFile]:
    """Give the file that libsndfile writes; its errors become ours."""
    subtype = _SUBTYPES[audio_format]
    subtype = "PCM_24" if subtype == "PCM_16" and bits == 24 else subtype
    try:
        file = soundfile.SoundFile(
            path,
            mode="w",
            samplerate=sample_rate,
            channels=channels,
            format=audio_format.upper(),
            subtype=subtype,
        )
    except soundfile.LibsndfileError as error:
        if error.code == _SYSTEM_ERROR:
            raise _uncreated(path) from error
        raise _unwritable(path, audio_format, f"not with {channels} channels at {sample_rate} Hz") from error
    try:
        with file:
            yield file
    except soundfile.LibsndfileError as error:
        raise _unwritten(path, error) from error


@contextmanager
def _created_mp3(path: str | Path | BinaryIO, channels: int, sample_rate: int) -> Iterator[Mp3File]:
    """Give the mp3 to write; the system's errors become ours."""
    if channels > MOST_CHANNELS:
        raise _unwritable(path, "mp3", f"not with {channels} channels at {sample_rate} Hz")
    try:
        with created_mp3(path, sample_rate, channels) as file:
            yield file
    except FileNotFoundError as error:
        raise _uncreated(path) from error
    except OSError as error:
        raise _unwritten(path, error) from error


def _quantiser(audio_format: str, bits: int) -> Quantiser:
    """Give what makes samples what an encoder takes; decoded sound of so many bits comes out bit for bit."""
    if audio_format not in {"wav", "flac"}:
        return lambda samples: np.asarray(np.clip(samples, -1.0, 1.0), np.float32)
    full_scale = 2.0 ** (bits - 1)

    def quantised(samples: NDArray[np.floating]) -> NDArray[Any]:
        whole: NDArray[np.floating] = np.clip(np.rint(samples * full_scale), -full_scale, full_scale - 1)
        # libsndfile keeps the upper 24 of 32 bits.
        return np.asarray(whole, np.int16) if bits == 16 else np.asarray(whole, np.int32) << 8

    return quantised


def _mp3_rate(sample_rate: int) -> int:
    """Give the rate that an mp3 takes for a rate."""
    return min((known for known in MP3_RATES if known >= sample_rate), default=MP3_RATES[-1])


def _uncreated(path: str | Path | BinaryIO) -> StorageError:
    return StorageError(f"{path} cannot be created.", fix="Check that its folder is there.")


def _unwritten(path: str | Path | BinaryIO, error: Exception) -> StorageError:
    return StorageError(f"{path} cannot be written ({error}).", fix="Is the disk full?")


def _unwritable(path: str | Path | BinaryIO, audio_format: str, why: str) -> AudioRejected:
    return AudioRejected(f"{path} cannot be written as {audio_format}: {why}.", code=Code.UNSUPPORTED_FORMAT)
