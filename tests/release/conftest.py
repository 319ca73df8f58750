"""A dataset without audio behind it, for each test one of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.released_dataset import ReleasedDataset


@pytest.fixture
def dataset(tmp_path: Path) -> ReleasedDataset:
    return ReleasedDataset(str(tmp_path / "stems"))
