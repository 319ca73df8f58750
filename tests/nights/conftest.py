"""What tests of many nights share with those of one: a local service, a fork server, a few tiny songs."""

from __future__ import annotations

import pytest
from e2e.conftest import break_with, http, poor_project, project, second, service, songs

__all__ = ["break_with", "http", "poor_project", "project", "second", "service", "songs"]
COUNT = 3


@pytest.fixture
def published(project):
    """A workplace whose tracks are all published."""
    done = project.prepare(COUNT).run()
    assert done.code == 0, done.err
    return project
