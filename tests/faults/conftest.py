"""What the fault tests share: one vendor that takes faults, tiny songs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.faulty_vendor import FaultyVendor, running_vendor
from support.postgresql import new_schema
from support.scenario import Scenario, make_tiny_songs, new_project, open_scenario


@pytest.fixture(scope="session")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyVendor]:
    with running_vendor(tmp_path_factory.mktemp("vendor")) as vendor:
        yield vendor


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_tiny_songs(tmp_path_factory.mktemp("catalogue") / "music")


@pytest.fixture
def new_scenario(tmp_path, request, vendor, launcher, songs) -> Iterator[Callable[..., Scenario]]:
    """Open a scenario; every fault is lifted at the end."""

    def begin(count: int, ledger: str = "sqlite", **facts) -> Scenario:
        database = None if ledger == "sqlite" else new_schema(request.getfixturevalue("postgresql"))
        project = new_project(tmp_path, launcher, vendor, songs, database)
        return open_scenario(project, vendor, count, **facts)

    yield begin
    vendor.clear_faults()
