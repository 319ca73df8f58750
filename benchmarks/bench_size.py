"""The size of the code against the house's targets: files, functions, arguments, names, tests, cycles, imports.

python benchmarks/bench_size.py
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = [name for name in ("stemline", "stemline_local", "flows", "tasks") if (ROOT / name).is_dir()]
COUNT_IMPORTS = """
import sys
from stemline.cli import main
sys.argv = ["stemline", "--help"]
try:
    main()
finally:
    print(len(sys.modules), file=sys.stderr)
"""


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


def share(values: list[int], most: int) -> str:
    return f"{100 * sum(value <= most for value in values) / len(values):.0f} %"


def line_count(file: Path) -> int:
    return len(file.read_text().splitlines())


def cycles() -> int:
    """Count the modules that import each other in a circle."""
    graph = grimp.build_graph(*PACKAGES)
    return sum(
        1
        for module in graph.modules
        for target in graph.find_modules_directly_imported_by(module)
        if graph.find_shortest_chain(importer=target, imported=module) and target != module
    )


def imports_of_help() -> int:
    """Count the modules that `stemline --help` imports."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT_IMPORTS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(done.stderr.split()[-1])


def main() -> None:
    files = list(sources(*PACKAGES))
    lengths = [line_count(file) for file in files]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    classes = Counter(node.name for node in nodes if isinstance(node, ast.ClassDef))
    methods = [
        sum(isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) for item in node.body)
        for node in nodes
        if isinstance(node, ast.ClassDef)
    ]
    bodies = [body_lines(function) for function in functions]
    arguments = [len(f.args.posonlyargs) + len(f.args.args) + len(f.args.kwonlyargs) for f in functions]
    folders = Counter(file.parent for file in files if file.name != "__init__.py")
    tests = sum(map(line_count, sources("tests")))
    for package in PACKAGES:
        own = list(sources(package))
        print(f"{package:<15}{len(own)} files, {sum(map(line_count, own)):,} lines")
    print(f"files          {len(files)}, lines median / p90 / max {spread(lengths)}")
    print(f"folders        {len(folders)}, files in one median / p90 / max {spread(list(folders.values()))}")
    print(f"functions      {len(functions)}, body lines {spread(bodies)}, {share(bodies, 20)} at most 20")
    print(f"arguments      {spread(arguments)} (self included)")
    print(f"classes        {len(classes)}, methods {spread(methods)}")
    print(f"class names    {sum(count > 1 for count in classes.values())} occur twice")
    print(f"source lines   {sum(lengths):,}, test lines {tests:,}, ratio {tests / sum(lengths):.2f}")
    print(f"import cycles  {cycles()}")
    print(f"--help imports {imports_of_help()} modules")


if __name__ == "__main__":
    main()
