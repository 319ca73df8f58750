"""An mp3 that is being written by libmp3lame, as FFmpeg has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.codec.context import Flags
from av.container import OutputContainer

from stemline.audio.resampling import Samples

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # MPEG 1, 2 and 2.5 layer III
MOST_CHANNELS = 2
_MPEG1_RATE = 32_000
"""The lowest sample rate of MPEG 1. Below it LAME takes 5 % off the amplitude, unless quality and not rate is asked."""
BIT_RATE = 256_000
"""On average at most: what is simple takes less."""


class Mp3File:
    """Takes samples and writes frames; as a player sees it, it begins and ends where the samples do."""

    def __init__(self, container: OutputContainer, sample_rate: int, channels: int, bit_rate: int) -> None:
        """Begin with no frame; `bit_rate` holds on average, at most."""
        self.samplerate, self.channels = sample_rate, channels
        self._container = container
        self._layout = "mono" if channels == 1 else "stereo"
        is_mpeg1 = sample_rate >= _MPEG1_RATE
        # The fastest way to an average bit rate; below MPEG 1 the best quality. docs/decisions/0031 compares them.
        options = {"abr": "1", "compression_level": "7"} if is_mpeg1 else {}
        self._stream = container.add_stream(
            "libmp3lame", rate=sample_rate, options=options, layout=self._layout
        )
        if is_mpeg1:
            self._stream.codec_context.bit_rate = bit_rate
        else:
            self._stream.codec_context.flags |= Flags.qscale
        self._written = 0

    def write(self, samples: Samples) -> None:
        """Write samples of shape (n, channels)."""
        if not len(samples):
            return
        planes = np.ascontiguousarray(samples.T)
        frame = AudioFrame.from_ndarray(planes, format="fltp", layout=self._layout)
        frame.sample_rate, frame.pts = self.samplerate, self._written
        self._written += len(samples)
        self._container.mux(self._stream.encode(frame))

    def end(self) -> None:
        """Write what the encoder holds back."""
        self._container.mux(self._stream.encode(None))


@contextmanager
def created_mp3(
    path: str | Path | BinaryIO, sample_rate: int, channels: int, bit_rate: int = BIT_RATE
) -> Iterator[Mp3File]:
    """Give an mp3 to write to, whole afterwards; `sample_rate` is one of `MP3_RATES`, `channels` one or two.

    Raises:
        OSError: it cannot be created or written.
    """
    if isinstance(path, str | Path):
        with Path(path).open("wb") as file, created_mp3(file, sample_rate, channels, bit_rate) as mp3:
            yield mp3
        return
    with av.open(path, "w", format="mp3") as container:
        mp3 = Mp3File(container, sample_rate, channels, bit_rate)
        yield mp3
        mp3.end()
