"""The files of the service in its folder: uploads, sources of jobs, and the stems made from them."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import anyio

from stemline_local.refusal import Refusal, RefusalReason

MAX_FILE_BYTES = 52_428_800
"""StemSplit's `maxFileSizeBytes`."""


class FileStorage:
    """Files by name, such as `outputs/<job>/vocals.flac`; a name never leads out of the folder."""

    def __init__(self, folder: Path) -> None:
        """Make the folder and what it must hold."""
        self._folder = folder.resolve()
        for area in ("uploads", "sources", "outputs"):
            (self._folder / area).mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """Give the place of a file, whether it exists or not.

        Raises:
            FileNotFoundError: the name leads out of the folder, or cannot be a name.
        """
        path = self._folder / name
        if "\0" in name or ".." in path.parts or self._folder not in path.parents:
            raise FileNotFoundError(name)
        return path

    async def receive(self, name: str, chunks: AsyncIterator[bytes]) -> int:
        """Write what arrives, whole or not at all, and give its size in bytes.

        Raises:
            Refusal: more arrived than a file may have.
        """
        target = self.path(name)
        partial = target.with_name(f".{secrets.token_hex(8)}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            size_bytes = await _write(partial, chunks)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return size_bytes

    def link(self, name: str, new_name: str) -> None:
        """Give a file a second name that stays what it was even if the first is overwritten.

        Raises:
            FileNotFoundError: there is no such file.
        """
        source, target = self.path(name), self.path(new_name)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without hard links
            shutil.copyfile(source, target)

    def remove(self, name: str) -> None:
        """Delete a folder of files; none is fine."""
        shutil.rmtree(self.path(name), ignore_errors=True)

    def remove_file(self, name: str) -> None:
        """Delete one file; none is fine."""
        self.path(name).unlink(missing_ok=True)

    def remove_others(self, area: str, kept: set[str]) -> None:
        """Delete the folders of an area but those of these names."""
        for folder in self.path(area).iterdir():
            if folder.name not in kept:
                self.remove(f"{area}/{folder.name}")

    def remove_older(self, area: str, before: float) -> None:
        """Delete the files of an area that were written before a Unix second, and emptied folders."""
        for path in sorted(self.path(area).rglob("*"), reverse=True):
            with suppress(OSError):  # a folder that is not empty, a file that has just gone
                if path.stat().st_mtime < before:
                    path.rmdir() if path.is_dir() else path.unlink()


async def _write(path: Path, chunks: AsyncIterator[bytes]) -> int:
    size_bytes = 0
    async with await anyio.open_file(path, "wb") as file:
        async for chunk in chunks:
            size_bytes += len(chunk)
            check_size(size_bytes)
            await file.write(chunk)
    return size_bytes


def check_size(size_bytes: int) -> None:
    """Refuse a file that is, or says it is, too large.

    Raises:
        Refusal: FILE_TOO_LARGE with both sizes.
    """
    if size_bytes > MAX_FILE_BYTES:
        raise Refusal(
            RefusalReason.FILE_TOO_LARGE,
            f"The file is larger than {MAX_FILE_BYTES} bytes.",
            maximum_bytes=MAX_FILE_BYTES,
            actual_bytes=size_bytes,
        )
