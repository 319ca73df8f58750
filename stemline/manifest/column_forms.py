"""The narrowest form that all values of each column have, looked for in many columns at once.

A query with expressions for each column takes DuckDB ever longer to plan, so the values of columns of one type are put
below each other, and one set of expressions tests them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from stemline.manifest.lines import PROBLEM, ROW
from stemline.manifest.value_forms import (
    NESTED,
    Candidate,
    as_text,
    json_number_candidates,
    quoted,
    text_candidates,
    typed_candidates,
)

VALUE = "value"
"""What a column's value is called where the values of many stand below each other."""
_ALWAYS = "true"
_PLACE = "place"
_COLUMNS_AT_ONCE = 128
_LARGE_COLUMNS_AT_ONCE = 16
"""Of values that may be large, as all of them for some rows are in memory together."""
_LONGEST_NUMERAL = 64
"""In characters: text that is longer is written as no number, day or instant is."""
_LISTS = frozenset({"list", "array"})


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """How a column is read into the table `raw`."""

    kind: Any
    """DuckDB's type of it."""
    is_text: bool = False
    """Whether it is text whose type is to be found."""
    is_number: bool = False
    """Whether it is JSON numbers as text."""

    @property
    def alike(self) -> tuple[str, bool, bool]:
        """What it has in common with columns that can be tested with it."""
        return str(self.kind), self.is_text, self.is_number

    def candidates(self, x: str) -> list[Candidate]:
        """Give the forms it may be carried in, the narrowest first; the last one holds every value."""
        if self.is_text:
            return [*text_candidates(x), Candidate(_ALWAYS, x)]
        if self.is_number:
            return [*json_number_candidates(x), Candidate(_ALWAYS, x)]
        return typed_candidates(x, self.kind)

    def without_value(self, x: str) -> str:
        """Give the form of a column in which nothing is said: text, or lists of text where there are lists."""
        return f"{x}::VARCHAR[]" if self.kind.id in _LISTS else self.candidates(x)[-1].sql

    def as_text(self, x: str) -> str:
        """Give the SQL of its values as text."""
        is_text_already = self.is_text or self.is_number or str(self.kind) == "VARCHAR"
        return x if is_text_already else as_text(x, self.kind)

    def is_filled(self, x: str) -> str:
        """Give the SQL that tells whether a value says anything of its type: an empty list does not."""
        if self.kind.id in _LISTS:
            return f"len(list_filter({x}, lambda each: each IS NOT NULL)) > 0"
        return f"{x} IS NOT NULL"


@dataclass(frozen=True, slots=True)
class ColumnForms:
    """The columns of the table `raw` and the form that all values of each have."""

    columns: Mapping[str, ReadColumn] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)
    """Of columns with values: which of its candidates."""
    types: Mapping[str, Any] = field(default_factory=dict)
    """DuckDB's type of each in its form."""

    @property
    def undecided(self) -> frozenset[str]:
        """The columns without a single value: their type is a guess."""
        return frozenset(self.columns).difference(self.places)

    def sql(self, name: str, x: str | None = None) -> str:
        """Give the SQL of a column in its form; `x` stands for its values."""
        x, column = x or quoted(name), self.columns[name]
        place = self.places.get(name)
        return column.without_value(x) if place is None else column.candidates(x)[place].sql


def find_forms(
    database: duckdb.DuckDBPyConnection, names: Sequence[str], written: Mapping[str, frozenset[str]]
) -> ColumnForms:
    """Give the form of each of some columns of the table `raw`.

    `written` names those that are read as text: `text` whose type is to be found, `number` of JSON numbers.
    """
    raw = database.sql("SELECT * FROM raw LIMIT 0")
    kinds = dict(zip(raw.columns, raw.types, strict=True))
    columns = {
        name: ReadColumn(kinds[name], name in written["text"], name in written["number"]) for name in names
    }
    alike: defaultdict[tuple[str, bool, bool], list[str]] = defaultdict(list)
    for name, column in columns.items():
        alike[column.alike].append(name)
    places: dict[str, int] = {}
    for some in alike.values():
        places |= _find_places(database, columns[some[0]], some)
    found = ColumnForms(columns, places)
    return ColumnForms(columns, places, _types(database, found))


