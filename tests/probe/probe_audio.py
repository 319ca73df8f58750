"""Audio files of every form, made here."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import soundfile

SECONDS = 12
RATE = 44_100


def song(seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    """A nearly silent first third, then noise: a variable bit rate varies."""
    frames = int(seconds * rate)
    noise = np.random.default_rng(7).standard_normal((frames, 2)) * 0.3
    noise[: frames // 3] *= 1e-4
    return noise.astype(np.float32)


def encode(path: Path, samples: np.ndarray, codec: str, rate: int = RATE, **options: str) -> Path:
    """Encode with FFmpeg; options that start with `mux_` go to the container."""
    muxer = {name[4:]: value for name, value in options.items() if name.startswith("mux_")}
    coder = {name: value for name, value in options.items() if not name.startswith("mux_")}
    with av.open(str(path), "w", options=muxer) as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo", options=coder)
        if not coder:
            stream.bit_rate = 192_000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(
            stream.codec_context.format, "stereo", rate, frame_size=stream.codec_context.frame_size or 1024
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(piece))
    return path


def write_blocks(path: Path, samples: np.ndarray, rate: int, subtype: str) -> Path:
    """Write Ogg in one-second blocks: libsndfile's Vorbis encoder overflows the stack on long ones."""
    with soundfile.SoundFile(path, "w", rate, 2, format="OGG", subtype=subtype) as file:
        for start in range(0, len(samples), rate):
            file.write(samples[start : start + rate])
    return path


def vbri(path: Path, frames: int) -> Path:
    """An mp3 whose first frame is a VBRI header over `frames` frames of MPEG 1, 128 kbit/s, 44.1 kHz."""
    header = bytes.fromhex("fffb9000")
    frame = header + bytes(417 - 4)
    info = b"VBRI" + struct.pack(">HHHII", 1, 0, 75, 417 * frames, frames)
    path.write_bytes(header + bytes(32) + info + bytes(417 - 36 - len(info)) + frame * frames)
    return path
