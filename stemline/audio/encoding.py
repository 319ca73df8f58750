"""Sound into files: wav, flac, mp3 and ogg, written by libsndfile in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from stemline.audio.resampling import Samples, resampled
from stemline.errors import AudioRejected, StorageError
from stemline.records import Code

FORMATS = ("wav", "flac", "mp3", "ogg")
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # MPEG 1, 2 and 2.5 layer III
_ENCODERS = {  # libsndfile's subtype and compression level; 0.0 is the best mp3: variable, about 245 kbit/s
    "wav": ("PCM_16", None),
    "flac": ("PCM_16", None),
    "mp3": ("MPEG_LAYER_III", 0.0),
    "ogg": ("VORBIS", None),
}
_SYSTEM_ERROR = 2  # SF_ERR_SYSTEM


def encode(
    path: str | Path | BinaryIO,
    samples: NDArray[np.floating],
    sample_rate: int,
    audio_format: str,
    *,
    bits: Literal[16, 24] = 16,
) -> None:
    """Write samples of shape (frames, channels) as `wav` or `flac` of so many bits, or as `mp3` or `ogg` (Vorbis).

    What exceeds full scale is clipped and NaN becomes silence. An mp3 knows nine sample rates: another one is
    resampled to the next higher, at most 48 kHz.

    Raises:
        AudioRejected: the format is none of the four, or cannot hold so many channels or such a rate.
    """
    if audio_format not in FORMATS:
        raise _unwritable(path, audio_format, f"the formats are {', '.join(FORMATS)}")
    if audio_format == "mp3":
        samples, sample_rate = _fit_mp3(samples, sample_rate)
    with _created(path, samples.shape[1], sample_rate, audio_format, bits) as file:
        # libsndfile's Vorbis encoder overruns the stack when it is given a minute at once.
        for start in range(0, len(samples), sample_rate):
            file.write(_quantised(samples[start : start + sample_rate], audio_format, bits))


@contextmanager
def _created(
    path: str | Path | BinaryIO, channels: int, sample_rate: int, audio_format: str, bits: int
) -> Iterator[soundfile.SoundFile]:
    """Give the file to write to; libsndfile's errors become ours."""
    subtype, compression = _ENCODERS[audio_format]
    subtype = "PCM_24" if subtype == "PCM_16" and bits == 24 else subtype
    try:
        file = soundfile.SoundFile(
            path,
            mode="w",
            samplerate=sample_rate,
            channels=channels,
            format=audio_format.upper(),
            subtype=subtype,
            compression_level=compression,
        )
    except soundfile.LibsndfileError as error:
        if error.code == _SYSTEM_ERROR:
            raise StorageError(f"{path} cannot be created.", fix="Check that its folder is there.") from error
        raise _unwritable(path, audio_format, f"not with {channels} channels at {sample_rate} Hz") from error
    try:
        with file:
            yield file
    except soundfile.LibsndfileError as error:
        raise StorageError(f"{path} cannot be written ({error}).", fix="Is the disk full?") from error


def _quantised(
    samples: NDArray[np.floating], audio_format: str, bits: int
) -> NDArray[np.int16] | NDArray[np.int32] | Samples:
    """Give samples as the encoder takes them; sound of so many bits that was decoded here comes out bit for bit."""
    clean: NDArray[np.floating] = np.clip(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    if audio_format in {"wav", "flac"} and bits == 24:
        # libsndfile keeps the upper 24 of 32 bits.
        return np.asarray(np.minimum(np.rint(clean * 8388608.0), 8388607), np.int32) << 8
    if audio_format in {"wav", "flac"}:
        return np.asarray(np.minimum(np.rint(clean * 32768.0), 32767), np.int16)
    return np.asarray(clean, np.float32)


def _fit_mp3(samples: NDArray[np.floating], sample_rate: int) -> tuple[NDArray[np.floating], int]:
    """Give samples at a rate that mp3 knows."""
    if sample_rate in MP3_RATES:
        return samples, sample_rate
    rate = min((known for known in MP3_RATES if known >= sample_rate), default=MP3_RATES[-1])
    return resampled(np.nan_to_num(samples), rate, sample_rate), rate


def _unwritable(path: str | Path | BinaryIO, audio_format: str, why: str) -> AudioRejected:
    return AudioRejected(f"{path} cannot be written as {audio_format}: {why}.", code=Code.UNSUPPORTED_FORMAT)
