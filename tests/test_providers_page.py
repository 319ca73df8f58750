"""The page about the providers names tests that exist, and leaves nothing of the vendors' references out."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from stemline_local.dialects.stemsplit.openapi import OPERATIONS
from stemline_local.dialects.stemsplit.vocabulary import ERRORS

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "providers.md").read_text()
TABLE = PAGE.partition("\n## The table\n")[2]
REFERENCE = TESTS / "conformance" / "reference"
OPENAPI = yaml.safe_load((REFERENCE / "stemsplit_openapi.yaml").read_text())
PAGES = sorted(REFERENCE.glob("*_page.yaml"))
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::([\w:]+)`", PAGE)))
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in TABLE.splitlines()
    if line.startswith("| ") and not line.startswith("| what |")
]
REASONS = ("not used", "not yet", "not offered", "not documented")


@cache
def find_tests(path: str) -> set[str]:
    """Give the tests of a file, those of a class as `Class::test`; a parametrised one counts once."""
    file = TESTS / path
    if not file.exists():
        return set()
    body = ast.parse(file.read_text()).body
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    functions = {("", node.name) for node in body if isinstance(node, ast.FunctionDef)}
    functions |= {
        (f"{each.name}::", node.name)
        for each in classes
        for node in each.body
        if isinstance(node, ast.FunctionDef)
    }
    return {prefix + name for prefix, name in functions if name.startswith("test_")}


def is_on_page(word: str) -> bool:
    """Tell whether the table has a word as a whole, in code."""
    code = " ".join(re.findall(r"`([^`]+)`", TABLE))
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", code) is not None


def read_words(node: object) -> set[str]:
    """Give the names of all fields, headers and fixed values that a part of an OpenAPI file describes."""
    if isinstance(node, list):
        return {word for each in node for word in read_words(each)}
    if not isinstance(node, dict):
        return set()
    found = {word for key in ("properties", "headers") for word in node.get(key) or ()}
    found |= set(node.get("enum", ()))
    return found.union(
        *(read_words(each) for key, each in node.items() if key not in {"example", "examples"})
    )


def test_the_page_has_a_table() -> None:
    assert len(ROWS) > 100
    assert len(NAMED) > 100


def test_every_test_that_the_page_names_exists() -> None:
    assert [f"{path}::{name}" for path, name in NAMED if name not in find_tests(path)] == []


def test_every_cell_names_a_test_or_says_why_not() -> None:
    proofs = (".py::test_", ".py::Test", *REASONS)

    assert {len(row) for row in ROWS} == {3}
    assert [row for row in ROWS for cell in row[1:] if not any(proof in cell for proof in proofs)] == []


def test_every_endpoint_and_code_of_the_local_service_is_in_the_table() -> None:
    endpoints = [f"{method.upper()} {path}" for method, path, *_ in OPERATIONS]

    assert [endpoint for endpoint in endpoints if f"`{endpoint}`" not in TABLE] == []
    assert [code for _, code in ERRORS.values() if not is_on_page(code)] == []


class TestOpenAPI:
    def test_every_endpoint_is_a_part_of_the_table(self) -> None:
        endpoints = [
            f"{method.upper()} {path}" for path, methods in OPENAPI["paths"].items() for method in methods
        ]

        assert len(endpoints) == 8
        assert [each for each in endpoints if f"\n### `{each}`\n" not in TABLE] == []

    def test_every_field_header_and_value_is_in_the_table(self) -> None:
        words = read_words(OPENAPI)

        assert {"balanceSeconds", "X-RateLimit-Limit", "SIX_STEMS"} <= words
        assert sorted(word for word in words if not is_on_page(word)) == []


def test_the_facts_of_both_vendors_pages_are_there() -> None:
    assert [page.name for page in PAGES] == ["aistemsplitter_page.yaml", "stemsplit_page.yaml"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_field_code_and_header_of_the_reference_pages_is_in_the_table(page: Path) -> None:
    facts = yaml.safe_load(page.read_text())
    words = {*facts["fields"], *facts["headers"], *facts.get("codes", ())}

    assert len(words) > 10
    assert sorted(word for word in words if not is_on_page(word)) == []
