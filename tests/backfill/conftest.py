"""A catalogue of dated rows, and an earlier run over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dated_catalogue import Catalogue, History


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path)


@pytest.fixture
def history(catalogue: Catalogue) -> Iterator[History]:
    with catalogue.ledger() as ledger:
        yield History(ledger, catalogue.settings())
