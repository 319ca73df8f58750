"""SQL over a loaded manifest: typed columns to filter on, the location and id of each row, its bad rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import duckdb

from stemline.errors import ManifestError
from stemline.manifest.column_names import likely_columns
from stemline.manifest.column_types import TypedColumns
from stemline.manifest.lines import LINE, PROBLEM, ROW
from stemline.manifest.listing import SIZE
from stemline.manifest.location import URL_PATTERN
from stemline.manifest.manifest_file import ManifestFile
from stemline.manifest.manifest_source import LOCATION_NAMES
from stemline.manifest.mapping_words import columns_flags
from stemline.manifest.value_forms import literal, quoted
from stemline.records import Code

WRITTEN = "__stemline_written"
LOCATION = "__stemline_location"
GIVEN_ID = "__stemline_given_id"
TRACK_ID = "__stemline_id"
DURATION = "__stemline_duration"
PRIORITY = "__stemline_priority"
RANK = "__stemline_rank"
CARRIED = "__stemline_carried_"
"""Begins the names of the columns as the dataset has them; their place among the carried ones follows."""
INTERNAL = frozenset({ROW, PROBLEM, LINE, SIZE})

SHARED = ("artist", "title", "album", "isrc", "license", "released_on")
"""Columns the dataset has too, which are carried through under these names."""
TEXT_NAMES = frozenset({*LOCATION_NAMES, "track_id", "artist", "title", "album", "isrc", "license"})
"""Columns that are text whatever they look like: `00123` keeps its zeros."""
OURS = ("track_id", "duration_seconds", "priority")

_ID_HEX_DIGITS = 16


@dataclass(frozen=True, slots=True)
class ManifestColumns:
    """The columns of a loaded manifest: which is the location, which are ours, which are carried through."""

    location: str
    ours: dict[str, str]
    """`track_id`, `duration_seconds`, `priority`: the name as the manifest writes it."""
    carried: dict[str, str]
    """Name in the dataset: name as the manifest writes it."""

    @property
    def names(self) -> list[str]:
        """Every column as the manifest writes it."""
        return [self.location, *self.ours.values(), *self.carried.values()]


def sort_columns(names: Iterable[str], file: ManifestFile) -> ManifestColumns:
    """Give every column its role; case does not matter, and one that the dataset has keeps its name there.

    Raises `ManifestError` when none is a location.
    """
    written: dict[str, str] = {}
    for name in names:
        low, number = name.strip().lower(), 2
        while low in written:  # " plays" beside "plays": neither takes the other's place
            low, number = f"{name.strip().lower()}_{number}", number + 1
        if name not in INTERNAL:
            written[low] = name
    location = next((written[alias] for alias in LOCATION_NAMES if alias in written), None)
    if location is None:
        raise _no_location(written.values(), file)
    ours = {name: written[name] for name in OURS if name in written}
    taken = {location, *ours.values()}
    carried = {
        low if low in SHARED else _name_kept(name, written.values(), file): name
        for low, name in written.items()
        if name not in taken
    }
    return ManifestColumns(location, ours, carried)


def _name_kept(name: str, written: Collection[str], file: ManifestFile) -> str:
    """Give the name the dataset has for a column: its own, unless it is there in other letters alone."""
    kept = file.source.carried.names if file.source.carried else []
    alike = [each for each in kept if each.lower() == name.strip().lower() and each not in written]
    return name if name in kept or not alike else str(alike[0])


def _no_location(names: Iterable[str], file: ManifestFile) -> ManifestError:
    found = sorted(names)
    near = [name for alias in LOCATION_NAMES for name in get_close_matches(alias, found, n=1, cutoff=0.6)]
    likely = likely_columns(found).get("uri") or next(iter(near), None)
    rename = (
        f'If "{likely}" says where the audio is, add {columns_flags({"uri": likely})}.'
        if likely
        else "Name the column that says where each track's audio is in catalogue.columns: "
        f"{columns_flags({'uri': 'NAME'})}."
    )
    return ManifestError(
        f'The manifest "{file.source.manifest}" has no column {", ".join(LOCATION_NAMES[:-1])} '
        f"or {LOCATION_NAMES[-1]}; its columns are {', '.join(found) or 'none'}.",
        fix=rename,
    )


def create_view(
    database: duckdb.DuckDBPyConnection,
    columns: ManifestColumns,
    typed: TypedColumns,
    base: str,
    aliases: Mapping[str, str],
) -> None:
    """Create the view `manifest` over the table `raw`: the user's columns, typed, and the row's own facts.

    `aliases` are second names that a filter may use: each with the column's name.
    """
    names = database.sql("SELECT * FROM raw LIMIT 0").columns
    shown = [f"{_shown(name, columns, typed)} AS {quoted(name)}" for name in names if name not in INTERNAL]
    shown += [f"{_shown(name, columns, typed)} AS {quoted(alias)}" for alias, name in aliases.items()]
    shown += [
        f"{typed.sql.get(name, quoted(name))} AS {CARRIED}{place}"
        for place, name in enumerate(columns.carried.values())
    ]
    # One select, in which later expressions name earlier ones: each level more is planned for every column again.
    facts = ", ".join(_facts(columns, base, has_size=SIZE in names))
    database.execute(f"CREATE OR REPLACE VIEW row_facts AS SELECT {facts} FROM raw")
    database.execute(f"CREATE OR REPLACE VIEW manifest AS SELECT {', '.join([facts, *shown])} FROM raw")


def _facts(columns: ManifestColumns, base: str, *, has_size: bool) -> list[str]:
    """Give the SQL of a row's own facts, in their order."""
    return [
        ROW,
        PROBLEM,
        quoted(SIZE) if has_size else f"NULL::BIGINT AS {SIZE}",
        f"nullif(trim({quoted(columns.location)}::VARCHAR), '') AS {WRITTEN}",
        _our_text(columns, "track_id", GIVEN_ID),
        _our_text(columns, "duration_seconds", DURATION),
        _our_text(columns, "priority", PRIORITY),
        f"{_resolved(base)} AS {LOCATION}",
        f"coalesce({GIVEN_ID}, 't-' || left(sha256({LOCATION}), {_ID_HEX_DIGITS})) AS {TRACK_ID}",
    ]