def _find_places(
    database: duckdb.DuckDBPyConnection, column: ReadColumn, names: Sequence[str]
) -> dict[str, int]:
    """Tell which candidate fits all values of each of some columns that are read alike; of none without values."""
    if column.kind.id not in NESTED and column.candidates(VALUE)[0].test == _ALWAYS:
        return _filled(database, names)
    tests = [f"bool_and(coalesce({each.test}, false))" for each in column.candidates(VALUE)]
    x = f"left({{}}, {_LONGEST_NUMERAL + 1})" if column.is_text else "{}"
    size = _COLUMNS_AT_ONCE if column.is_text else _LARGE_COLUMNS_AT_ONCE
    places = {}
    for some in groups(names, size):
        values = below_each_other([x.format(quoted(name)) for name in some])
        filled = f"bool_or({column.is_filled(VALUE)})"
        for place, is_filled, *fits in database.execute(
            f"SELECT {_PLACE}, {filled}, {', '.join(tests)} FROM {values} GROUP BY {_PLACE}"
        ).fetchall():
            if is_filled:
                places[some[place]] = fits.index(True)
    return places


def _filled(database: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, int]:
    """Give the columns that have a value; the values themselves are not looked at."""
    places: dict[str, int] = {}
    for some in groups(names, _COLUMNS_AT_ONCE):
        counts = ", ".join(f"count({quoted(name)})" for name in some)
        (found,) = database.execute(f"SELECT {counts} FROM raw").fetchall()
        places |= {name: 0 for name, count in zip(some, found, strict=True) if count}
    return places


def _types(database: duckdb.DuckDBPyConnection, forms: ColumnForms) -> dict[str, Any]:
    """Give the type of each column in its form; columns that are read alike and have one form are asked for once."""
    known: dict[tuple[object, ...], Any] = {}
    found = {}
    for name, column in forms.columns.items():
        key = (*column.alike, forms.places.get(name))
        if key not in known:
            (known[key],) = database.sql(f"SELECT {forms.sql(name)} FROM raw LIMIT 0").types
        found[name] = known[key]
    return found


def find_losses(
    database: duckdb.DuckDBPyConnection, casts: Mapping[str, str], columns: Mapping[str, ReadColumn]
) -> dict[str, int]:
    """Give, by column, the first row whose value a cast makes nothing of; each cast is SQL over `VALUE`."""
    alike: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name, cast in casts.items():
        alike[str(columns[name].kind), cast].append(name)
    losses: dict[str, int] = {}
    for (_, cast), names in alike.items():
        for some in groups(names, _LARGE_COLUMNS_AT_ONCE):
            values = below_each_other(list(map(quoted, some)))
            found = database.execute(
                f"SELECT {_PLACE}, min({ROW}) FROM {values} "
                f"WHERE {PROBLEM} IS NULL AND ({cast}) IS NULL GROUP BY {_PLACE}"
            ).fetchall()
            losses |= {some[place]: row for place, row in found}
    return losses


def below_each_other(values: Sequence[str]) -> str:
    """Give SQL of all values of some expressions of one type but the nulls, each with the place of its own."""
    return (
        f"(SELECT * FROM (SELECT unnest([{', '.join(values)}]) AS {VALUE}, "
        f"unnest(range({len(values)})) AS {_PLACE}, {ROW}, {PROBLEM} FROM raw) WHERE {VALUE} IS NOT NULL)"
    )


def groups(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Cut columns into groups that one query takes."""
    return (names[start : start + size] for start in range(0, len(names), size))
