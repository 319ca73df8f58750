"""The type every carried column has: as the dataset keeps it, as the configuration says, or as all its values allow.

A value is never changed on the way: text becomes a number, a day or an instant only where writing that again gives the
same text, and a column whose values the dataset's type cannot hold is refused, with the first row it fails in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from stemline.errors import ConfigError, ManifestError
from stemline.manifest.lines import PROBLEM, ROW
from stemline.manifest.manifest_source import ManifestSource, is_undecided
from stemline.manifest.nested_types import grown_type
from stemline.manifest.type_casts import exact_cast, lenient_cast, text_cast
from stemline.manifest.value_forms import (
    NESTED,
    Candidate,
    as_text,
    json_number_candidates,
    quoted,
    text_candidates,
    typed_candidates,
)

TYPE_WORDS = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
"""The words of `catalogue.types`, in DuckDB's."""
ALWAYS_TEXT = frozenset({"artist", "title", "album", "isrc", "license", "split", "ai_training"})
"""Columns of the dataset that are text, whatever a manifest makes of them."""
RELEASED_ON = "released_on"
_TEXT = "VARCHAR"
_SHOWN_VALUE = 80
_COLUMNS_AT_ONCE = 16
"""In one query: what DuckDB needs for a query grows with the square of its expressions."""


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
    found = columns.infer(list(carried.values()))
    wanted = columns.wanted(carried, found)
    casts = {name: columns.cast(name, found.sql[name], kind) for name, kind in wanted.items()}
    columns.refuse_losses(casts, wanted)
    sql = {**found.sql, **casts}
    nested = {name for name, kind in columns.kinds.items() if kind.id in NESTED}
    undecided = {name for name in found.undecided if name.lower() not in columns.explicit}
    filtered = {name: text for name, text in sql.items() if name not in nested}
    return TypedColumns(sql, frozenset(undecided), filtered)


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

    def infer(self, names: Sequence[str]) -> TypedColumns:
        """Give the narrowest form that all values of each column have."""
        sql: dict[str, str] = {}
        undecided: set[str] = set()
        for some in _groups(names):
            forms, empty = self._infer(some)
            sql |= forms
            undecided |= empty
        return TypedColumns(sql, frozenset(undecided))

    def _infer(self, names: Sequence[str]) -> tuple[dict[str, str], set[str]]:
        """Give the forms of some columns, and which have no value at all."""
        choices = {name: self._candidates(name) for name in names}
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
        empty = {name for name, count in zip(choices, counts, strict=True) if not count}
        return sql | {name: self._empty_form(name, choices[name]) for name in empty}, empty

    def _empty_form(self, name: str, forms: Sequence[Candidate]) -> str:
        """Give the form of a column in which nothing is said: text, or lists of text where there are lists."""
        is_list = self.kinds[name].id in {"list", "array"}
        return f"{quoted(name)}::VARCHAR[]" if is_list else forms[-1].sql

    def _candidates(self, name: str) -> list[Candidate]:
        x = quoted(name)
        if name in self.written["text"]:
            return [*text_candidates(x), Candidate("true", x)]
        if name in self.written["number"]:
            return [*json_number_candidates(x), Candidate("true", x)]
        return typed_candidates(x, self.kinds[name])

    def wanted(self, carried: Mapping[str, str], found: TypedColumns) -> dict[str, str]:
        """Give the DuckDB type of each column for which one is set, by its name in the manifest."""
        kept = self._kept(carried, found)
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

    def _kept(self, carried: Mapping[str, str], found: TypedColumns) -> dict[str, str]:
        """Give the types the dataset keeps its columns in, where values have decided them, nested ones as they grow."""
        kept = [] if self.source.carried is None else self.source.carried
        columns = [each for each in kept if not is_undecided(each)]
        if not columns:
            return {}
        grown = pa.schema(
            [
                each.with_type(grown_type(each.type, self._own_type(found.sql[carried[each.name]])))
                if pa.types.is_nested(each.type) and each.name in carried
                else each
                for each in columns
            ]
        )
        # An empty table would do, and its making imports pandas.
        relation = self.database.from_arrow(pa.RecordBatchReader.from_batches(grown, []))
        return dict(zip(grown.names, map(str, relation.types), strict=True))

    def _own_type(self, sql: str) -> pa.DataType:
        return self.database.sql(f"SELECT {sql} FROM raw LIMIT 0").to_arrow_table().schema.types[0]

    def cast(self, name: str, found: str, kind: str) -> str:
        """Give the SQL of a column in a certain type: NULL for what it cannot hold."""
        x, is_read_as_text = quoted(name), name in self.written["text"] | self.written["number"]
        if kind == _TEXT:
            return x if is_read_as_text or str(self.kinds[name]) == _TEXT else as_text(x, self.kinds[name])
        if name.lower() in self.explicit:
            return lenient_cast(as_text(x, self.kinds[name]), kind)
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
        for names in _groups(list(casts)):
            lost = ", ".join(
                f"min({ROW}) FILTER ({quoted(name)} IS NOT NULL AND {PROBLEM} IS NULL AND ({casts[name]}) IS NULL)"
                for name in names
            )
            (rows,) = self.database.execute(f"SELECT {lost} FROM raw").fetchall()
            for name, row in zip(names, rows, strict=True):
                if row is not None:
                    raise self._loss(name, wanted[name], row)

    def _loss(self, name: str, kind: str, row: int) -> ManifestError:
        text = as_text(quoted(name), self.kinds[name])
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


def _groups(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut columns into groups that one query takes."""
    return (names[start : start + _COLUMNS_AT_ONCE] for start in range(0, len(names), _COLUMNS_AT_ONCE))


def _word(kind: str) -> str:
    words = {sql: word for word, sql in TYPE_WORDS.items()}
    return words.get(kind, kind.lower())


def _is_filled(x: str, kind: Any) -> str:  # noqa: ANN401 - DuckDB's type has no name of its own
    """Give the SQL that tells whether a value says anything of its type: an empty list does not."""
    if kind.id in {"list", "array"}:
        return f"len(list_filter({x}, lambda each: each IS NOT NULL)) > 0"
    return f"{x} IS NOT NULL"
