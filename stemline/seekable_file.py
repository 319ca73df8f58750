"""Something of a known size as a file that is read from any place."""

from __future__ import annotations

import io
from abc import abstractmethod


class SeekableFile(io.RawIOBase):
    """A read-only file that knows its place; what is read is said by `read`, which moves it on."""

    def __init__(self, size_bytes: int) -> None:
        """Start at the beginning."""
        super().__init__()
        self.size_bytes = size_bytes
        self._place = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be searched."""
        return True

    def tell(self) -> int:
        """Give the place of the next read."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place, and give it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size_bytes}[whence]
        self._place = max(start + offset, 0)
        return self._place

    @abstractmethod
    def read(self, size: int | None = -1) -> bytes:
        """Give up to `size` bytes, fewer only at the end."""

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any writable buffer
        """Fill a buffer, and give how many bytes that took."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
