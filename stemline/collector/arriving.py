"""A file that is decoded while its bytes are still on their way."""

from __future__ import annotations

import os
from typing import BinaryIO

_KEPT_BYTES = 1 << 20
_TAG_BYTES = 128  # an ID3v1 tag, at the very end


class Arriving:
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
        self._came = self._position = 0

    def read(self, size: int) -> bytes:
        """Give the next bytes, waiting for them; none at the end."""
        if self._position == self._came:
            data = self._pipe.read(size)
            self._came += len(data)
            if len(self._beginning) < _KEPT_BYTES:
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
