"""The forms in which a column's values may be carried, each as SQL with the test that every value has to pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Candidate:
    """A form a column may be carried in: it is taken when every value passes the test."""

    test: str
    sql: str


def quoted(name: str) -> str:
    """Give a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Give text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


WHOLE = "(0|-?[1-9][0-9]*)"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
NUMERAL = "[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?"


def text_candidates(x: str) -> list[Candidate]:
    """Give the types text may be: writing the value again must give the same text.

    Numbers are written in one way throughout: `1.0, 2.5` as Python does, or `1, 2.5`.
    """
    double = f"TRY_CAST({x} AS DOUBLE)"
    plain = f"(regexp_full_match({x}, '{WHOLE}') AND {double}::VARCHAR = {x} || '.0')"
    return [
        Candidate(f"TRY_CAST({x} AS BIGINT)::VARCHAR = {x}", f"TRY_CAST({x} AS BIGINT)"),
        Candidate(is_number(x), double),
        Candidate(f"{plain} OR ({is_number(x)} AND NOT ends_with({x}, '.0'))", double),
        Candidate(is_day(x), f"TRY_CAST({x} AS DATE)"),
        Candidate(is_instant(x), f"TRY_CAST({x} AS TIMESTAMP)"),
        Candidate(f"{x} IN ('true', 'false')", f"TRY_CAST({x} AS BOOLEAN)"),
    ]


def is_number(x: str) -> str:
    """Give the SQL that tells whether text is a number with a point that would be written the same again."""
    pattern = "-?(0|[1-9][0-9]*)[.][0-9]+"
    return f"(regexp_full_match({x}, '{pattern}') AND TRY_CAST({x} AS DOUBLE)::VARCHAR = {x})"


def is_day(x: str) -> str:
    """Give the SQL for a day of the years 1 to 9999."""
    return f"(regexp_full_match({x}, '{_DAY}') AND TRY_CAST({x} AS DATE)::VARCHAR = {x})"


def is_instant(x: str) -> str:
    """Give the SQL that tells whether text is an instant without a zone that would be written the same again."""
    return f"(regexp_matches({x}, '^{_DAY} [^()]*$') AND TRY_CAST({x} AS TIMESTAMP)::VARCHAR = {x})"


def json_number_candidates(x: str) -> list[Candidate]:
    """Give the types of JSON numbers, read as text: whole ones of any size stay what they are."""
    exact = f"regexp_full_match({x}, '-?[0-9]{{1,15}}') OR regexp_matches({x}, '[.eE]')"
    return [
        Candidate(f"TRY_CAST({x} AS BIGINT)::VARCHAR = {x}", f"TRY_CAST({x} AS BIGINT)"),
        Candidate(f"({exact}) AND isfinite(TRY_CAST({x} AS DOUBLE))", f"TRY_CAST({x} AS DOUBLE)"),
    ]


NESTED = frozenset({"list", "array", "struct", "map"})
_AS_IT_IS = frozenset({"boolean", "decimal", "varchar", "blob", "time", "double", "bigint"})
_SMALLWHOLES = frozenset({"tinyint", "smallint", "integer", "utinyint", "usmallint", "uinteger"})
_LARGEWHOLES = frozenset({"ubigint", "hugeint", "uhugeint", "bignum"})
_INSTANTS = frozenset({"timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns"})
_ZONED = "timestamp with time zone"
_OUT_OF_RANGE = r'"[+-]?[0-9]{5,}-[0-9]{2}-|infinity|\(BC\)|[0-9]{19,}'


def typed_candidates(x: str, kind: Any) -> list[Candidate]:  # noqa: ANN401 - DuckDB's type has no name of its own
    """Give the forms in which a typed column is carried: every reader takes them, and so does the ledger."""
    text = Candidate("true", as_text(x, kind))
    if kind.id in NESTED:
        is_sound = f"NOT regexp_matches(to_json({x})::VARCHAR, '{_OUT_OF_RANGE}')"
        return [Candidate(is_sound, carried_form(x, kind)), text]
    if kind.id == "date":
        return [Candidate(is_in_range(x), x), text]
    if kind.id in _INSTANTS:
        exact = f"{x}::TIMESTAMP::{kind} = {x}"
        return [Candidate(f"{is_in_range(x)} AND {exact}", f"{x}::TIMESTAMP"), text]
    if str(kind).lower() == _ZONED:
        return [Candidate(is_in_range(x), x), text]
    if kind.id in _LARGEWHOLES:
        small = f"TRY_CAST({x} AS BIGINT)"
        return [Candidate(f"{small} IS NOT NULL", small), text]
    return [Candidate("true", carried_form(x, kind))]


def is_in_range(x: str) -> str:
    """Give the SQL that tells whether a date or instant is one that Python has: of the years 1 to 9999."""
    return f"isfinite({x}) AND year({x}) BETWEEN 1 AND 9999"


def carried_form(x: str, kind: Any, depth: int = 0) -> str:  # noqa: ANN401 - DuckDB's type has no name of its own
    """Give the SQL of a value in a type that every reader takes: a map is a list of keys and values."""
    if kind.id in _AS_IT_IS or kind.id == "date" or str(kind).lower() == _ZONED:
        return x
    if kind.id in _SMALLWHOLES | _LARGEWHOLES:
        return f"{x}::BIGINT"
    if kind.id == "float":
        return f"{x}::DOUBLE"
    if kind.id in _INSTANTS - {"timestamp_ns"}:  # whose last digits a timestamp of ours would lose
        return f"{x}::TIMESTAMP"
    if kind.id in NESTED:
        forms = {"struct": _struct_form, "map": _map_form}
        return forms.get(kind.id, _list_form)(x, kind, depth)
    return f"{x}::VARCHAR"


def _struct_form(x: str, kind: Any, depth: int) -> str:  # noqa: ANN401 - DuckDB's type has no name of its own
    members = [
        f"{literal(name)}: {carried_form(f'struct_extract({x}, {literal(name)})', inner, depth)}"
        for name, inner in kind.children
    ]
    return f"CASE WHEN {x} IS NOT NULL THEN {{{', '.join(members)}}} END"


def _map_form(x: str, kind: Any, depth: int) -> str:  # noqa: ANN401 - DuckDB's type has no name of its own
    each = f"each_{depth}"
    members = [
        f"'{name}': {carried_form(f'{each}.{name}', inner, depth + 1)}" for name, inner in kind.children
    ]
    return f"list_transform(map_entries({x}), lambda {each}: {{{', '.join(members)}}})"


def _list_form(x: str, kind: Any, depth: int) -> str:  # noqa: ANN401 - DuckDB's type has no name of its own
    each, inner = f"each_{depth}", kind.children[0][1]
    form = carried_form(each, inner, depth + 1)
    return f"{x}::{inner}[]" if form == each else f"list_transform({x}, lambda {each}: {form})"


def as_text(x: str, kind: Any) -> str:  # noqa: ANN401 - DuckDB's type has no name of its own
    """Give the SQL of a value as text, nested ones as JSON."""
    return f"to_json({x})::VARCHAR" if kind.id in NESTED else f"{x}::VARCHAR"
