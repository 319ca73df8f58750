"""The type every carried column has: as the dataset keeps it, as the configuration says, or as all its values allow.

A value is never changed on the way: text becomes a number, a day or an instant only where writing that again gives the
same text, and a column whose values the dataset's type cannot hold is refused, with the first row it fails in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from stemline.errors import ConfigError, ManifestError
from stemline.manifest.column_forms import VALUE, ColumnForms, find_losses
from stemline.manifest.lines import ROW
from stemline.manifest.manifest_source import ManifestSource, is_undecided
from stemline.manifest.nested_types import grown_type
from stemline.manifest.type_casts import exact_cast, lenient_cast, text_cast
from stemline.manifest.value_forms import NESTED, as_text, quoted

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
    forms: ColumnForms,
) -> TypedColumns:
    """Give the type and SQL of each carried column (name in the dataset: name in the manifest).

    Raises ManifestError for a value that the column's type cannot hold.
    """
    columns = _Columns(database, source, forms)
    wanted = columns.wanted(carried)
    columns.refuse_losses(wanted)
    sql = {
        name: columns.cast(name, wanted[name], quoted(name)) if name in wanted else forms.sql(name)
        for name in carried.values()
    }
    nested = {name for name, column in forms.columns.items() if column.kind.id in NESTED}
    undecided = {name for name in forms.undecided if name.lower() not in columns.explicit}
    filtered = {name: text for name, text in sql.items() if name not in nested}
    return TypedColumns(sql, frozenset(undecided), filtered)


class _Columns:
    """The columns of the table `raw`."""

    def __init__(
        self, database: duckdb.DuckDBPyConnection, source: ManifestSource, forms: ColumnForms
    ) -> None:
        self.database = database
        self.source = source
        self.forms = forms
        self.explicit = {name.lower(): TYPE_WORDS[word] for name, word in source.types.items()}
        self._castable: dict[tuple[str, str], bool] = {}

    def wanted(self, carried: Mapping[str, str]) -> dict[str, str]:
        """Give the DuckDB type of each column for which one is set, by its name in the manifest."""
        kept = self._kept(carried)
        wanted = {}
        for ours, name in carried.items():
            if ours in ALWAYS_TEXT:
                wanted[name] = _TEXT
                continue
            if ours == RELEASED_ON:
                wanted[name] = self._release_type(name, kept.get(ours))
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

    def _release_type(self, name: str, kept: str | None) -> str:
        """Give the type of `released_on`: a day or an instant where every value is one, else text.

        It is never refused: the table has a day of its own beside it.
        """
        if kept == _TEXT:
            return _TEXT
        if name in self.forms.undecided:
            return kept or "DATE"
        own = self.forms.types[name]
        return str(own) if own.id == "date" or own.id.startswith("timestamp") else _TEXT

    def _kept(self, carried: Mapping[str, str]) -> dict[str, str]:
        """Give the types the dataset keeps its columns in, where values have decided them, nested ones as they grow."""
        kept = [] if self.source.carried is None else self.source.carried
        columns = [each for each in kept if not is_undecided(each)]
        if not columns:
            return {}
        grown = pa.schema(
            [
                each.with_type(grown_type(each.type, self._own_type(carried[each.name])))
                if pa.types.is_nested(each.type) and each.name in carried
                else each
                for each in columns
            ]
        )
        # An empty table would do, and its making imports pandas.
        relation = self.database.from_arrow(pa.RecordBatchReader.from_batches(grown, []))
        return dict(zip(grown.names, map(str, relation.types), strict=True))

    def _own_type(self, name: str) -> pa.DataType:
        return (
            self.database.sql(f"SELECT {self.forms.sql(name)} FROM raw LIMIT 0")
            .to_arrow_table()
            .schema.types[0]
        )

    def cast(self, name: str, kind: str, x: str) -> str:
        """Give the SQL of a column in a certain type: NULL for what it cannot hold; `x` stands for its values."""
        column = self.forms.columns[name]
        if kind == _TEXT:
            return column.as_text(x)
        if name.lower() in self.explicit:
            return lenient_cast(as_text(x, column.kind), kind)
        if str(self.forms.types[name]) == kind:
            return self.forms.sql(name, x)
        return self._own_cast(name, kind, x) if self._can_cast(name, kind) else f"CAST(NULL AS {kind})"

    def _own_cast(self, name: str, kind: str, x: str) -> str:
        found, own = self.forms.sql(name, x), str(self.forms.types[name])
        return text_cast(found, kind) if own == _TEXT else exact_cast(found, own, kind)

    def _can_cast(self, name: str, kind: str) -> bool:
        """Tell whether any value of a column's own type can be one of another."""
        key = (str(self.forms.types[name]), kind)
        if key not in self._castable:
            try:
                self.database.sql(f"SELECT {self._own_cast(name, kind, quoted(name))} FROM raw LIMIT 0")
                self._castable[key] = True
            except duckdb.Error:
                self._castable[key] = False
        return self._castable[key]

    def refuse_losses(self, wanted: Mapping[str, str]) -> None:
        """Raise ManifestError for the first value that is lost in its column's type."""
        casts = {
            name: self.cast(name, kind, VALUE)
            for name, kind in wanted.items()
            # Text holds everything, and so does the form that was found for all values.
            if kind != _TEXT and (kind != str(self.forms.types[name]) or name.lower() in self.explicit)
        }
        losses = find_losses(self.database, casts, self.forms.columns)
        for name, kind in wanted.items():
            if name in losses:
                raise self._loss(name, kind, losses[name])

    def _loss(self, name: str, kind: str, row: int) -> ManifestError:
        text = as_text(quoted(name), self.forms.columns[name].kind)
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
