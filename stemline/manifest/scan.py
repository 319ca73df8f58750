"""Tracks and rejects of a manifest, a batch at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice, repeat

import duckdb
import pyarrow as pa

from stemline.errors import ManifestError
from stemline.manifest.expression import bounded, check_expressions
from stemline.manifest.fence import Fence
from stemline.manifest.lines import BATCH_ROWS, PROBLEM, ROW
from stemline.manifest.listing import SIZE
from stemline.manifest.loading import LoadedManifest, load_manifest
from stemline.manifest.manifest_file import filter_reason, first_line, listing_root
from stemline.manifest.manifest_row import ManifestRow, read_row
from stemline.manifest.manifest_source import UNDECIDED, ManifestSource
from stemline.manifest.value_forms import quoted
from stemline.manifest.view import CARRIED, DURATION, LOCATION, PRIORITY, RANK, TRACK_ID, WRITTEN
from stemline.records import Code, Reject, Track

_FACTS = (ROW, WRITTEN, LOCATION, TRACK_ID, DURATION, PRIORITY, SIZE, RANK)
_TAGGED = ("artist", "title", "album", "isrc", "released_on", "guessed")
_STREAMING = (duckdb.Error, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class ManifestBatch:
    """Rows of a manifest: the tracks of the good ones, the rejects of the others, in manifest order."""

    tracks: tuple[Track, ...]
    rejects: tuple[Reject, ...]
    rows: int
    """How many selected rows the batch stands for."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Of a listing, with its first batch: the files that are no audio, by the ends of their names."""
    listed_below: str | None = None
    """The folder or prefix that the rows are the files of, of which only tags and names tell who plays what; None: they
    are rows of a table."""

    @property
    def is_listing(self) -> bool:
        """Whether the rows are files alone."""
        return self.listed_below is not None


def scan_manifest(source: ManifestSource) -> Iterator[ManifestBatch]:
    """Give the selected rows of a manifest in batches of at most 10,000 rows, in manifest order.

    `where` selects rows, `limit` the first rows of these, good or bad; `order_by` says which are the first, and
    gives tracks their priority. Rows that do not parse cannot be tested by `where` and are always given, up to the
    last selected row when there is a limit; of single `rows`, none behind the last of these.
    Raises `ManifestError` when the manifest as a whole cannot be used.
    """
    with load_manifest(source) as manifest:
        fence = Fence(source.root) if source.root is not None else None
        last = 0
        rows = 0
        passed_over = manifest.file.passed_over
        for batch in _selected(manifest):
            through = batch.column(ROW)[-1].as_py()
            rows += batch.num_rows
            found = _manifest_batch(batch, _bad_rows(manifest, last, through), fence)
            below = listing_root(manifest.file)
            counts = {"rows": batch.num_rows, "passed_over": Counter() if last else passed_over}
            yield replace(found, **counts, listed_below=below)
            last = through
        if source.rows is None and (source.limit is None or rows < source.limit):
            yield from _rest(manifest, last)


def count_rows(source: ManifestSource) -> int:
    """Give how many rows of a manifest are selected, whatever the limit; those that do not parse are not counted."""
    with load_manifest(source, with_bad_rows=False) as manifest:
        try:
            check_expressions(manifest.database, manifest.file.source)
            with bounded(manifest.database):
                query = f"SELECT count(*) FROM manifest WHERE {_wanted(manifest.file.source)}"
                ((count,),) = manifest.database.execute(query).fetchall()
        except _STREAMING as error:
            raise _stopped(manifest, error) from error
    return int(count)


def read_columns(source: ManifestSource, *, with_tags: bool = False) -> pa.Schema:
    """Give the columns that are carried through to the dataset, under their names and with their types there.

    `with_tags` gives those that the tags of a folder's files will fill as well.

    A column without a single value is marked with `UNDECIDED`. Raises ManifestError for a value that the type the
    dataset keeps its column in cannot hold.
    """
    with load_manifest(source, with_bad_rows=False) as manifest:
        if with_tags and manifest.file.listing is not None:
            return _tag_columns(source)
        if not manifest.columns.carried:
            return pa.schema([])
        query = f"SELECT {_carried(manifest)} FROM manifest LIMIT 0"
        schema = manifest.database.sql(query).to_arrow_table().schema
        guesses = {
            ours for ours, name in manifest.columns.carried.items() if name in manifest.typed.undecided
        }
        return pa.schema(
            [each.with_metadata({UNDECIDED: b"yes"}) if each.name in guesses else each for each in schema]
        )


def _tag_columns(source: ManifestSource) -> pa.Schema:
    """Give the columns that files' tags fill; one that the dataset keeps in another type stays empty."""
    kept = source.carried if source.carried is not None else pa.schema([])
    return pa.schema(
        [kept.field(name) if name in kept.names else pa.field(name, pa.string()) for name in _TAGGED]
    )


def _carried(manifest: LoadedManifest) -> str:
    return ", ".join(
        f"{CARRIED}{place} AS {quoted(ours)}" for place, ours in enumerate(manifest.columns.carried)
    )


