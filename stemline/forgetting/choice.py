"""Which tracks are meant: looked up in the tables, in releases, and among what the ledger alone knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import duckdb
import pyarrow as pa

from stemline.dataset.cell_value import column_array
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.table_row import manifest_cells
from stemline.errors import UsageError
from stemline.forgetting.order import OrderedTrack
from stemline.ledger import Ledger
from stemline.ledger.forgetting import LedgerTrack
from stemline.manifest import ManifestSource
from stemline.manifest.expression import bounded, check_expressions, shut
from stemline.manifest.manifest_file import filter_reason
from stemline.manifest.source_root import SourceRoot
from stemline.manifest.value_forms import literal
from stemline.records import Attempt, Job, Phase, Recipe, Track
from stemline.release.record import RELEASES_PREFIX
from stemline.rewrite.partfiles import fetched
from stemline.rewrite.snapshot import live_parts
from stemline.storage import Store, scratch_folder
from stemline.tombstone import normal_isrc, normal_name

MOST_NEAR = 10
NEAR = 0.9
"""How alike two names are, by Jaro and Winkler, that may be meant for one another."""
ROWS_AT_ONCE = 10_000
_ASKED = ("track_id", "source_uri", "attempt_token", "job_id", "artist", "title", "isrc")
"""What every choice is described by."""
_NORMAL: dict[str, Callable[[object], str]] = {"isrc": normal_isrc, "artist": normal_name, "track_id": str}


@dataclass(frozen=True, slots=True)
class ForgetChoice:
    """What was asked for, in one way."""

    tracks: tuple[str, ...] = ()
    isrcs: tuple[str, ...] = ()
    artists: tuple[str, ...] = ()
    where: str | None = None

    def __post_init__(self) -> None:
        """Refuse what names nothing, or mixes ways."""
        ways = [self.tracks, self.isrcs, self.artists, self.where]
        if sum(map(bool, ways)) != 1 or not all(map(normal_name, (*self.tracks, *self.isrcs, *self.artists))):
            raise UsageError(
                "What is to be forgotten is named in one way.",
                fix="Give one of --track, --isrc, --artist (each may be repeated) and --where.",
            )

    @property
    def way(self) -> str:
        """`track`, `isrc`, `artist` or `where`."""
        if self.tracks:
            return "track"
        return "isrc" if self.isrcs else "artist" if self.artists else "where"

    @property
    def column(self) -> str:
        """The column that is asked about."""
        return {"track": "track_id", "isrc": "isrc"}.get(self.way, "artist")

    @property
    def texts(self) -> frozenset[str]:
        """The normal forms of what was asked for."""
        given = self.tracks or self.isrcs or self.artists
        return frozenset(_NORMAL[self.column](text) for text in given)


@dataclass
class ChosenTracks:
    """The tracks that are meant, and names that are near to what was asked for."""

    tracks: list[OrderedTrack] = field(default_factory=list)
    near: list[str] = field(default_factory=list)
    """They are not forgotten; somebody may have meant them."""


def choose_tracks(store: Store, layout: DatasetLayout, ledger: Ledger, choice: ForgetChoice) -> ChosenTracks:
    """Look up what is meant; raises ManifestError for a filter that is more than an expression, or does not work."""
    schema = (
        layout.tracks if choice.where is not None else pa.schema([layout.tracks.field(n) for n in _ASKED])
    )
    with _catalogue(store, schema, _ledger_rows(ledger, layout, schema)) as database:
        ids = _ids_of(database, choice) if choice.where is None else _ids_where(database, choice.where)
        rejected = ledger.forgetting.rejected(choice.tracks) if choice.tracks else {}
        # Ids and ISRCs of one label are all alike: they are near where none is the one that was asked for.
        is_clear = choice.where is not None or (bool(ids) and choice.way != "artist")
        near = [] if is_clear else _near(database, choice)
        tracks = _describe(database, ledger, ids | rejected.keys(), rejected)
        return ChosenTracks([_called_from(layout.source_root, each) for each in tracks], near)


def _ids_of(database: duckdb.DuckDBPyConnection, choice: ForgetChoice) -> set[str]:
    values = _values(database, choice.column)
    meant = [value for value in values if _NORMAL[choice.column](value) in choice.texts]
    theirs = f"CAST({choice.column} AS VARCHAR) IN (SELECT unnest($1))"
    query = f"SELECT DISTINCT track_id FROM manifest WHERE {theirs}"
    return {row[0] for row in database.execute(query, [meant]).fetchall()} if meant else set()


def _ids_where(database: duckdb.DuckDBPyConnection, where: str) -> set[str]:
    try:
        check_expressions(database, ManifestSource("", where=where))
        with bounded(database):
            query = f"SELECT DISTINCT track_id FROM manifest WHERE (\n{where}\n)"
            return {row[0] for row in database.execute(query).fetchall()}
    except duckdb.Error as error:
        names = [row[0] for row in database.execute("DESCRIBE manifest").fetchall()]
        reason = filter_reason(error)
        raise UsageError(
            f'--where "{where}" does not work: {reason}.', fix=f"The columns are {', '.join(names)}."
        ) from error


def _values(database: duckdb.DuckDBPyConnection, column: str) -> list[str]:
    query = f"SELECT DISTINCT CAST({column} AS VARCHAR) FROM manifest WHERE {column} IS NOT NULL"
    return [row[0] for row in database.execute(query).fetchall()]


def _near(database: duckdb.DuckDBPyConnection, choice: ForgetChoice) -> list[str]:
    """Give values that hold what was asked for, or look like it: a joint name, a slip of the pen."""
    found: dict[str, float] = {}
    query = f"""
        SELECT value, jaro_winkler_similarity(lower(value), lower($1)) AS likeness
        FROM (SELECT DISTINCT CAST({choice.column} AS VARCHAR) AS value FROM manifest)
        WHERE value IS NOT NULL AND (contains(lower(value), lower($1)) OR likeness >= {NEAR})
        ORDER BY likeness DESC, value LIMIT {10 * MOST_NEAR}
    """
    for text in choice.tracks or choice.isrcs or choice.artists:
        found |= dict(database.execute(query, [text.strip()]).fetchall())
    others = [value for value in found if _NORMAL[choice.column](value) not in choice.texts]
    return sorted(others, key=lambda value: (-found[value], value))[:MOST_NEAR]


def _describe(
    database: duckdb.DuckDBPyConnection, ledger: Ledger, ids: set[str], rejected: Mapping[str, str]
) -> list[OrderedTrack]:
    if not ids:
        return []
    query = """
        SELECT track_id, list(DISTINCT attempt_token), list(DISTINCT source_uri), list(DISTINCT job_id),
          list(DISTINCT title), list(DISTINCT artist), list(DISTINCT isrc)
        FROM manifest WHERE track_id IN (SELECT unnest($1)) GROUP BY track_id
    """
    rows = {row[0]: row[1:] for row in database.execute(query, [sorted(ids)]).fetchall()}
    made = ledger.forgetting.attempts_of(ids)
    found = []
    for track_id in sorted(ids):
        tokens, locations, jobs, *names = rows.get(track_id, ([], [], [], []))
        theirs = made.get(track_id, {})
        found.append(
            OrderedTrack(
                track_id,
                _texts(tokens, theirs),
                _texts(jobs, theirs.values()),
                _texts(locations, [rejected.get(track_id)]),
                _texts(*names),
            )
        )
    return found


def _called_from(root: SourceRoot, track: OrderedTrack) -> OrderedTrack:
    """Give a track with its locations as reports and rejects call them, too."""
    return replace(track, locations=_texts(track.locations, map(root.relative, track.locations)))


def _texts(*some: Iterable[str | None] | None) -> tuple[str, ...]:
    return tuple(sorted({text for each in some for text in each or () if text}))


@contextmanager
def _catalogue(
    store: Store, schema: pa.Schema, known: Iterator[pa.Table]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a database with the view `manifest`: a row for each track and recipe that tables or ledger have."""
    releases = [key for key in store.list(RELEASES_PREFIX) if key.endswith(".parquet") and "/tracks/" in key]
    here = set(store.list("tracks"))
    live = [key for key in live_parts(store) if "/tracks/" in f"/{key}"]
    # A part that the snapshot lists and that is gone holds nothing.
    keys = sorted([*(key for key in live if key in here or store.exists(key)), *releases])
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder())
        files = [str(path) for path in stack.enter_context(fetched(store, keys))]
        database = stack.enter_context(duckdb.connect(config={"temp_directory": str(folder)}))
        _keep(database, schema, known)
        parts = ""
        if files:
            listed = ", ".join(map(literal, files))
            options = "union_by_name = true, hive_partitioning = false"
            parts = f"SELECT * FROM read_parquet([{listed}], {options}) UNION ALL BY NAME "
        database.execute(f"CREATE VIEW manifest AS {parts}SELECT * FROM known")
        shut(database, files)
        yield database


