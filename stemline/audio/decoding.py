"""Sound out of files: every common format decoded, in blocks or whole.

Samples are float32, shape (frames, channels), full scale at -1..1. PyAV decodes, because it is the one library that
finds the right length of a header-less variable-bitrate mp3.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeAlias, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

from stemline import ogg
from stemline.audio.resampling import Samples, resampled_blocks
from stemline.errors import AudioRejected, StemlineError
from stemline.library_words import reason_of
from stemline.records import Code

# A playlist dressed up as music must not make the decoder open files or addresses of its choosing.
_OPTIONS = {"protocol_whitelist": "none"}
SILENT_POWER = 1e-7
"""Mean square below which sound is silence: -70 dBFS."""
_ZERO_AND_SCALE = {"u1": (128.0, 128.0), "i2": (0.0, 2.0**15), "i4": (0.0, 2.0**31), "i8": (0.0, 2.0**63)}
OnPacket: TypeAlias = "Callable[[Packet[AudioStream], list[AudioFrame]], None]"
"""Is given each packet with the frames that were decoded of it."""


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


class _Closing(ABC):
    """What a `with` block closes at its end."""

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open."""


class AudioBlocks(_Closing):
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

    def __init__(
        self,
        source: str | Path | BinaryIO,
        on_packet: OnPacket = lambda _, __: None,
        *,
        may_skip: bool = False,
    ) -> None:
        """Open `source` and decode its beginning; `may_skip` goes on behind what is no frame of an mp3.

        Raises:
            AudioRejected: it is missing, or holds no sound that can be read.
        """
        self.name = _name_of(source)
        self._may_skip, self._on_packet = may_skip, on_packet
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
        """Give every frame; what follows the last one of an mp3 may be anything: lyrics, tags, padding.

        So may what stands between two of them, where that may be skipped.
        """
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
            if frames and damage is not None and not self._may_skip:
                raise damage
            self._on_packet(packet, frames)
            yield from (frame for frame in frames if frame.samples)

    def _samples(self, frame: AudioFrame) -> Samples:
        """Give one decoded frame as float32, (n, channels)."""
        if (frame.sample_rate, frame.layout.nb_channels) != (self.sample_rate, self.channels):
            raise _rejection(self.name, "changes its sample rate or its channels on the way")
        raw = frame.to_ndarray()
        shaped = raw.T if frame.format.is_planar else raw.reshape(-1, self.channels)
        return np.ascontiguousarray(to_float(shaped))


def to_float(raw: NDArray[Any]) -> Samples:
    """Give what a decoder gave as float32 with full scale at -1..1, in the same shape."""
    zero, scale = _ZERO_AND_SCALE.get(raw.dtype.str[1:], (0.0, 1.0))
    samples = raw.astype(np.float32)
    if zero:
        samples -= np.float32(zero)
    if scale != 1.0:
        samples *= np.float32(1 / scale)  # a power of two: as exact as dividing
    return samples


def decode_blocks(
    source: str | Path | BinaryIO,
    on_packet: OnPacket = lambda _, __: None,
) -> AudioBlocks:
    """Give the sound of a file or of an open binary file, block by block, with its rate and channels.

    Raises:
        AudioRejected: it is missing, or holds no sound that can be read.
    """
    return AudioBlocks(source, on_packet)


class SourceBlocks(_Closing):
    """The whole sound of a source as blocks of about a second; also a context manager, and closed at its end.

    What stands between the frames of an mp3 is skipped, as players do: artwork of a file joined to another one,
    junk. Of an Ogg file every link is given, in the rate and channels of the first: FFmpeg does not follow one to
    another rate or codec.
    """

    def __init__(self, source: str | Path | BinaryIO) -> None:
        """Open `source` and decode its beginning.

        Raises:
            AudioRejected: it is missing, or holds no sound that can be read.
        """
        self._open_files = ExitStack()
        try:
            self._first, self._further = self._opened(source)
        except BaseException:
            self.close()
            raise
        self.sample_rate, self.channels = self._first.sample_rate, self._first.channels

    def __iter__(self) -> Iterator[Samples]:
        """Give float32 blocks of shape (n, channels) in order; once.

        Raises:
            AudioRejected: it is damaged further on; of an Ogg file what can be decoded of each link is given.
        """
        with self:
            if self._further is None:
                yield from self._first
                return
            yield from _until_damage(self._first)
            for link in self._further:
                yield from _until_damage(self._like_first(link))

    def close(self) -> None:
        """Let go of the file; more than once is fine."""
        self._open_files.close()

    def _opened(self, source: str | Path | BinaryIO) -> tuple[AudioBlocks, Iterator[AudioBlocks] | None]:
        """Give the beginning, and of an Ogg file the links that follow."""
        if isinstance(source, str | Path):
            name = _name_of(source)
            file = self._open_files.enter_context(_open(Path(source), name))
            if file.read(len(ogg.MAGIC)) == ogg.MAGIC:
                links = _sounding_links(file)
                first = next(links, None)
                if first is None:
                    raise _rejection(name, "holds no sound that can be decoded")
                return first, links
        return self._open_files.enter_context(AudioBlocks(source, may_skip=True)), None

    def _like_first(self, link: AudioBlocks) -> Iterator[Samples]:
        """Give the sound of a link in the rate and channels of the first."""
        return resampled_blocks(
            (
                block
                if link.channels == self.channels
                else np.repeat(block.mean(axis=1, keepdims=True, dtype=np.float32), self.channels, axis=1)
                for block in link
            ),
            self.sample_rate,
            link.sample_rate,
        )


def decode(source: str | Path | BinaryIO) -> DecodedAudio:
    """Give the whole sound of a file: mp3, flac, wav, ogg, opus, m4a, aac, webm and what else FFmpeg reads.

    Raises:
        AudioRejected: it is missing, damaged, or no audio at all.
    """
    with SourceBlocks(source) as stream:
        return DecodedAudio(np.concatenate(list(stream)), stream.sample_rate)


def is_silent(path: str | Path) -> bool:
    """Tell whether no second of a file is loud enough to be heard; False where it does not decode."""
    try:
        with _open(Path(path), str(path)) as file:
            is_ogg = file.read(len(ogg.MAGIC)) == ogg.MAGIC
            parts = ogg.links(file, file.seek(0, io.SEEK_END)) if is_ogg else [file]
            file.seek(0)
            return all(_is_quiet(cast("BinaryIO", part)) for part in parts)
    except AudioRejected:
        return False


def _is_quiet(file: BinaryIO) -> bool:
    with AudioBlocks(file, may_skip=True) as stream, np.errstate(over="ignore"):  # float samples may be huge
        return all(float(np.mean(np.square(block))) < SILENT_POWER for block in stream)


def _sounding_links(file: BinaryIO) -> Iterator[AudioBlocks]:
    """Give each link of an Ogg file that holds sound; the lengths are compared later."""
    for link in ogg.links(file, file.seek(0, io.SEEK_END)):
        try:
            blocks = AudioBlocks(cast("BinaryIO", link))
        except AudioRejected:
            continue
        yield blocks


def _until_damage(blocks: Iterable[Samples]) -> Iterator[Samples]:
    with suppress(AudioRejected):
        yield from blocks


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
        raise _rejection(name, f"cannot be decoded ({reason_of(error)})") from error


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
