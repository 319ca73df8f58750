"""ARCHITECTURE.md shows the layers that import-linter holds, and names files that exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PACKAGES = ("stemline", "stemline_local", "orchestration", "flows", "tasks")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
    "contracts"
]


def layers(container: str) -> list[str]:
    """Give the layers of a package, the highest first, as the contract has them."""
    found = [contract["layers"] for contract in CONTRACTS if contract.get("containers") == [container]]
    assert len(found) == 1
    return found[0]


def test_the_picture_of_the_pipeline_is_the_contract():
    assert "```\n" + "\n".join(layers("stemline")) + "\n```" in PAGE


def test_the_picture_of_the_local_service_is_the_contract():
    assert "```\n" + "\n".join(layers("stemline_local")) + "\n```" in PAGE


def test_no_module_imports_another_in_a_circle():
    """Also for types alone: whoever reads one of them would have to read both."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = [
        (one, other) for one in graph.modules for other in graph.find_modules_directly_imported_by(one)
    ]
    assert len(imports) > 1_000
    assert [pair for pair in imports if graph.find_shortest_chain(importer=pair[1], imported=pair[0])] == []


def test_every_file_the_page_names_exists():
    named = re.findall(
        r"`((?:stemline|stemline_local|orchestration|flows|tasks|tests|configs|benchmarks|docs)/[^`<…]*)`",
        PAGE,
    )

    assert named
    # `acme` is the vendor who is still to come.
    assert [name for name in named if "acme" not in name and not (ROOT / name).exists()] == []
