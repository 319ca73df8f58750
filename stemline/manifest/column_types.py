"""The type every carried column has: as the dataset keeps it, as the configuration says, or as all its values allow.

A value is never changed on the way: text becomes a number, a day or an instant only where writing that again gives the
same text, and a column whose values the dataset's type cannot hold is refused, with the first row it fails in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from stemline.errors import ConfigError, ManifestError
from stemline.manifest.lines import PROBLEM, ROW
from stemline.manifest.manifest_source import ManifestSource, is_undecided

TYPE_WORDS = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
"""The words of `catalogue.types`, in DuckDB's."""
ALWAYS_TEXT = frozenset({"artist", "title", "album", "isrc", "license", "split"})
"""Columns of the dataset that are text, whatever a manifest makes of them."""
RELEASED_ON = "released_on"
_TEXT = "VARCHAR"
_SHOWN_VALUE = 80


@dataclass(frozen=True, slots=True)
class Candidate:
    """A form a column may be carried in: it is taken when every value passes the test."""

    test: str
    sql: str


@dataclass(frozen=True, slots=True)
class TypedColumns:
    """What each column of the manifest is as a value of the dataset."""

    sql: Mapping[str, str] = field(default_factory=dict)
    """Name in the manifest: SQL over the table `raw`."""
    undecided: frozenset[str] = frozenset()
    """Names of columns without a single value: their type is a guess."""
    filtered: Mapping[str, str] = field(default_factory=dict)
    """What a filter sees in place of the column as it was read."""


def type_columns(
    database: duckdb.DuckDBPyConnection,
    carried: Mapping[str, str],
    source: ManifestSource,
    written: Mapping[str, frozenset[str]],
) -> TypedColumns:
    """Give the type and SQL of each carried column (name in the dataset: name in the manifest).

    `written` names the columns that are read as text: `text` whose type is to be found, `number` of JSON numbers.
    Raises ManifestError for a value that the column's type cannot hold.
    """
    columns = _Columns(database, source, written)
    found = columns.infer(carried.values())
    wanted = columns.wanted(carried, found)
    casts = {name: columns.cast(name, found.sql[name], kind) for name, kind in wanted.items()}
    columns.refuse_losses(casts, wanted)
    sql = {**found.sql, **casts}
    nested = {name for name, kind in columns.kinds.items() if kind.id in _NESTED}
    return TypedColumns(
        sql, found.undecided, {name: text for name, text in sql.items() if name not in nested}
    )