def _shown(name: str, columns: ManifestColumns, typed: TypedColumns) -> str:
    """Give the SQL of a column as a filter sees it."""
    if name == columns.ours.get("duration_seconds"):
        return f"TRY_CAST({_seconds(f'{quoted(name)}::VARCHAR')} AS DOUBLE)"
    if name == columns.ours.get("priority"):
        return f"TRY_CAST({quoted(name)}::VARCHAR AS BIGINT)"
    return typed.filtered.get(name, quoted(name))


def _seconds(x: str) -> str:
    """Give the SQL of seconds as text for what may be written as a clock does: `3:45`, `1:02:03`."""
    # From behind: hours may be missing.
    parts = f"list_reverse(string_split(trim({x}), ':'))"
    places = ((1, "1"), (2, "60"), (3, "3600"))
    summed = " + ".join(
        f"coalesce(TRY_CAST({parts}[{at}] AS DECIMAL(18, 6)), 0) * {unit}" for at, unit in places
    )
    is_clock = f"regexp_full_match(trim({x}), '[0-9]{{1,3}}(:[0-5][0-9]){{1,2}}([.][0-9]{{1,6}})?')"
    return f"CASE WHEN {is_clock} THEN ({summed})::DOUBLE::VARCHAR ELSE {x} END"


def _our_text(columns: ManifestColumns, ours: str, fact: str) -> str:
    name = columns.ours.get(ours)
    written = f"{quoted(name)}::VARCHAR" if name else "NULL::VARCHAR"
    return f"nullif(trim({written}), '') AS {fact}"


def _resolved(base: str) -> str:
    """Give the SQL that makes a location absolute: relative paths are relative to the manifest's folder."""
    return f"""CASE
        WHEN regexp_matches({WRITTEN}, '^(?i)file:/')
            THEN regexp_replace({WRITTEN}, '^(?i)file:(//(localhost)?)?', '')
        WHEN starts_with({WRITTEN}, '/') OR regexp_matches({WRITTEN}, '{URL_PATTERN}') THEN {WRITTEN}
        ELSE {literal(base)} || regexp_replace({WRITTEN}, '^([.]/+)+', '')
        END"""


def create_bad_rows(database: duckdb.DuckDBPyConnection) -> int:
    """Create the table `bad_row` of rows that are bad whatever is asked for, and give their number.

    A row that repeats a track_id is bad whether or not the first one is within `where`, so that two slices
    of a manifest never send two tracks under one id.
    """
    database.execute(f"""
        CREATE OR REPLACE TABLE bad_row AS
        SELECT {ROW} AS row, '{Code.BAD_ROW}' AS code, {PROBLEM} AS sentence
        FROM row_facts WHERE {PROBLEM} IS NOT NULL
        UNION ALL
        SELECT {ROW}, '{Code.DUPLICATE_ID}',
            'Row ' || {ROW} || CASE WHEN {GIVEN_ID} IS NULL
                THEN ' names the same file as row ' || first_row || ': drop it.'
                ELSE ' repeats the track_id "' || {TRACK_ID} || '" of row ' || first_row || '; give every row its own.'
            END
        FROM row_facts JOIN (
            SELECT {TRACK_ID}, min({ROW}) AS first_row FROM row_facts
            WHERE {WRITTEN} IS NOT NULL GROUP BY 1 HAVING count(*) > 1) USING ({TRACK_ID})
        WHERE {ROW} <> first_row AND {WRITTEN} IS NOT NULL
        ORDER BY 1
    """)
    ((count,),) = database.execute("SELECT count(*) FROM bad_row").fetchall()
    return int(count)
