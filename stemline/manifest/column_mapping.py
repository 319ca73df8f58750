"""The columns of a loaded manifest under our names, as `catalogue.columns` maps them.

It is done first, so that all that follows (types, filter, order, layout, tombstones) knows these columns by our names
alone. A filter and an order may also name them as the manifest does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import duckdb

from stemline.errors import ConfigError
from stemline.manifest.manifest_source import ManifestSource
from stemline.manifest.value_forms import quoted
from stemline.settings.column_mapping import column_key

_SHOWN_NAMES = 30


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Which columns of a manifest have another name here."""

    ours: Mapping[str, str] = field(default_factory=dict)
    """Name as the manifest writes it: our name."""

    @property
    def aliases(self) -> dict[str, str]:
        """Give the manifest's own names that a filter may use besides ours, with ours."""
        taken = {column_key(name) for name in self.ours.values()}
        return {theirs: ours for theirs, ours in self.ours.items() if column_key(theirs) not in taken}

    def renamed(self, names: Iterable[str]) -> list[str]:
        """Give columns as they are called here."""
        return [self.ours.get(name, name) for name in names]

    def apply(self, source: ManifestSource) -> ManifestSource:
        """Give a source whose types are by our names."""
        ours = {column_key(theirs): name for theirs, name in self.ours.items()}
        types = {ours.get(column_key(name), name): kind for name, kind in source.types.items()}
        if len(types) < len(source.types):
            given = set(map(column_key, source.types))
            twice = next(theirs for theirs, name in self.ours.items() if {column_key(theirs), name} <= given)
            raise ConfigError(
                f'catalogue.types names the column "{twice}" twice, once by our name "{self.ours[twice]}".',
                fix="Keep one of them.",
            )
        return replace(source, types=types)


def map_columns(
    database: duckdb.DuckDBPyConnection, source: ManifestSource, names: Sequence[str], *, is_listing: bool
) -> ColumnMapping:
    """Put the table `raw` under our names; `names` are the manifest's own columns.

    Raises ConfigError for a column that is not there, and for one that has our name already.
    """
    if not source.columns:
        return ColumnMapping()
    if is_listing:
        raise ConfigError(
            f'catalogue.columns maps columns, and "{source.manifest}" is audio files, which have none.',
            fix="Take catalogue.columns out of the config.",
        )
    mapping = resolve_mapping(source.columns, names)
    renames = ", ".join(f"{quoted(theirs)} AS {quoted(ours)}" for theirs, ours in mapping.ours.items())
    ((kind,),) = database.execute(
        "SELECT table_type FROM information_schema.tables WHERE table_name = 'raw'"
    ).fetchall()
    database.execute(f"ALTER {'VIEW' if kind == 'VIEW' else 'TABLE'} raw RENAME TO as_written")
    database.execute(f"CREATE VIEW raw AS SELECT * RENAME ({renames}) FROM as_written")
    return mapping


def resolve_mapping(columns: Mapping[str, str], names: Sequence[str]) -> ColumnMapping:
    """Give a mapping (our name: the manifest's) by the manifest's names as it writes them; raises as `map_columns`."""
    mapping = ColumnMapping({_find(theirs, names): ours for ours, theirs in columns.items()})
    _refuse_conflicts(mapping, names)
    return mapping


def _find(theirs: str, names: Sequence[str]) -> str:
    """Give a column as the manifest writes it."""
    if theirs in names:
        return theirs
    by_key = {column_key(name): name for name in reversed(names)}
    if (found := by_key.get(column_key(theirs))) is not None:
        return found
    near = get_close_matches(column_key(theirs), list(by_key), 1, 0.0)
    shown = ", ".join(names[:_SHOWN_NAMES]) + (", …" if len(names) > _SHOWN_NAMES else "")
    raise ConfigError(
        f'catalogue.columns names "{theirs}", which is no column of the manifest; the nearest is '
        f'"{by_key[near[0]] if near else "none"}".',
        fix=f"Its columns are {shown}.",
    )


def _refuse_conflicts(mapping: ColumnMapping, names: Sequence[str]) -> None:
    """Refuse a name of ours that another column of the manifest has."""
    kept = {column_key(name): name for name in names if name not in mapping.ours}
    for theirs, ours in mapping.ours.items():
        if (there := kept.get(ours)) is not None:
            raise ConfigError(
                f'catalogue.columns makes "{theirs}" the column "{ours}", and the manifest has a "{there}" of its own.',
                fix=f'To take "{there}", take `{ours}` out of catalogue.columns; to take "{theirs}", rename "{there}" '
                "in the manifest.",
            )