def _selected(manifest: LoadedManifest) -> Iterator[pa.RecordBatch]:
    wanted = ", ".join([*_FACTS, *([_carried(manifest)] if manifest.columns.carried else [])])
    try:
        check_expressions(manifest.database, manifest.file.source)
        with bounded(manifest.database):
            rows = _ranked(manifest) if manifest.file.source.order_by else _in_manifest_order(manifest)
            reader = manifest.database.sql(f"SELECT {wanted} FROM {rows}").to_arrow_reader(BATCH_ROWS)
        while True:
            with bounded(manifest.database):
                batch = next(reader, None)
            if batch is None:
                return
            if batch.num_rows:
                yield batch
    except _STREAMING as error:
        raise _stopped(manifest, error) from error


def _in_manifest_order(manifest: LoadedManifest) -> str:
    source = manifest.file.source
    limit = "" if source.limit is None else f"LIMIT {source.limit:d} OFFSET {source.skip:d}"
    return f"(SELECT *, NULL::BIGINT AS {RANK} FROM manifest WHERE {_wanted(source)} {limit})"


def _ranked(manifest: LoadedManifest) -> str:
    """Give the rows with their places in the order asked for, still streamed in the manifest's order.

    The ranks are a table of two numbers a row: DuckDB sorts it on disk where memory does not do.
    """
    source = manifest.file.source
    limit, skip = source.limit, source.skip
    first = "" if limit is None else f"QUALIFY {RANK} > {skip:d} AND {RANK} <= {skip + limit:d}"
    manifest.database.execute(f"""
        CREATE OR REPLACE TABLE ranked AS
        SELECT {ROW}, row_number() OVER (ORDER BY
        {source.order_by}
        , {ROW}) AS {RANK} FROM manifest WHERE {_wanted(source)} {first}
    """)
    return f"manifest JOIN ranked USING ({ROW}) ORDER BY {ROW}"


def _wanted(source: ManifestSource) -> str:
    sound = f"{PROBLEM} IS NULL"
    if source.rows is not None:
        sound += f" AND {ROW} IN ({', '.join(f'{row:d}' for row in source.rows) or 'NULL'})"
    # On a line of its own, so that a comment at its end does not swallow the bracket.
    return sound + (f" AND (\n{source.where}\n)" if source.where else "")


def _stopped(manifest: LoadedManifest, error: Exception) -> ManifestError:
    source = manifest.file.source
    asked = {"The filter": source.where, "catalogue.order_by": source.order_by}
    given = [f'{name} "{text}"' for name, text in asked.items() if text]
    if not given:
        return ManifestError(
            f'The manifest "{source.manifest}" cannot be read: {first_line(error)}.',
            fix="Check that it is complete.",
        )
    names = ", ".join(manifest.columns.names)
    reason = filter_reason(error)
    if isinstance(error, duckdb.InterruptException):
        reason = "it gives no rows for so long that it was stopped"
    return ManifestError(
        f"{' or '.join(given)} does not work: {reason}.", fix=f"The manifest's columns are {names}."
    )


def _bad_rows(manifest: LoadedManifest, after: int, through: int | None) -> dict[int, tuple[Code, str]]:
    """Give the rows in a range that are bad whatever is asked for; `through=None` means to the end."""
    if not manifest.bad_rows:
        return {}
    upper = "" if through is None else f"AND row <= {through:d}"
    # A cursor of its own: the stream of rows owns the first connection until it ends.
    with manifest.database.cursor() as cursor:
        found = cursor.execute(
            f"SELECT row, code, sentence FROM bad_row WHERE row > {after:d} {upper}"
        ).fetchall()
    return {row: (Code(code), sentence) for row, code, sentence in found}


def _manifest_batch(
    batch: pa.RecordBatch, bad_rows: dict[int, tuple[Code, str]], fence: Fence | None
) -> ManifestBatch:
    tracks: list[Track] = []
    rejects: list[Reject] = []
    facts = zip(*(batch.column(name).to_pylist() for name in _FACTS), strict=True)
    names = batch.schema.names[len(_FACTS) :]
    carried = [batch.column(place).to_pylist() for place in range(len(_FACTS), batch.num_columns)]
    values = zip(*carried, strict=True) if carried else repeat((), batch.num_rows)
    for fact, value in zip(facts, values, strict=True):
        row = ManifestRow(*fact)
        bad_row = bad_rows.pop(row.number, None)
        if bad_row is None:
            outcome = read_row(row, dict(zip(names, value, strict=True)), fence)
        else:
            outcome = Reject(row.number, row.track_id, row.location, *bad_row)
        if isinstance(outcome, Track):
            tracks.append(outcome)
        else:
            rejects.append(outcome)
    rejects += _unparsed(bad_rows)
    rejects.sort(key=lambda reject: reject.row)
    return ManifestBatch(tuple(tracks), tuple(rejects), len(tracks) + len(rejects))


def _unparsed(bad_rows: dict[int, tuple[Code, str]]) -> list[Reject]:
    """Give the rows that do not parse; a repeated id left over here lies outside `where`."""
    return [
        Reject(row, None, None, code, sentence)
        for row, (code, sentence) in bad_rows.items()
        if code is Code.BAD_ROW
    ]


def _rest(manifest: LoadedManifest, after: int) -> Iterator[ManifestBatch]:
    """Give the rows behind the last selected one that do not parse."""
    while bad_rows := dict(islice(_bad_rows(manifest, after, None).items(), BATCH_ROWS)):
        after = max(bad_rows)
        if unparsed := _unparsed(bad_rows):
            yield ManifestBatch((), tuple(unparsed), 0)
