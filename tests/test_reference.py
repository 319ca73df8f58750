"""What pages say of the code is what the code says: `make docs` would change nothing."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from stemline.errors import StemlineError
from stemline.records import Code, State

DOCS = Path(__file__).parents[1] / "docs"
_spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if reference.PLACE.search(page.read_text())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_as_make_docs_writes_it(page):
    assert page.read_text() == reference.filled(page), "make docs"


def test_everything_that_is_made_stands_on_one_page():
    placed = [place["name"] for page in PAGES for place in reference.PLACE.finditer(page.read_text())]
    assert sorted(placed) == sorted(reference.MADE)


def test_every_code_stands_with_its_state_meaning_and_next_step():
    """`ok` is no reason, and a state alone says where such a track is."""
    rows = [line.strip("| ").split(" | ") for line in reference.codes().splitlines()[2:]]
    assert {row[0].strip("`") for row in rows} == set(Code) - {Code.OK}
    assert all(State(state.strip("`")) and meaning and todo for _, state, meaning, todo in rows)


def test_every_key_has_a_meaning_and_what_is_said_elsewhere_is_about_a_key():
    rows = [line.strip("| ").split(" | ") for line in reference.configuration().splitlines()[2:]]
    assert all(len(row) == 4 and row[3] for row in rows)
    assert set(reference.MORE) <= {row[0].strip("`") for row in rows}


def test_the_exit_codes_are_those_of_the_errors():
    """0 is no error's, and 3 is a run's as well that ends with tracks missing."""
    page = (DOCS / "concepts.md").read_text().partition("## Exit codes")[2]
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert told == {0} | {error.exit_code for error in every_error(StemlineError)}


def every_error(error):
    yield error
    for kind in error.__subclasses__():
        yield from every_error(kind)