class _Columns:
    """The columns of the table `raw`."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        source: ManifestSource,
        written: Mapping[str, frozenset[str]],
    ) -> None:
        self.database = database
        self.source = source
        self.written = written
        self.explicit = {name.lower(): TYPE_WORDS[word] for name, word in source.types.items()}
        raw = database.sql("SELECT * FROM raw LIMIT 0")
        self.kinds: dict[str, Any] = dict(zip(raw.columns, raw.types, strict=True))

    def infer(self, names: Iterable[str]) -> TypedColumns:
        """Give the narrowest form that all values of each column have."""
        choices = {name: self._candidates(name) for name in names}
        if not choices:
            return TypedColumns()
        tests = [
            f"bool_and(coalesce({choice.test}, false)) FILTER ({quoted(name)} IS NOT NULL)"
            for name, forms in choices.items()
            for choice in forms
        ]
        filled = [f"count_if({_is_filled(quoted(name), self.kinds[name])})" for name in choices]
        (results,) = self.database.execute(f"SELECT {', '.join([*tests, *filled])} FROM raw").fetchall()
        passed, counts = iter(results[: len(tests)]), results[len(tests) :]
        sql = {}
        for name, forms in choices.items():
            fits = [next(passed) for _ in forms]
            sql[name] = next(form.sql for form, fit in zip(forms, fits, strict=True) if fit is not False)
        undecided = {name for name, count in zip(choices, counts, strict=True) if not count}
        sql |= {name: choices[name][-1].sql for name in undecided}
        return TypedColumns(sql, frozenset(undecided))

    def _candidates(self, name: str) -> list[Candidate]:
        x = quoted(name)
        if name in self.written["text"]:
            return [*text_candidates(x), Candidate("true", x)]
        if name in self.written["number"]:
            return [*json_number_candidates(x), Candidate("true", x)]
        return typed_candidates(x, self.kinds[name])

    def wanted(self, carried: Mapping[str, str], found: TypedColumns) -> dict[str, str]:
        """Give the DuckDB type of each column for which one is set, by its name in the manifest."""
        kept = self._kept()
        wanted = {}
        for ours, name in carried.items():
            if ours in ALWAYS_TEXT:
                wanted[name] = _TEXT
                continue
            if ours == RELEASED_ON:
                wanted[name] = self._release_type(name, found, kept.get(ours))
                continue
            chosen = self.explicit.get(ours.lower()) or self.explicit.get(name.lower())
            if chosen and kept.get(ours, chosen) != chosen and chosen != _TEXT:
                raise ConfigError(
                    f'catalogue.types makes "{ours}" {_word(chosen)}, and the dataset has it as {_word(kept[ours])}.',
                    fix="Keep to the dataset's type; only text can take the place of another.",
                )
            if kind := chosen or kept.get(ours):
                wanted[name] = kind
        return wanted

    def _release_type(self, name: str, found: TypedColumns, kept: str | None) -> str:
        """Give the type of `released_on`: a day or an instant where every value is one, else text.

        It is never refused: the table has a day of its own beside it.
        """
        if kept == _TEXT:
            return _TEXT
        if name in found.undecided:
            return kept or "DATE"
        (own,) = self.database.sql(f"SELECT {found.sql[name]} FROM raw LIMIT 0").types
        return str(own) if own.id == "date" or own.id.startswith("timestamp") else _TEXT

    def _kept(self) -> dict[str, str]:
        """Give the types the dataset keeps its columns in, where values have decided them."""
        schema = self.source.carried
        if schema is None:
            return {}
        decided = pa.schema([each for each in schema if not is_undecided(each)])
        if not decided.names:
            return {}
        # An empty table would do, and its making imports pandas.
        relation = self.database.from_arrow(pa.RecordBatchReader.from_batches(decided, []))
        return dict(zip(decided.names, map(str, relation.types), strict=True))

    def cast(self, name: str, found: str, kind: str) -> str:
        """Give the SQL of a column in a certain type: NULL for what it cannot hold."""
        x, is_read_as_text = quoted(name), name in self.written["text"] | self.written["number"]
        if kind == _TEXT:
            return x if is_read_as_text or str(self.kinds[name]) == _TEXT else _as_text(x, self.kinds[name])
        if name.lower() in self.explicit:
            return lenient_cast(_as_text(x, self.kinds[name]), kind)
        (own,) = self.database.sql(f"SELECT {found} FROM raw LIMIT 0").types
        if str(own) == kind:
            return found
        sql = text_cast(found, kind) if str(own) == _TEXT else exact_cast(found, str(own), kind)
        try:
            self.database.sql(f"SELECT {sql} FROM raw LIMIT 0")
        except duckdb.Error:
            return f"CAST(NULL AS {kind})"  # no value of the one is one of the other
        return sql

    def refuse_losses(self, casts: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        """Raise ManifestError for the first value that is lost in its column's type."""
        if not casts:
            return
        lost = ", ".join(
            f"min({ROW}) FILTER ({quoted(name)} IS NOT NULL AND {PROBLEM} IS NULL AND ({sql}) IS NULL)"
            for name, sql in casts.items()
        )
        (rows,) = self.database.execute(f"SELECT {lost} FROM raw").fetchall()
        for (name, kind), row in zip(wanted.items(), rows, strict=True):
            if row is not None:
                raise self._loss(name, kind, row)

    def _loss(self, name: str, kind: str, row: int) -> ManifestError:
        text = _as_text(quoted(name), self.kinds[name])
        ((value,),) = self.database.execute(f"SELECT {text} FROM raw WHERE {ROW} = {row:d}").fetchall()
        is_explicit = name.lower() in self.explicit
        who = "catalogue.types makes" if is_explicit else "the dataset keeps as"
        sentence = (
            f'Row {row} has "{str(value)[:_SHOWN_VALUE]}" in column "{name}", which {who} {_word(kind)}.'
        )
        other = (
            "or call the column text there."
            if is_explicit
            else f"or set catalogue.types: {{{name}: text}}, which makes the column text in the whole dataset."
        )
        return ManifestError(sentence, fix=f"Correct the value, {other}")


