"""What the property tests share: one PostgreSQL server a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.postgresql import find_server_binaries, running_postgresql


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    binaries = find_server_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server binaries (initdb, pg_ctl) on this machine")
    with running_postgresql(binaries) as server:
        yield server
