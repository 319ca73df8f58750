"""The page about the providers names tests that exist, and leaves nothing of the vendors' references out."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

from stemline_local.stemsplit import ERRORS
from stemline_local.stemsplit.contract import OPERATIONS

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "providers.md").read_text()
TABLE = PAGE.partition("\n## The table\n")[2]
CONTRACTS = TESTS.parents[1] / "shared" / "contracts"
OPENAPI = CONTRACTS / "stemsplit-openapi.json"
REFERENCES = [CONTRACTS / f"{vendor}-reference.txt" for vendor in ("stemsplit", "aistemsplitter")]
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


@pytest.mark.skipif(
    not OPENAPI.exists(), reason="the vendor's OpenAPI file does not lie beside this repository"
)
class TestOpenAPI:
    def test_every_endpoint_is_a_part_of_the_table(self) -> None:
        paths = json.loads(OPENAPI.read_text())["paths"]
        endpoints = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]

        assert len(endpoints) == 8
        assert [each for each in endpoints if f"\n### `{each}`\n" not in TABLE] == []

    def test_every_field_header_and_value_is_in_the_table(self) -> None:
        words = read_words(json.loads(OPENAPI.read_text()))

        assert {"balanceSeconds", "X-RateLimit-Limit", "SIX_STEMS"} <= words
        assert sorted(word for word in words if not is_on_page(word)) == []


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda path: path.stem)
def test_every_field_code_and_header_of_the_reference_pages_is_in_the_table(reference: Path) -> None:
    if not reference.exists():
        pytest.skip("the vendors' reference pages do not lie beside this repository")
    text = reference.read_text()
    words = set(re.findall(r'"(\w+)":', text)) | set(re.findall(r"^([A-Z_]{5,}) \|", text, re.MULTILINE))
    # The page's tables have lost their columns: what follows a header's name follows it at once.
    words |= set(re.findall(r"(?:X-[A-Za-z]+|Retry|Idempotency|AIStemSplitter)-[A-Z][a-z]+", text))

    assert len(words) > 10
    assert sorted(word for word in words if not is_on_page(word)) == []
