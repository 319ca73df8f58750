"""A dataset with a ledger, in a folder of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.estate import Estate, fill, open_estate

from stemline.storage import local_store, open_store


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which tracks of two artists are everywhere a track may be."""
    folder = tmp_path_factory.mktemp("filled")
    with open_estate(folder, open_store(str(folder / "out"))) as opened:
        fill(opened)
    return folder


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_store, "_flush", lambda _: None)


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Estate]:
    """Nothing is in it yet."""
    with open_estate(tmp_path, open_store(str(tmp_path / "out"))) as opened:
        yield opened


@pytest.fixture
def estate(tmp_path: Path, filled: Path) -> Iterator[Estate]:
    """A copy of the filled one."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    with open_estate(tmp_path, open_store(str(tmp_path / "out")), is_copy=True) as opened:
        yield opened
