"""A file that is read in ranges, from wherever these come."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from stemline.seekable_file import SeekableFile

_BLOCKS_KEPT = 16

Fetch = Callable[[int, int], bytes]
"""Gives the bytes from a place (included) to a place (excluded)."""


class RangeFile(SeekableFile):
    """A read-only file over `fetch`, in blocks of which the last few are kept.

    `first_block` spares the first fetch. A fetch that fails reads as the end of the file and is remembered
    in `error`: the decoders call us from C, where an exception would be lost.
    """

    def __init__(self, fetch: Fetch, size_bytes: int, block_bytes: int, first_block: bytes = b"") -> None:
        """Start at the beginning; nothing is fetched yet."""
        super().__init__(size_bytes)
        self.error: Exception | None = None
        self._fetch = fetch
        self._block_bytes = block_bytes
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        if first_block:
            self._blocks[0] = first_block

    def read(self, size: int | None = -1) -> bytes:
        """Give up to `size` bytes, fewer only at the end."""
        end = self.size_bytes if size is None or size < 0 else min(self._place + size, self.size_bytes)
        parts = []
        while self._place < end:
            number, offset = divmod(self._place, self._block_bytes)
            part = self._block(number)[offset : offset + end - self._place]
            if not part:
                break
            parts.append(part)
            self._place += len(part)
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        start = number * self._block_bytes
        try:
            block = self._fetch(start, min(start + self._block_bytes, self.size_bytes))
        except Exception as error:  # noqa: BLE001 - every store fails in its own way; the caller raises it again
            self.error = error
            return b""
        self._blocks[number] = block
        if len(self._blocks) > _BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        return block