def _word(kind: str) -> str:
    words = {sql: word for word, sql in TYPE_WORDS.items()}
    return words.get(kind, kind.lower())


def _is_filled(x: str, kind: Any) -> str:  # noqa: ANN401 - DuckDB's type has no name of its own
    """Give the SQL that tells whether a value says anything of its type: an empty list does not."""
    if kind.id in {"list", "array"}:
        return f"len(list_filter({x}, lambda each: each IS NOT NULL)) > 0"
    return f"{x} IS NOT NULL"


_INTEGER = "(0|-?[1-9][0-9]*)"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_NUMERAL = "[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?"


def text_candidates(x: str) -> list[Candidate]:
    """Give the types text may be: writing the value again must give the same text.

    Numbers are written in one way throughout: `1.0, 2.5` as Python does, or `1, 2.5`.
    """
    double = f"TRY_CAST({x} AS DOUBLE)"
    plain = f"(regexp_full_match({x}, '{_INTEGER}') AND {double}::VARCHAR = {x} || '.0')"
    return [
        Candidate(f"TRY_CAST({x} AS BIGINT)::VARCHAR = {x}", f"TRY_CAST({x} AS BIGINT)"),
        Candidate(_is_number(x), double),
        Candidate(f"{plain} OR ({_is_number(x)} AND NOT ends_with({x}, '.0'))", double),
        Candidate(_is_day(x), f"TRY_CAST({x} AS DATE)"),
        Candidate(_is_instant(x), f"TRY_CAST({x} AS TIMESTAMP)"),
        Candidate(f"{x} IN ('true', 'false')", f"TRY_CAST({x} AS BOOLEAN)"),
    ]


def _is_number(x: str) -> str:
    pattern = "-?(0|[1-9][0-9]*)[.][0-9]+"
    return f"(regexp_full_match({x}, '{pattern}') AND TRY_CAST({x} AS DOUBLE)::VARCHAR = {x})"


def _is_day(x: str) -> str:
    """Give the SQL for a day of the years 1 to 9999."""
    return f"(regexp_full_match({x}, '{_DAY}') AND TRY_CAST({x} AS DATE)::VARCHAR = {x})"


def _is_instant(x: str) -> str:
    return f"(regexp_matches({x}, '^{_DAY} [^()]*$') AND TRY_CAST({x} AS TIMESTAMP)::VARCHAR = {x})"


def json_number_candidates(x: str) -> list[Candidate]:
    """Give the types of JSON numbers, read as text: whole ones of any size stay what they are."""
    exact = f"regexp_full_match({x}, '-?[0-9]{{1,15}}') OR regexp_matches({x}, '[.eE]')"
    return [
        Candidate(f"TRY_CAST({x} AS BIGINT)::VARCHAR = {x}", f"TRY_CAST({x} AS BIGINT)"),
        Candidate(f"({exact}) AND TRY_CAST({x} AS DOUBLE) IS NOT NULL", f"TRY_CAST({x} AS DOUBLE)"),
    ]


_NESTED = frozenset({"list", "array", "struct", "map"})
_AS_IT_IS = frozenset({"boolean", "decimal", "varchar", "blob", "time", "double", "bigint"})
_SMALL_INTEGERS = frozenset({"tinyint", "smallint", "integer", "utinyint", "usmallint", "uinteger"})
_LARGE_INTEGERS = frozenset({"ubigint", "hugeint", "uhugeint", "bignum"})
_INSTANTS = frozenset({"timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns"})
_ZONED = "timestamp with time zone"
_OUT_OF_RANGE = r'"[+-]?[0-9]{5,}-[0-9]{2}-|infinity|\(BC\)|[0-9]{19,}'


