"""Names that a reader of a traceback can trust: a class exists once, and no function hides the module it stands in."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("stemline", "stemline_local", "orchestration", "flows", "tasks")


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def class_places(parsed: Iterator[tuple[Path, ast.Module]]) -> dict[str, list[str]]:
    """Give where each class stands, private ones too: all of them may turn up in a traceback."""
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in parsed:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path}:{node.lineno}")
    return places


def bound_names(tree: ast.Module) -> Iterator[str]:
    """Give the names that a module's top level binds to anything but a module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def hidden_modules(package: Path) -> Iterator[str]:
    """Give the submodules of a package that something else of the same name hides."""
    init = package / "__init__.py"
    if not init.exists():
        return
    inside = {path.stem for path in package.glob("*.py")} | {
        path.name for path in package.iterdir() if path.is_dir()
    }
    tree = ast.parse(init.read_text(encoding="utf-8"))
    dotted = ".".join(package.relative_to(ROOT).parts)
    own = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == dotted
        for alias in node.names
    }
    yield from sorted((inside & set(bound_names(tree))) - own)


def test_every_class_name_exists_once():
    twice = {name: places for name, places in class_places(modules()).items() if len(places) > 1}

    assert twice == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_hidden_behind_something_of_its_own_name(package):
    folders = [ROOT / package, *(path for path in (ROOT / package).rglob("*") if path.is_dir())]
    hidden = {
        str(folder.relative_to(ROOT)): names for folder in folders if (names := list(hidden_modules(folder)))
    }

    assert hidden == {}


def test_the_checks_see_what_they_look_for(tmp_path, monkeypatch):
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("from shop.order import order\n")
    (package / "order.py").write_text("class Line: ...\ndef order(): ...\n")
    (package / "basket.py").write_text("class Line: ...\n")
    monkeypatch.setattr("test_names.ROOT", tmp_path)
    monkeypatch.setattr("test_names.PACKAGES", ("shop",))

    assert list(hidden_modules(package)) == ["order"]
    assert class_places(modules())["Line"] == ["shop/basket.py:1", "shop/order.py:1"]
