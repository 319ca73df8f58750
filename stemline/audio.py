"""Sound in and out of files: every common format decoded, wav, flac, mp3 and ogg written.

Samples are float32, shape (frames, channels), full scale at -1..1. PyAV decodes, because it is the one
library that finds the right length of a header-less variable-bitrate mp3; soundfile writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

import av
import numpy as np
import soundfile
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from stemline.errors import AudioRejected, StemlineError, StorageError
from stemline.records import Code

Samples = NDArray[np.float32]

FORMATS = ("wav", "flac", "mp3", "ogg")
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # MPEG 1, 2 and 2.5 layer III
# A playlist dressed up as music must not make the decoder open files or addresses of its choosing.
_OPTIONS = {"protocol_whitelist": "none"}
_ENCODERS = {  # libsndfile's subtype and compression level; 0.0 is the best mp3: variable, about 245 kbit/s
    "wav": ("PCM_16", None),
    "flac": ("PCM_16", None),
    "mp3": ("MPEG_LAYER_III", 0.0),
    "ogg": ("VORBIS", None),
}
_SYSTEM_ERROR = 2  # SF_ERR_SYSTEM
_ZERO_AND_SCALE = {"u1": (128.0, 128.0), "i2": (0.0, 2.0**15), "i4": (0.0, 2.0**31), "i8": (0.0, 2.0**63)}


@dataclass(frozen=True, slots=True)
class DecodedAudio:
    """A whole piece of sound in memory."""

    samples: Samples
    """float32, (frames, channels)."""
    sample_rate: int

    @property
    def channels(self) -> int:
        """How many channels there are; never changed by decoding."""
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        """The length that was really there, whatever a header claimed."""
        return len(self.samples) / self.sample_rate


class AudioBlocks:
    """The sound of one file as blocks of about a second, so that an hour needs no more memory than a song.

    Also a context manager, for a reader that may stop before the end; it closes itself at the end.
    """

    sample_rate: int
    """In Hz, as decoded (an HE-AAC header may announce half of it)."""
    channels: int
    container: str
    codec: str
    """FFmpeg's short names: `mp3`, `flac`, `ogg`; `mp3float`, `flac`, `vorbis`, `pcm_s16le`."""
    header: bytes
    """What the codec needs to begin: of a flac the STREAMINFO block."""

    def __init__(self, source: str | Path | BinaryIO) -> None:
        """Open `source` and decode its beginning.

        Raises:
            AudioRejected: it is missing, or holds no sound that can be read.
        """
        self.name = _name_of(source)
        self._owned = _open(Path(source), self.name) if isinstance(source, str | Path) else None
        file = source if self._owned is None else self._owned
        try:
            with _rejecting(self.name):
                self._container = av.open(
                    file, mode="r", metadata_errors="ignore", container_options=_OPTIONS
                )
                self._frames = self._decoded()
                self._first = next(self._frames)
        except BaseException:
            self.close()
            raise
        self.sample_rate, self.channels = self._first.sample_rate, self._first.layout.nb_channels

    def __iter__(self) -> Iterator[Samples]:
        """Give float32 blocks of shape (n, channels) in order; once.

        Raises:
            AudioRejected: the file is damaged further on, or changes its sample rate or channels.
        """
        pending: list[Samples] = []
        with self, _rejecting(self.name):
            for frame in chain((self._first,), self._frames):
                pending.append(self._samples(frame))
                if sum(map(len, pending)) >= self.sample_rate:
                    yield np.concatenate(pending)
                    pending = []
            if pending:
                yield np.concatenate(pending)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Let go of the decoder, and of the file when it was opened here; more than once is fine."""
        container = getattr(self, "_container", None)
        if container is not None:
            container.close()
        if self._owned is not None:
            self._owned.close()

    def _decoded(self) -> Iterator[AudioFrame]:
        """Give the frames of the first audio stream; at least one."""
        stream = next(iter(self._container.streams.audio), None)
        frames = iter(()) if stream is None else self._whole_frames(stream)
        first = next(frames, None)
        if stream is None or first is None:
            raise _rejection(self.name, "holds no sound")
        self.container, self.codec = self._container.format.name, stream.codec_context.name
        self.header = bytes(stream.codec_context.extradata or b"")
        yield first
        yield from frames

    def _whole_frames(self, stream: AudioStream) -> Iterator[AudioFrame]:
        """Give every frame; what follows the last one of an mp3 may be anything: lyrics, tags, padding."""
        if cast("object", stream.codec_context) is None:  # which PyAV's types do not say
            raise _rejection(self.name, "is in a form that nothing here decodes")
        damage: av.InvalidDataError | None = None
        for packet in self._container.demux(stream):
            try:
                frames = packet.decode()
            except av.InvalidDataError as error:
                if not stream.codec_context.name.startswith("mp3"):
                    raise
                damage = error
                continue
            for frame in frames:
                if damage is not None:
                    raise damage
                if isinstance(frame, AudioFrame) and frame.samples:
                    yield frame

    def _samples(self, frame: AudioFrame) -> Samples:
        """Give one decoded frame as float32, (n, channels)."""
        if (frame.sample_rate, frame.layout.nb_channels) != (self.sample_rate, self.channels):
            raise _rejection(self.name, "changes its sample rate or its channels on the way")
        raw = frame.to_ndarray()
        shaped = raw.T if frame.format.is_planar else raw.reshape(-1, self.channels)
        zero, scale = _ZERO_AND_SCALE.get(shaped.dtype.str[1:], (0.0, 1.0))
        return np.ascontiguousarray((shaped.astype(np.float32) - np.float32(zero)) / np.float32(scale))


def decode_blocks(source: str | Path | BinaryIO) -> AudioBlocks:
    """Give the sound of a file or of an open binary file, block by block, with its rate and channels.

    Raises:
        AudioRejected: it is missing, or holds no sound that can be read.
    """
    return AudioBlocks(source)


def decode(source: str | Path | BinaryIO) -> DecodedAudio:
    """Give the whole sound of a file: mp3, flac, wav, ogg, opus, m4a, aac, webm and what else FFmpeg reads.

    Raises:
        AudioRejected: it is missing, damaged, or no audio at all.
    """
    with decode_blocks(source) as stream:
        return DecodedAudio(np.concatenate(list(stream)), stream.sample_rate)


def encode(path: str | Path, samples: NDArray[np.floating], sample_rate: int, audio_format: str) -> None:
    """Write samples of shape (frames, channels) as 16-bit `wav` or `flac`, or as `mp3` or `ogg` (Vorbis).

    What exceeds full scale is clipped and NaN becomes silence. An mp3 knows nine sample rates: another one is
    resampled to the next higher, at most 48 kHz.

    Raises:
        AudioRejected: the format is none of the four, or cannot hold so many channels or such a rate.
    """
    if audio_format not in FORMATS:
        raise _unwritable(path, audio_format, f"the formats are {', '.join(FORMATS)}")
    if audio_format == "mp3":
        samples, sample_rate = _fit_mp3(samples, sample_rate)
    with _created(path, samples.shape[1], sample_rate, audio_format) as file:
        # libsndfile's Vorbis encoder overruns the stack when it is given a minute at once.
        for start in range(0, len(samples), sample_rate):
            file.write(_quantised(samples[start : start + sample_rate], audio_format))


@contextmanager
def _created(
    path: str | Path, channels: int, sample_rate: int, audio_format: str
) -> Iterator[soundfile.SoundFile]:
    """Give the file to write to; libsndfile's errors become ours."""
    subtype, compression = _ENCODERS[audio_format]
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