def typed_candidates(x: str, kind: Any) -> list[Candidate]:  # noqa: ANN401 - DuckDB's type has no name of its own
    """Give the forms in which a typed column is carried: every reader takes them, and so does the ledger."""
    text = Candidate("true", _as_text(x, kind))
    if kind.id in _NESTED:
        is_sound = f"NOT regexp_matches(to_json({x})::VARCHAR, '{_OUT_OF_RANGE}')"
        return [Candidate(is_sound, carried_form(x, kind)), text]
    if kind.id == "date":
        return [Candidate(_is_in_range(x), x), text]
    if kind.id in _INSTANTS:
        exact = f"{x}::TIMESTAMP::{kind} = {x}"
        return [Candidate(f"{_is_in_range(x)} AND {exact}", f"{x}::TIMESTAMP"), text]
    if str(kind).lower() == _ZONED:
        return [Candidate(_is_in_range(x), x), text]
    if kind.id in _LARGE_INTEGERS:
        small = f"TRY_CAST({x} AS BIGINT)"
        return [Candidate(f"{small} IS NOT NULL", small), text]
    return [Candidate("true", carried_form(x, kind))]


def _is_in_range(x: str) -> str:
    return f"isfinite({x}) AND year({x}) BETWEEN 1 AND 9999"


def carried_form(x: str, kind: Any, depth: int = 0) -> str:  # noqa: ANN401 - DuckDB's type has no name of its own
    """Give the SQL of a value in a type that every reader takes: a map is a list of keys and values."""
    if kind.id in _AS_IT_IS or kind.id == "date" or str(kind).lower() == _ZONED:
        return x
    if kind.id in _SMALL_INTEGERS | _LARGE_INTEGERS:
        return f"{x}::BIGINT"
    if kind.id == "float":
        return f"{x}::DOUBLE"
    if kind.id in _INSTANTS:
        return f"{x}::TIMESTAMP"
    if kind.id in _NESTED:
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


def _as_text(x: str, kind: Any) -> str:  # noqa: ANN401 - DuckDB's type has no name of its own
    return f"to_json({x})::VARCHAR" if kind.id in _NESTED else f"{x}::VARCHAR"


def text_cast(x: str, kind: str) -> str:
    """Give the SQL of text in a type: NULL unless writing the value again gives the text."""
    whole = f"regexp_full_match({x}, '{_INTEGER}')"
    tests = {
        "BIGINT": f"TRY_CAST({x} AS BIGINT)::VARCHAR = regexp_replace({x}, '[.]0$', '')",
        "DOUBLE": f"({whole} AND TRY_CAST({x} AS DOUBLE)::VARCHAR = {x} || '.0') OR {_is_number(x)}",
        "DATE": _is_day(x),
        "TIMESTAMP": f"{_is_instant(x)} OR {_is_day(x)}",
    }
    test = tests.get(kind, f"TRY_CAST({x} AS {kind})::VARCHAR = {x}")
    return f"CASE WHEN {test} THEN TRY_CAST({x} AS {kind}) END"


def exact_cast(x: str, own: str, kind: str) -> str:
    """Give the SQL of a value in another type: NULL unless it can be had back."""
    if "BOOLEAN" in (own, kind):
        return f"CAST(NULL AS {kind})"
    there = f"TRY_CAST({x} AS {kind})"
    return f"CASE WHEN TRY_CAST({there} AS {own}) IS NOT DISTINCT FROM {x} THEN {there} END"


def lenient_cast(text: str, kind: str) -> str:
    """Give the SQL of text in a type that a person chose: any way of writing the value is taken."""
    x = f"trim({text})"
    value = f"TRY_CAST({x} AS {kind})"
    tests = {
        "BIGINT": f"regexp_full_match({x}, '{_NUMERAL}') AND TRY_CAST({x} AS DOUBLE) = {value}",
        "DOUBLE": f"regexp_full_match({x}, '{_NUMERAL}')",
        "DATE": _is_in_range(value),
        "TIMESTAMP": _is_in_range(value),
    }
    return f"CASE WHEN {tests.get(kind, 'true')} THEN {value} END"


def quoted(name: str) -> str:
    """Give a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Give text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"
