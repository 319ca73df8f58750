"""A stem verified while its bytes pass on their way to the store."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Self, cast

from stemline.audio import Samples
from stemline.collector.download import DownloadChunk
from stemline.errors import AudioRejected
from stemline.records import Code
from stemline.verify import DecodedStem, StemExpectation, StemMeasures, check_stem, decode_stem

_PIPE_BYTES = 1 << 20
_KEPT_BYTES = 1 << 20
_TAG_BYTES = 128  # an ID3v1 tag, at the very end


class StreamVerifier:
    """Does for one stem on its way what `verify_stem` does for a file; a context manager.

    The decoder runs in a thread of its own and reads from a pipe, which holds a megabyte and makes the faster
    side wait.
    """

    measures: StemMeasures
    """Set once every byte passed and the stem is right."""

    def __init__(
        self, name: str, size_bytes: int, expected: StemExpectation, *on_block: Callable[[Samples], None]
    ) -> None:
        """Take the stem's file name, how many bytes will pass, what they should be, and who gets the blocks too."""
        self._name, self._size, self._expected = name, size_bytes, expected
        self._digest, self._passed = hashlib.sha256(), 0
        read_end, write_end = os.pipe()
        with suppress(AttributeError, OSError):  # on Linux: the larger it is, the less the threads take turns
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._pipe = os.fdopen(write_end, "wb")
        self._decoder = ThreadPoolExecutor(1)
        self._decoded = self._decoder.submit(self._decode, os.fdopen(read_end, "rb"), on_block)

    def pass_on(self, chunks: Iterator[DownloadChunk]) -> Generator[bytes, None, None]:
        """Pass the bytes on, and end well only when they are the sound they should be.

        Raises:
            AudioRejected: they are not, or a stream does not show it.
        """
        for chunk in chunks:
            if (chunk.start, chunk.total) != (self._passed, self._size):
                raise AudioRejected(f"{self._name} was begun anew on the way.", code=Code.TRUNCATED)
            if chunk.data:
                self._feed(chunk.data)
                yield chunk.data
        self.measures = self._verify()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the decoder, wherever it is."""
        self._close()
        self._decoder.shutdown()

    def _decode(self, pipe: BinaryIO, on_block: Iterable[Callable[[Samples], None]]) -> DecodedStem:
        with pipe:
            return decode_stem(cast("BinaryIO", DecoderPipe(pipe, self._name, self._size)), *on_block)

    def _feed(self, data: bytes) -> None:
        self._digest.update(data)
        self._passed += len(data)
        try:
            self._pipe.write(data)
        except BrokenPipeError:
            self._decoded.result()  # the decoder raised; or it has all it needs, and this follows the sound

    def _verify(self) -> StemMeasures:
        self._close()
        digest = self._digest.hexdigest()
        measures = check_stem(self._name, self._decoded.result(), self._passed, digest, self._expected)
        if measures.format != self._expected.format:  # the object would be named as what it is not
            raise AudioRejected(f"{self._name} is {measures.format}.", code=Code.UNSUPPORTED_FORMAT)
        return measures

    def _close(self) -> None:
        with suppress(BrokenPipeError):
            self._pipe.close()


class DecoderPipe:
    """A pipe as FFmpeg must see it to measure what it would measure in the file.

    It trims an mp3's padding only when the length in the header is the file's: so it may ask for the end of one,
    look for a tag there, which counts as missing, and go back to the beginning, which is kept. It is served
    nothing else out of order: what would need it has to be verified as a file.
    """

    def __init__(self, pipe: BinaryIO, name: str, size_bytes: int) -> None:
        """Take the pipe, how many bytes will come through it, and the file's name, which FFmpeg guesses by."""
        self.name = name
        self._pipe, self._size = pipe, size_bytes
        self._beginning = b""
        self._received = self._position = 0

    def read(self, size: int) -> bytes:
        """Give the next bytes, waiting for them; none at the end."""
        if self._position == self._received:
            data = self._pipe.read(size)
            self._received += len(data)
            if self.seekable() and len(self._beginning) < _KEPT_BYTES:
                self._beginning += data
        elif self._position >= self._size - _TAG_BYTES:
            return b""
        else:
            data = self._beginning[self._position : self._position + size]
            if not data:
                raise OSError("this part of the stream is not at hand")
        self._position += len(data)
        return data

    def seekable(self) -> bool:
        """Only an mp3 is: of a wav FFmpeg would want to see the end before its sound."""
        return self.name.endswith(".mp3")

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere, which matters only once something is read there."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        self._position = base[whence] + offset
        return self._position

    def tell(self) -> int:
        """Give where the next bytes are read."""
        return self._position
