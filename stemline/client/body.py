"""What an upload consists of: one of the catalogue's files, wherever it is kept."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import fsspec

BLOCK_BYTES = 1 << 20


class Body:
    """A file streamed from wherever the catalogue keeps it, hashed on the way."""

    def __init__(self, location: str, storage_options: dict[str, Any]) -> None:
        """Open nothing yet."""
        self._location, self._options = location, storage_options
        self._digest = hashlib.sha256()

    async def size(self) -> int:
        """Give the file's size in bytes; raises OSError when it cannot be told."""
        filesystem, path = await self._read(lambda: fsspec.core.url_to_fs(self._location, **self._options))
        return int(await self._read(lambda: filesystem.size(path)))

    async def blocks(self) -> AsyncIterator[bytes]:
        """Give the file block by block, from its start; raises OSError when it cannot be read."""
        self._digest = hashlib.sha256()
        source = await self._read(lambda: fsspec.open(self._location, "rb", **self._options).open())
        try:
            while block := await self._read(lambda: source.read(BLOCK_BYTES)):
                self._digest.update(block)
                yield block
        finally:
            await self._read(source.close)

    def sha256(self) -> str:
        """Give the digest of the blocks that were given."""
        return self._digest.hexdigest()

    async def _read(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - fsspec ships no types
        try:
            return await asyncio.to_thread(call)
        except OSError:
            raise
        except Exception as error:  # every store fails in its own way
            raise OSError(f"{self._location} cannot be read: {str(error) or type(error).__name__}") from error
