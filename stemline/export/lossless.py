"""Samples as the bytes of a wav or flac file: the same bytes each time, and in the smallest form that loses nothing."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from stemline.audio import Samples
from stemline.errors import AudioRejected
from stemline.records import Code

Subtype: TypeAlias = Literal["PCM_16", "PCM_24", "FLOAT"]
"""As libsndfile calls what the samples of a file are."""
_BITS: dict[Subtype, int] = {"PCM_16": 16, "PCM_24": 24, "FLOAT": 32}
_BLOCK_FRAMES = 1 << 18
_FLAC_CHANNELS = 8
_LONGEST_WAV = 2**32 - 1024
"""Bytes: its header tells its length in 32 bits."""


def fitting_subtype(samples: Samples) -> Subtype:
    """Give `PCM_16` for what was 16 bits and still is, `PCM_24` for other sound, `FLOAT` for what passes full scale."""
    if len(samples) == 0:
        return "PCM_16"
    low, high = float(samples.min()), float(samples.max())
    if not -1.0 <= low <= high <= 1.0 - 2.0**-23:
        return "FLOAT"
    return "PCM_16" if all(_is_of_16_bits(block) for block in _blocks(samples)) else "PCM_24"


def wav_file(samples: Samples, sample_rate: int) -> bytes:
    """Give a wav of samples, (frames, channels); what is no number becomes silence.

    Written here, as libsndfile puts the time of day into wavs of floats.

    Raises:
        AudioRejected: it is longer than a wav can be, 4 GB.
    """
    clean = _clean(samples)
    subtype = fitting_subtype(clean)
    size = clean.size * _BITS[subtype] // 8
    if size > _LONGEST_WAV:
        raise AudioRejected(
            f"{len(samples) / sample_rate:.0f} s of sound are too long for a wav, which ends at 4 GB.",
            code=Code.TOO_LONG,
            fix="Export it with `--mono`, at a lower `--sample-rate`, or in another form.",
        )
    file = io.BytesIO()
    file.write(_wav_head(subtype, samples.shape[1], sample_rate, size))
    for block in _blocks(clean):
        file.write(_pcm(block, subtype))
    file.write(bytes(size % 2))
    return file.getvalue()


def flac_file(samples: Samples, sample_rate: int) -> tuple[bytes, str]:
    """Give a flac of samples, (frames, channels), and its extension; a wav where flac holds no such sound."""
    clean = _clean(samples)
    subtype = fitting_subtype(clean)
    if subtype == "FLOAT" or clean.shape[1] > _FLAC_CHANNELS or len(clean) == 0:
        return wav_file(clean, sample_rate), "wav"
    data, bits = io.BytesIO(), _BITS[subtype]
    with soundfile.SoundFile(data, "w", sample_rate, clean.shape[1], subtype, format="FLAC") as file:
        for block in _blocks(clean):
            file.write(_whole_numbers(block, bits) << (32 - bits))
    return data.getvalue(), "flac"


def _blocks(samples: Samples) -> Iterator[Samples]:
    """Give samples in pieces, so that what is made of them is never there as a whole beside them."""
    for start in range(0, len(samples), _BLOCK_FRAMES):
        yield samples[start : start + _BLOCK_FRAMES]


def _is_of_16_bits(samples: Samples) -> bool:
    scaled = samples * np.float32(2**15)
    return np.array_equal(scaled, np.rint(scaled))


def _clean(samples: Samples) -> Samples:
    return samples if np.isfinite(samples).all() else np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)


def _whole_numbers(samples: Samples, bits: int) -> NDArray[np.int32]:
    """Give samples within full scale as whole numbers of so many bits."""
    return np.asarray(np.rint(samples * np.float32(2 ** (bits - 1))), np.int32)


def _pcm(samples: Samples, subtype: Subtype) -> bytes:
    if subtype == "FLOAT":
        return samples.astype("<f4").tobytes()
    if subtype == "PCM_16":
        return _whole_numbers(samples, 16).astype("<i2").tobytes()
    whole = _whole_numbers(samples, 24).astype("<i4")
    return np.ascontiguousarray(whole.view(np.uint8).reshape(-1, 4)[:, :3]).tobytes()


def _wav_head(subtype: Subtype, channels: int, sample_rate: int, size: int) -> bytes:
    """Give all before the samples: RIFF, `fmt `, for floats `fact` with the number of frames, and `data`."""
    width = channels * _BITS[subtype] // 8
    kind = 3 if subtype == "FLOAT" else 1
    form = struct.pack("<HHIIHH", kind, channels, sample_rate, sample_rate * width, width, _BITS[subtype])
    fact = b"fact" + struct.pack("<II", 4, size // width) if kind == 3 else b""
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + fact + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(body) + size + size % 2) + body
