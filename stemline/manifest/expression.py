"""What a person writes over a manifest: one SQL expression, in a database that reaches nothing else.

DuckDB's own parser says what is written there; and the database is shut before anything of it is run, so that what
would pass the parser still finds no file, no network and no other database.
https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from stemline.errors import ManifestError
from stemline.manifest.manifest_source import ManifestSource
from stemline.manifest.value_forms import literal

_TABLES = frozenset({"EMPTY", "BASE_TABLE", "SUBQUERY", "JOIN", "EXPRESSION_LIST"})
_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE"})
_TABLE_PLACES = frozenset({"from_table", "left", "right"})
_REACHING = frozenset(
    {"current_query", "current_setting", "currval", "getenv", "getvariable", "nextval", "setval", "sleep_ms"}
    | {"write_log", "pg_sleep", "json_serialize_plan", "json_execute_serialized_sql"}
)
"""Functions of a value that look, act or wait outside of the row they are asked about."""
_FILTER_FIX = "Write one expression that is true for the rows that are wanted, such as plays > 100."
_ORDER_FIX = "Write columns or expressions with commas between, such as released_on DESC, artist."


LONGEST_SECONDS = 600.0
"""An expression that gives no rows for so long is stopped: some would go on for ever."""


@contextmanager
def bounded(database: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Stop what the database is at when it takes too long; it then raises `duckdb.InterruptException`."""
    timer = threading.Timer(LONGEST_SECONDS, database.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def shut(database: duckdb.DuckDBPyConnection, paths: Iterable[str]) -> None:
    """Close a database for good against everything but itself and the files at `paths`, which it reads."""
    allowed = ", ".join(literal(path) for path in paths)
    database.execute(f"SET allowed_paths = [{allowed}]")
    for setting in (
        "python_enable_replacements = false",
        "autoload_known_extensions = false",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        database.execute(f"SET {setting}")


def check_expressions(database: duckdb.DuckDBPyConnection, source: ManifestSource) -> None:
    """Refuse a filter or an order that is more than an expression over the manifest; nothing of it is run.

    Raises ManifestError, naming the key; for one that does not parse, `duckdb.ParserException`.
    """
    if source.where:
        name = f'The filter "{source.where}" (catalogue.where or --where)'
        select = _parsed(database, f"SELECT (\n{source.where}\n)", f"SELECT\n{source.where}\n")
        is_one = select is not None and len(select["select_list"]) == 1 and not select.get("modifiers")
        _require(is_one, name, "is more than one expression", _FILTER_FIX)
        _refuse_reaching(select, name, _FILTER_FIX)
    if source.order_by:
        name = f'catalogue.order_by "{source.order_by}"'
        order = source.order_by
        select = _parsed(
            database, f"SELECT row_number() OVER (ORDER BY\n{order}\n, 1)", f"SELECT 1 ORDER BY\n{order}\n"
        )
        is_one = select is not None and [each["type"] for each in select["modifiers"]] == ["ORDER_MODIFIER"]
        _require(is_one, name, "is more than an order", _ORDER_FIX)
        _refuse_reaching(select, name, _ORDER_FIX)


def _parsed(database: duckdb.DuckDBPyConnection, in_place: str, alone: str) -> dict[str, Any] | None:
    """Give the tree of a query without tables that holds the expression; None where it became another query."""
    _tree(database, in_place)
    tree = _tree(database, alone)
    nodes = [statement["node"] for statement in tree["statements"]]
    if len(nodes) != 1 or nodes[0]["type"] != "SELECT_NODE" or tree["statements"][0].get("named_param_map"):
        return None
    select: dict[str, Any] = nodes[0]
    is_bare = select["from_table"]["type"] == "EMPTY" and not select["cte_map"]
    more = ("where_clause", "group_expressions", "group_sets", "having", "qualify", "sample")
    return select if is_bare and not any(select.get(name) for name in more) else None


def _tree(database: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    options = "skip_null := true, skip_empty := true, skip_default := true"
    found = database.execute(f"SELECT json_serialize_sql(?::VARCHAR, {options})", [query]).fetchall()
    tree: dict[str, Any] = json.loads(found[0][0])
    if tree["error"]:
        raise duckdb.ParserException(f"Parser Error: {tree['error_message']}")
    return tree


def _refuse_reaching(tree: object, name: str, fix: str) -> None:
    for place, each in _members("", tree):
        kind = each.get("type", "")
        if not isinstance(kind, str):  # the type of a value, or of a sample's size
            continue
        path = [str(part).lower() for part in each.get("qualified_name", {}).get("path", ())]
        is_table = place in _TABLE_PLACES and "class" not in each
        is_known = kind in _TABLES if is_table else kind in _QUERIES or not kind.endswith("_NODE")
        is_other = kind == "BASE_TABLE" and path != ["manifest"]
        is_reaching = kind == "FUNCTION" and path[-1:] and path[-1] in _REACHING
        _require(
            is_known and not is_other and not is_reaching and kind not in {"TABLE_FUNCTION", "SHOW_REF"},
            name,
            f"reaches beyond the manifest{f' ({path[-1]})' if path else ''}",
            fix,
        )


def _members(place: str, tree: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every object within a tree, with the name it stands under."""
    if isinstance(tree, dict):
        yield place, tree
    inner = (
        tree.items()
        if isinstance(tree, dict)
        else ((place, each) for each in tree)
        if isinstance(tree, list)
        else ()
    )
    for name, each in inner:
        yield from _members(name, each)


def _require(is_right: bool, name: str, what: str, fix: str) -> None:  # noqa: FBT001 - it reads as the sentence
    if not is_right:
        raise ManifestError(f"{name} {what}: it is refused, and nothing of it was run.", fix=fix)