def _keep(database: duckdb.DuckDBPyConnection, schema: pa.Schema, known: Iterator[pa.Table]) -> None:
    """Make the table `known` of these rows."""
    database.register("nothing", schema.empty_table())
    database.execute("CREATE TABLE known AS SELECT * FROM nothing")
    database.unregister("nothing")
    for some in known:
        database.register("more", some)
        database.execute("INSERT INTO known SELECT * FROM more")
        database.unregister("more")


def _ledger_rows(ledger: Ledger, layout: DatasetLayout, schema: pa.Schema) -> Iterator[pa.Table]:
    """Give what the ledger has of tracks, with those columns of the tables that are asked about."""
    loose = pa.schema([pa.field(each.name, each.type) for each in schema])
    make = _row if len(schema) > len(_ASKED) else _light_row
    rows = iter(ledger.forgetting.every_track())
    while some := [make(track, layout) for track in islice(rows, ROWS_AT_ONCE)]:
        arrays = [_array([row.get(each.name) for row in some], each.type) for each in schema]
        yield pa.Table.from_arrays(arrays, schema=loose)


def _light_row(track: LedgerTrack, _: DatasetLayout) -> dict[str, Any]:
    given = {name: track.columns.get(name) for name in ("artist", "title", "isrc")}
    texts = {name: None if value is None else str(value) for name, value in given.items()}
    return {**texts, "track_id": track.track_id, "source_uri": track.location}


def _array(values: list[Any], kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """Give a column; what its type cannot hold is left out, as it would be in the tables."""
    try:
        return column_array(values, kind)
    except ValueError:
        return pa.concat_arrays([_cell(value, kind) for value in values])


def _cell(value: Any, kind: pa.DataType) -> pa.Array:  # noqa: ANN401 - any cell of a manifest
    try:
        return column_array([value], kind)
    except ValueError:
        return pa.nulls(1, kind)


def _row(track: LedgerTrack, layout: DatasetLayout) -> dict[str, Any]:
    recipe = Recipe(*track.recipe.split("-"))
    given = Track(track.track_id, track.location, 0, columns=dict(track.columns))
    attempt = Attempt("", given, recipe, track.provider, 0, 0)
    cells = {"track_id": track.track_id, "provider": track.provider, "recipe": track.recipe}
    parts = {"stems": recipe.stems, "quality": recipe.quality, "format": recipe.format}
    return {
        **manifest_cells(attempt, Job("", Phase.QUEUED), layout),
        **cells,
        **parts,
        "source_uri": track.location,
    }
