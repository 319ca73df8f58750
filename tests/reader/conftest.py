"""A small dataset of real sound, published as a run publishes it."""

from __future__ import annotations

import pytest
from support.sound_dataset import SoundDataset


@pytest.fixture
def published(tmp_path):
    """A dataset in a folder, still without tracks."""
    return SoundDataset(str(tmp_path / "set"), tmp_path)


@pytest.fixture(autouse=True)
def index_folder(tmp_path, monkeypatch):
    """Where indexes of windows are kept during a test."""
    monkeypatch.setenv("STEMLINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
