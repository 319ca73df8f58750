"""The provider under test."""

from __future__ import annotations

import pytest

from stemline.providers import load_provider
from stemline.settings import load_facts


@pytest.fixture(scope="session")
def provider():
    return load_provider(load_facts("stemsplit"))


@pytest.fixture(scope="session")
def splitter():
    return load_provider(load_facts("aistemsplitter"))
