"""What the fault tests share: one vendor that takes faults, one hurried zygote, tiny songs, one PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.command_line import Launcher, launching
from support.postgresql import new_schema
from support.stage import Stage, make_tiny_songs, new_bench, open_stage
from support.vendor import Vendor, running_vendor


@pytest.fixture(scope="session")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    with running_vendor(tmp_path_factory.mktemp("vendor")) as vendor:
        yield vendor


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with launching(tmp_path_factory.mktemp("home"), is_hurried=True) as launcher:
        yield launcher


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_tiny_songs(tmp_path_factory.mktemp("catalogue") / "music")


@pytest.fixture
def set_stage(tmp_path, request, vendor, launcher, songs) -> Iterator[Callable[..., Stage]]:
    """Open a stage; every fault is lifted at the end."""

    def begin(count: int, ledger: str = "sqlite", **facts) -> Stage:
        database = None if ledger == "sqlite" else new_schema(request.getfixturevalue("postgresql"))
        bench = new_bench(tmp_path, launcher, vendor, songs, database)
        return open_stage(bench, vendor, count, **facts)

    yield begin
    vendor.clear_faults()