def _quantised(samples: NDArray[np.floating], audio_format: str) -> NDArray[np.int16] | Samples:
    """Give samples as the encoder takes them; 16-bit sound that was decoded here comes out bit for bit."""
    clean: NDArray[np.floating] = np.clip(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    if audio_format in {"wav", "flac"}:
        return np.asarray(np.minimum(np.rint(clean * 32768.0), 32767), np.int16)
    return np.asarray(clean, np.float32)


def _fit_mp3(samples: NDArray[np.floating], sample_rate: int) -> tuple[NDArray[np.floating], int]:
    """Give samples at a rate that mp3 knows."""
    if sample_rate in MP3_RATES:
        return samples, sample_rate
    rate = min((known for known in MP3_RATES if known >= sample_rate), default=MP3_RATES[-1])
    return resampled(np.nan_to_num(samples), rate, sample_rate), rate


def resampled(samples: NDArray[np.floating], up: int, down: int) -> Samples:
    """Give samples, (frames,) or (frames, channels), at `up / down` times their rate, by a polyphase filter."""
    # Imported here: scipy.signal takes over a second to load, and most commands never resample.
    from scipy.signal import resample_poly  # noqa: PLC0415

    return np.asarray(resample_poly(samples, up, down, axis=0), np.float32)


@contextmanager
def _rejecting(name: str) -> Iterator[None]:
    """Turn whatever the decoder raises into AudioRejected.

    Not all of its errors are FFmpegError: end of file, Unicode and arithmetic errors surface as Python's own.
    """
    try:
        yield
    except StemlineError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise _rejection(name, f"cannot be decoded ({reason})") from error


def _open(path: Path, name: str) -> BinaryIO:
    """Open a local file, so that FFmpeg never gets to read a path as one of its protocols."""
    try:
        if path.stat().st_size == 0:
            raise AudioRejected(f"{name} is empty.", code=Code.EMPTY_FILE)
        return path.open("rb")
    except FileNotFoundError as error:
        raise AudioRejected(f"{name} does not exist.", code=Code.MISSING_FILE) from error
    except OSError as error:
        raise _rejection(name, f"cannot be opened ({error.strerror})") from error


def _name_of(source: str | Path | BinaryIO) -> str:
    """Give a name for error messages."""
    return str(source) if isinstance(source, str | Path) else str(getattr(source, "name", "The audio"))


def _rejection(name: str, what: str) -> AudioRejected:
    return AudioRejected(f"{name} {what}.", code=Code.UNREADABLE_AUDIO)


def _unwritable(path: str | Path, audio_format: str, why: str) -> AudioRejected:
    return AudioRejected(f"{path} cannot be written as {audio_format}: {why}.", code=Code.UNSUPPORTED_FORMAT)
