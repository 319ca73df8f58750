"""Sound cut, resampled and mixed down as the reader does it, and written anew as files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

import soundfile

from stemline.audio import Samples, decode, encode
from stemline.errors import AudioRejected
from stemline.export.sample import StemSound
from stemline.reader.resampling import SoundForm, Source, read_window
from stemline.records import Code

_WIDE = ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")


@dataclass(frozen=True, slots=True)
class SoundCut:
    """How the sound of a stem is to come out."""

    form: SoundForm
    seconds: float | None
    audio_format: Literal["flac", "wav"]

    def windows(self, data: bytes, name: str, frames: int | None) -> Iterator[StemSound]:
        """Give a file's sound as it is wanted: whole, or window by window from its start.

        A window that would be shorter, at the end, is none. `frames`: how long the tables say that it is, which is
        without an mp3's padding. Raises AudioRejected for what does not decode; the sentence begins with `name`.
        """
        try:
            sound = decode(io.BytesIO(data))
        except AudioRejected as error:
            raise AudioRejected(f"{name} does not decode.", code=error.code) from error
        samples = sound.samples if frames is None else sound.samples[:frames]
        if frames is not None and len(samples) < frames:
            raise AudioRejected(f"{name} is shorter than the tables say.", code=Code.TRUNCATED)
        source = Source(lambda begin, count: samples[begin : begin + count], sound.sample_rate, len(samples))
        bits = _bits(data)
        for start, length in self._places(len(samples) / sound.sample_rate):
            window = read_window(source, start, length, self.form)
            yield self._file(window, self.form.sample_rate or sound.sample_rate, bits)

    def _places(self, total_seconds: float) -> Iterator[tuple[float, float | None]]:
        if self.seconds is None:
            yield 0.0, None
            return
        for number in range(window_count(total_seconds, self.seconds)):
            yield number * self.seconds, self.seconds

    def _file(self, samples: Samples, rate: int, bits: Literal[16, 24]) -> StemSound:
        file = io.BytesIO()
        encode(file, samples, rate, self.audio_format, bits=bits)
        return StemSound(file.getvalue(), self.audio_format, rate, samples.shape[1], len(samples))


def window_count(total_seconds: float, seconds: float) -> int:
    """Give how many whole windows there are; a millionth of one may lack, for lengths are rounded."""
    return int(total_seconds / seconds + 1e-6)


def _bits(data: bytes) -> Literal[16, 24]:
    """Give 24 for a source that holds more than 16 bits."""
    try:
        subtype = cast("str", soundfile.info(io.BytesIO(data)).subtype)
    except soundfile.LibsndfileError:
        return 16
    return 24 if subtype in _WIDE else 16
