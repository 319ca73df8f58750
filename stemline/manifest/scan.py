"""Tracks and rejects of a manifest, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, repeat

import duckdb
import pyarrow as pa

from stemline.errors import ManifestError
from stemline.manifest.catalogue import Catalogue, open_catalogue
from stemline.manifest.lines import BATCH_ROWS, ROW, TROUBLE
from stemline.manifest.listing import SIZE
from stemline.manifest.row import Row, judge
from stemline.manifest.source import Source, first_line
from stemline.manifest.view import DURATION, LOCATION, PRIORITY, RANK, TRACK_ID, WRITTEN, quoted
from stemline.records import Code, Reject, Track

_FACTS = (ROW, WRITTEN, LOCATION, TRACK_ID, DURATION, PRIORITY, SIZE, RANK)
_STREAMING = (duckdb.Error, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class ManifestBatch:
    """Rows of a manifest: the tracks of the good ones, the rejects of the others, in manifest order."""

    tracks: tuple[Track, ...]
    rejects: tuple[Reject, ...]
    rows: int
    """How many rows the batch stands for."""


def scan(source: Source) -> Iterator[ManifestBatch]:
    """Give the selected rows of a manifest in batches of at most 10,000 rows, in manifest order.

    `where` selects rows, `limit` the first rows of these, good or bad; `order_by` says which are the first, and
    gives tracks their priority. Rows that do not parse cannot be tested by `where` and are always given, up to the
    last selected row when there is a limit.
    Raises `ManifestError` when the manifest as a whole cannot be used.
    """
    with open_catalogue(source) as catalogue:
        last = 0
        rows = 0
        for batch in _selected(catalogue):
            through = batch.column(ROW)[-1].as_py()
            rows += batch.num_rows
            yield _judged(batch, _verdicts(catalogue, last, through))
            last = through
        if source.limit is None or rows < source.limit:
            yield from _rest(catalogue, last)


def columns(source: Source) -> pa.Schema:
    """Give the columns that are carried through to the dataset, under their names there."""
    with open_catalogue(source, is_judged=False) as catalogue:
        query = f"SELECT {_carried(catalogue)} FROM manifest LIMIT 0"
        return (
            catalogue.database.sql(query).to_arrow_table().schema
            if catalogue.columns.carried
            else pa.schema([])
        )


def _carried(catalogue: Catalogue) -> str:
    return ", ".join(f"{quoted(name)} AS {quoted(ours)}" for ours, name in catalogue.columns.carried.items())


def _selected(catalogue: Catalogue) -> Iterator[pa.RecordBatch]:
    wanted = ", ".join([*_FACTS, *([_carried(catalogue)] if catalogue.columns.carried else [])])
    try:
        rows = _ranked(catalogue) if catalogue.place.source.order_by else _in_manifest_order(catalogue)
        for batch in catalogue.database.sql(f"SELECT {wanted} FROM {rows}").to_arrow_reader(BATCH_ROWS):
            if batch.num_rows:
                yield batch
    except _STREAMING as error:
        raise _stopped(catalogue, error) from error


def _in_manifest_order(catalogue: Catalogue) -> str:
    source = catalogue.place.source
    limit = "" if source.limit is None else f"LIMIT {source.limit:d}"
    return f"(SELECT *, NULL::BIGINT AS {RANK} FROM manifest WHERE {_wanted(source)} {limit})"


def _ranked(catalogue: Catalogue) -> str:
    """Give the rows with their places in the order asked for, still streamed in the manifest's order.

    The ranks are a table of two numbers a row: DuckDB sorts it on disk where memory does not do.
    """
    source = catalogue.place.source
    first = "" if source.limit is None else f"QUALIFY {RANK} <= {source.limit:d}"
    catalogue.database.execute(f"""
        CREATE TABLE ranked AS
        SELECT {ROW}, row_number() OVER (ORDER BY
        {source.order_by}
        , {ROW}) AS {RANK} FROM manifest WHERE {_wanted(source)} {first}
    """)
    return f"manifest JOIN ranked USING ({ROW}) ORDER BY {ROW}"


def _wanted(source: Source) -> str:
    # On a line of its own, so that a comment at its end does not swallow the bracket.
    return f"{TROUBLE} IS NULL" + (f" AND (\n{source.where}\n)" if source.where else "")


def _stopped(catalogue: Catalogue, error: Exception) -> ManifestError:
    source = catalogue.place.source
    asked = {"The filter": source.where, "catalogue.order_by": source.order_by}
    given = [f'{name} "{text}"' for name, text in asked.items() if text]
    if not given:
        return ManifestError(
            f'The manifest "{source.manifest}" cannot be read: {first_line(error)}.',
            fix="Check that it is complete.",
        )
    names = ", ".join(catalogue.columns.names)
    reason = first_line(error).split("Error: ", 1)[-1].rstrip("!")
    return ManifestError(
        f"{' or '.join(given)} does not work: {reason}.", fix=f"The manifest's columns are {names}."
    )


def _verdicts(catalogue: Catalogue, after: int, through: int | None) -> dict[int, tuple[Code, str]]:
    """Give the rows in a range that are bad whatever is asked for; `through=None` means to the end."""
    if not catalogue.verdicts:
        return {}
    upper = "" if through is None else f"AND row <= {through:d}"
    # A cursor of its own: the stream of rows owns the first connection until it ends.
    with catalogue.database.cursor() as cursor:
        found = cursor.execute(
            f"SELECT row, code, sentence FROM verdict WHERE row > {after:d} {upper}"
        ).fetchall()
    return {row: (Code(code), sentence) for row, code, sentence in found}


def _judged(batch: pa.RecordBatch, verdicts: dict[int, tuple[Code, str]]) -> ManifestBatch:
    tracks: list[Track] = []
    rejects: list[Reject] = []
    facts = zip(*(batch.column(name).to_pylist() for name in _FACTS), strict=True)
    names = batch.schema.names[len(_FACTS) :]
    carried = [batch.column(place).to_pylist() for place in range(len(_FACTS), batch.num_columns)]
    values = zip(*carried, strict=True) if carried else repeat((), batch.num_rows)
    for fact, value in zip(facts, values, strict=True):
        row = Row(*fact)
        verdict = verdicts.pop(row.number, None)
        if verdict is None:
            outcome = judge(row, dict(zip(names, value, strict=True)))
        else:
            outcome = Reject(row.number, row.track_id, row.location, *verdict)
        if isinstance(outcome, Track):
            tracks.append(outcome)
        else:
            rejects.append(outcome)
    rejects += _broken(verdicts)
    rejects.sort(key=lambda reject: reject.row)
    return ManifestBatch(tuple(tracks), tuple(rejects), len(tracks) + len(rejects))


def _broken(verdicts: dict[int, tuple[Code, str]]) -> list[Reject]:
    """Give the rows that do not parse; a repeated id left over here lies outside `where`."""
    return [
        Reject(row, None, None, code, sentence)
        for row, (code, sentence) in verdicts.items()
        if code is Code.BAD_ROW
    ]


def _rest(catalogue: Catalogue, after: int) -> Iterator[ManifestBatch]:
    """Give the rows behind the last selected one that do not parse."""
    while verdicts := dict(islice(_verdicts(catalogue, after, None).items(), BATCH_ROWS)):
        after = max(verdicts)
        if broken := _broken(verdicts):
            yield ManifestBatch((), tuple(broken), len(broken))
