"""The size of the code against the house's targets: files, functions, arguments, tests, cycles.

python benchmarks/bench_size.py
"""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without its docstring."""
    docstring = ast.get_docstring(function, clean=False)
    first = function.body[1] if docstring is not None and len(function.body) > 1 else function.body[0]
    head = function.body[0].lineno - function.lineno
    return head + (function.end_lineno or first.lineno) - first.lineno + 1


def spread(values: list[int]) -> str:
    ordered = sorted(values)
    return f"{statistics.median(ordered):.0f} / {ordered[int(0.9 * len(ordered))]} / {ordered[-1]}"


def cycles() -> int:
    """Count the modules that import each other in a circle."""
    graph = grimp.build_graph("stemline", "flows", "tasks")
    return sum(
        1
        for module in graph.modules
        for target in graph.find_modules_directly_imported_by(module)
        if graph.find_shortest_chain(importer=target, imported=module) and target != module
    )


def main() -> None:
    files = list(sources("stemline", "flows", "tasks"))
    lengths = [len(file.read_text().splitlines()) for file in files]
    functions = [
        node
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    bodies = [body_lines(function) for function in functions]
    arguments = [len(f.args.posonlyargs) + len(f.args.args) + len(f.args.kwonlyargs) for f in functions]
    tests = sum(len(file.read_text().splitlines()) for file in sources("tests"))
    print(f"files          {len(files)}, lines median / p90 / max {spread(lengths)}")
    print(f"functions      {len(functions)}, body lines {spread(bodies)}, {share(bodies, 20)} at most 20")
    print(f"arguments      {spread(arguments)} (self included)")
    print(f"source lines   {sum(lengths)}, test lines {tests}, ratio {tests / sum(lengths):.2f}")
    print(f"import cycles  {cycles()}")


def share(values: list[int], most: int) -> str:
    return f"{100 * sum(value <= most for value in values) / len(values):.0f} %"


if __name__ == "__main__":
    main()
