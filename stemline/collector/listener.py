"""A stem measured while its bytes pass by on their way to the store."""

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
from stemline.collector.arriving import Arriving
from stemline.collector.download import Piece
from stemline.errors import AudioRejected
from stemline.records import Code
from stemline.verify import Expectation, Heard, Measured, judge, listen

_PIPE_BYTES = 1 << 20


class Listener:
    """Does for one stem on its way what `verify_stem` does for a file; a context manager.

    The decoder runs in a thread of its own and reads from a pipe, which holds a megabyte and makes the faster
    side wait.
    """

    measured: Measured
    """Known once everything passed and is right."""

    def __init__(
        self, name: str, size_bytes: int, expected: Expectation, *ears: Callable[[Samples], None]
    ) -> None:
        """Take the stem's file name, how many bytes will pass, what they should be, and who else hears them."""
        self._name, self._size, self._expected = name, size_bytes, expected
        self._digest, self._passed = hashlib.sha256(), 0
        read_end, write_end = os.pipe()
        with suppress(AttributeError, OSError):  # on Linux: the larger it is, the less the threads take turns
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._sink = os.fdopen(write_end, "wb")
        self._decoder = ThreadPoolExecutor(1)
        self._heard = self._decoder.submit(self._decode, os.fdopen(read_end, "rb"), ears)

    def passing(self, pieces: Iterator[Piece]) -> Generator[bytes, None, None]:
        """Pass the bytes on, and end well only when they are the sound they should be.

        Raises:
            AudioRejected: they are not, or it cannot be told from a stream.
        """
        for piece in pieces:
            if (piece.start, piece.total) != (self._passed, self._size):
                raise AudioRejected(f"{self._name} was begun anew on the way.", code=Code.TRUNCATED)
            if piece.data:
                self._take(piece.data)
                yield piece.data
        self.measured = self._measure()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the decoder, wherever it is."""
        self._close()
        self._decoder.shutdown()

    def _decode(self, pipe: BinaryIO, ears: Iterable[Callable[[Samples], None]]) -> Heard:
        with pipe:
            return listen(cast("BinaryIO", Arriving(pipe, self._name, self._size)), *ears)

    def _take(self, data: bytes) -> None:
        self._digest.update(data)
        self._passed += len(data)
        try:
            self._sink.write(data)
        except BrokenPipeError:
            self._heard.result()  # the decoder raised; or it has all it needs, and this follows the sound

    def _measure(self) -> Measured:
        self._close()
        digest = self._digest.hexdigest()
        measured = judge(self._name, self._heard.result(), self._passed, digest, self._expected)
        if measured.format != self._expected.format:  # the object would be named as what it is not
            raise AudioRejected(f"{self._name} is {measured.format}.", code=Code.UNSUPPORTED_FORMAT)
        return measured

    def _close(self) -> None:
        with suppress(BrokenPipeError):
            self._sink.close()
