from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from stemline_local.files.file_storage import MAX_FILE_BYTES, FileStorage
from stemline_local.refusal import Refusal, RefusalReason

ESCAPES = [
    "../service.db",
    "uploads/../../service.db",
    "/etc/passwd",
    "..",
    "",
    ".",
    "uploads/..",
    "a\0b",
    "uploads/../outputs/x",
]


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    return FileStorage(tmp_path / "files")


async def arriving(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def receive(storage: FileStorage, name: str, chunks: AsyncIterator[bytes]) -> int:
    return asyncio.run(storage.receive(name, chunks))


@pytest.mark.parametrize("name", ESCAPES)
def test_no_name_leads_out_of_the_folder(storage: FileStorage, name: str) -> None:
    with pytest.raises(FileNotFoundError):
        storage.path(name)


def test_what_arrives_is_stored_whole(storage: FileStorage) -> None:
    assert receive(storage, "uploads/a/input.mp3", arriving(b"one", b"", b"two")) == 6
    assert storage.path("uploads/a/input.mp3").read_bytes() == b"onetwo"


def test_nothing_is_left_of_what_breaks_off(storage: FileStorage) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"one"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        receive(storage, "uploads/a/input.mp3", breaking())

    assert list(storage.path("uploads/a").iterdir()) == []


def test_what_is_too_large_is_refused_and_replaces_nothing(storage: FileStorage) -> None:
    receive(storage, "uploads/a/input.mp3", arriving(b"old"))
    block = bytes(2**20)

    with pytest.raises(Refusal) as refusal:
        receive(storage, "uploads/a/input.mp3", arriving(*[block] * 51))

    assert refusal.value.reason is RefusalReason.FILE_TOO_LARGE
    assert refusal.value.facts["maximum_bytes"] == MAX_FILE_BYTES
    assert storage.path("uploads/a/input.mp3").read_bytes() == b"old"


def test_a_linked_file_stays_what_it_was(storage: FileStorage) -> None:
    receive(storage, "uploads/a/input.mp3", arriving(b"old"))
    storage.link("uploads/a/input.mp3", "sources/c1/input.mp3")
    receive(storage, "uploads/a/input.mp3", arriving(b"new"))

    assert storage.path("sources/c1/input.mp3").read_bytes() == b"old"


def test_only_old_files_and_emptied_folders_go(storage: FileStorage) -> None:
    for name in ("uploads/a/input.mp3", "uploads/b/input.mp3", "sources/c1/input.mp3"):
        receive(storage, name, arriving(b"x"))
    for old in ("uploads/a/input.mp3", "uploads/a", "sources/c1/input.mp3"):
        os.utime(storage.path(old), (1_000, 1_000))

    storage.remove_older("uploads", before=2_000)
    storage.remove_older("uploads", before=2_000)

    assert not storage.path("uploads/a/input.mp3").exists()
    assert storage.path("uploads/b/input.mp3").exists()
    assert storage.path("sources/c1/input.mp3").exists()


def test_a_file_is_copied_where_it_cannot_be_linked(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    with TemporaryDirectory(dir="/dev/shm") as elsewhere:
        if Path(elsewhere).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is only one file system")
        (tmp_path / "sources").rmdir()
        (tmp_path / "sources").symlink_to(elsewhere)
        storage.path("uploads/a.wav").write_bytes(b"sound")
        storage.link("uploads/a.wav", "sources/c1/a.wav")

        assert storage.path("sources/c1/a.wav").read_bytes() == b"sound"
        with pytest.raises(FileNotFoundError):
            storage.link("uploads/none.wav", "sources/c1/none.wav")
