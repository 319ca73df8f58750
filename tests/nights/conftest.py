"""What tests of many nights share with those of one: a local service, a fork server, a few tiny songs."""

from __future__ import annotations

from e2e.conftest import break_with, http, poor_project, project, second, service, songs

__all__ = ["break_with", "http", "poor_project", "project", "second", "service", "songs"]
