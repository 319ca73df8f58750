"""A dataset with a ledger, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.estate import Estate, open_estate

from stemline.storage import open_store


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    with open_estate(tmp_path, open_store(str(tmp_path / "out"))) as opened:
        yield opened
