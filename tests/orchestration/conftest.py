"""Servers for the tests of bringing up and taking down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.orchestration_place import Orchestration


@pytest.fixture(scope="module")
def brought_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchestration]:
    """A server that the tests of a file share."""
    orchestration = Orchestration(tmp_path_factory.mktemp("home"))
    try:
        orchestration.up()
        yield orchestration
    finally:
        orchestration.run("down")


@pytest.fixture
def orchestration(tmp_path: Path) -> Iterator[Orchestration]:
    """A place where nothing was brought up yet."""
    orchestration = Orchestration(tmp_path)
    yield orchestration
    orchestration.run("down")
