"""The selection: one row a track, sorted by split and track_id, kept as a Parquet file of our own while it is worked.

DuckDB makes it and keeps on the disk what does not fit into its share of memory; shards read their rows of it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stemline.errors import UsageError
from stemline.export.options import ExportOptions
from stemline.export.sample import ExportTrack, LeftOut, StemObject
from stemline.manifest.expression import bounded, check_expressions, shut
from stemline.manifest.manifest_source import ManifestSource
from stemline.reader import StemsDataset
from stemline.records import LINKED, MIX, STEMS

MEMORY_BYTES = 384 << 20
ROWS_PER_GROUP = 500
NO_SPLIT = "unassigned"
"""The name of the split of tracks that have none, beside others that have."""
ONLY_SPLIT = "train"
"""The name of the one split where no track has any."""
_SPLIT, _STEMS = "__split", "__stems"
_PRIVATE = frozenset(
    {
        *("stems", "quality", "format", "credits_charged", "job_id", "attempt_token", "source_uri"),
        *("source_sha256", "run_id", "collected_at", "collected_on"),
    }
)
"""Columns of tracks that say how a stem was come by, and nothing of the music."""
_STEM_TYPES = {
    "stem": pa.string(),
    "path": pa.string(),
    "format": pa.string(),
    "sample_rate": pa.int32(),
    "channels": pa.int32(),
    "frames": pa.int64(),
    "size_bytes": pa.int64(),
    "sha256": pa.string(),
    "rms_dbfs": pa.float64(),
    "peak_dbfs": pa.float64(),
    "silent_share": pa.float64(),
    "clipped_share": pa.float64(),
    "residual_db": pa.float64(),
}
_ORDER = tuple(dict.fromkeys((MIX, *STEMS["six"], *(name for names in STEMS.values() for name in names))))


@dataclass
class Selection:
    """What was selected, read a few rows at a time."""

    file: Path
    columns: pa.Schema
    """The metadata of a track, with the types the tables have."""
    digest: str = ""
    """Of all its rows: stems by their sha256, and metadata."""
    stems: tuple[str, ...] = ()
    refused: list[LeftOut] = field(default_factory=list)
    """Tracks that the rights gate keeps back."""
    incomplete: list[LeftOut] = field(default_factory=list)
    """Tracks that lack a stem that was asked for by name."""
    sizes: list[tuple[str, int]] = field(default_factory=list)
    """Of each track, in order: its split, and an upper bound of its bytes."""

    def rows(self, first: int, count: int) -> Iterator[ExportTrack]:
        """Give tracks by their numbers."""
        with pq.ParquetFile(self.file) as file:
            groups = range(first // ROWS_PER_GROUP, -(-(first + count) // ROWS_PER_GROUP))
            for number in groups:
                begin = number * ROWS_PER_GROUP
                table = file.read_row_group(number)
                start, stop = max(first - begin, 0), min(first + count - begin, table.num_rows)
                for row in table.slice(start, stop - start).to_pylist():
                    yield self._track(row)

    def _track(self, row: dict[str, Any]) -> ExportTrack:
        found = {each["stem"]: StemObject(**each) for each in row[_STEMS]}
        stems = {name: found[name] for name in self.stems if name in found}
        columns = {name: row[name] for name in self.columns.names}
        return ExportTrack(row["track_id"], row[_SPLIT], columns, stems)


def select_tracks(dataset: StemsDataset, options: ExportOptions, scratch: Path) -> Selection:
    """Give the tracks that options ask for, of several providers and recipes the newest.

    Raises UsageError for a filter that does not work, a split or a stem that no track has, and where nothing is left.
    """
    chosen = _Choice(dataset, options, scratch)
    try:
        return chosen.make()
    finally:
        chosen.database.close()


class _Choice:
    """A selection under way."""

    def __init__(self, dataset: StemsDataset, options: ExportOptions, scratch: Path) -> None:
        self.options, self.scratch = options, scratch
        tracks = dataset.tracks.schema
        names = [each.name for each in tracks if each.name not in _PRIVATE]
        self.columns = pa.schema([tracks.field(name).with_metadata(None) for name in names])
        self.database = duckdb.connect(
            config={
                "memory_limit": f"{MEMORY_BYTES}B",
                "temp_directory": str(scratch / "spill"),
                "preserve_insertion_order": False,
            }
        )
        self.database.register("tracks", dataset.tracks)
        self.database.register("stems", dataset.stems)
        self.has_path = "path" in dataset.stems.schema.names
        self.known = {"tracks": tracks.names, "stems": dataset.stems.schema.names}
        shut(self.database, [])

    def make(self) -> Selection:
        self._choose()
        refused = self._refused()
        self._filter_split()
        names = self._splits()
        found = Selection(self.scratch / "selection.parquet", self.columns, refused=refused)
        found.stems = self._stem_names()
        self._write(found, names)
        return found

    def _choose(self) -> None:
        """Keep the newest row of each track that the filter lets through."""
        made = "coalesce(recipe, concat_ws('-', stems, quality, format))"  # before version 2 it was not told
        where = f"WHERE (\n{self.options.where}\n)" if self.options.where else ""
        newest = "collected_at DESC, run_id DESC, provider DESC, recipe DESC, attempt_token DESC"
        query = f"""
            CREATE TEMP TABLE chosen AS SELECT * FROM (
                SELECT * REPLACE ({made} AS recipe), row_number() OVER (
                    PARTITION BY track_id ORDER BY {newest}) AS __age
                FROM tracks {where}
            ) WHERE __age = 1
        """
        try:
            if self.options.where:
                check_expressions(self.database, ManifestSource("", where=self.options.where))
            with bounded(self.database):
                self.database.execute(query)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0].split("Error: ", 1)[-1].rstrip("!")
            raise UsageError(
                f'--where "{self.options.where}" does not work: {reason}.',
                fix=f"The columns are {', '.join(self.known['tracks'])}.",
            ) from error
        self._require_some("that --where is true for" if self.options.where else "")

    def _require_some(self, which: str) -> None:
        if not self._all("SELECT 1 FROM chosen LIMIT 1"):
            raise UsageError(
                f"There is no track {which}.".replace(" .", "."), fix="Run `stemline run`, or ask for others."
            )

    def _refused(self) -> list[LeftOut]:
        """Take out what may not leave."""
        return []

    def _filter_split(self) -> None:
        wanted = self.options.split
        if wanted is None:
            return
        found = [row[0] for row in self._all("SELECT DISTINCT split FROM chosen ORDER BY split")]
        if wanted not in found and not (wanted == NO_SPLIT and None in found):
            told = ", ".join(NO_SPLIT if name is None else name for name in found)
            raise UsageError(f"There is no split {wanted!r}.", fix=f"Give --split one of {told}.")
        self.database.execute("DELETE FROM chosen WHERE coalesce(split, ?) <> ?", [NO_SPLIT, wanted])

    def _splits(self) -> dict[str | None, str]:
        """Give the name that each split has in the export."""
        found = [row[0] for row in self._all("SELECT DISTINCT split FROM chosen")]
        if found == [None] and self.options.split is None:
            return {None: ONLY_SPLIT}
        return {each: NO_SPLIT if each is None else _split_name(each) for each in found}

    def _stem_names(self) -> tuple[str, ...]:
        rows = self._all(f"SELECT DISTINCT stem FROM stems SEMI JOIN chosen USING (track_id) WHERE {_STORED}")
        found = sorted((row[0] for row in rows), key=_stem_order)
        for name in self.options.stems:
            if name not in found:
                raise UsageError(
                    f"No track of the selection has a stem {name!r}.",
                    fix=f"Give --stems of {', '.join(found)}." if found else "No stem is in the dataset.",
                )
        return tuple(name for name in found if name in self.options.stems or not self.options.stems)

    def _write(self, found: Selection, names: Mapping[str | None, str]) -> None:
        schema = pa.schema(
            [
                *self.columns,
                pa.field(_SPLIT, pa.string()),
                pa.field(_STEMS, pa.list_(pa.struct(list(_STEM_TYPES.items())))),
            ]
        )
        digest = hashlib.sha256()
        with pq.ParquetWriter(found.file, schema, compression="zstd") as writer:
            for rows in _grouped(self._rows(schema, names), ROWS_PER_GROUP):
                kept = [row for row in rows if self._is_whole(row, found)]
                for row in kept:
                    digest.update(_row_bytes(row))
                    found.sizes.append((row[_SPLIT], _size(row, found.stems, self.options)))
                writer.write_table(pa.Table.from_pylist(kept, schema=schema))
        found.digest = digest.hexdigest()

    def _is_whole(self, row: Mapping[str, Any], found: Selection) -> bool:
        names = {each["stem"] for each in row[_STEMS] or ()}
        missing = [name for name in self.options.stems if name not in names]
        if missing or not names:
            what = (
                f"it has no stem {', '.join(missing)}" if missing else "none of its stems is in the dataset"
            )
            found.incomplete.append(LeftOut(row["track_id"], what))
        return not missing and bool(names)

    def _rows(self, schema: pa.Schema, names: Mapping[str | None, str]) -> Iterator[dict[str, Any]]:
        self.database.execute("CREATE TEMP TABLE split_names (split VARCHAR, name VARCHAR)")
        self.database.executemany("INSERT INTO split_names VALUES (?, ?)", list(names.items()))
        columns = ", ".join(f'c."{name.replace(chr(34), chr(34) * 2)}"' for name in self.columns.names)
        query = f"""
            WITH newest AS (
                SELECT * FROM (
                    SELECT {self._stem_columns()}, track_id, provider, recipe, row_number() OVER (
                        PARTITION BY track_id, provider, recipe, stem
                        ORDER BY collected_on DESC, run_id DESC {", path DESC" if self.has_path else ""}) AS __age
                    FROM stems SEMI JOIN chosen USING (track_id, provider, recipe) WHERE {_STORED}
                ) WHERE __age = 1
            ), together AS (
                SELECT track_id, provider, recipe, list({{{", ".join(f"{n}: {n}" for n in _STEM_TYPES)}}}
                    ORDER BY stem) AS {_STEMS} FROM newest GROUP BY ALL
            )
            SELECT {columns}, n.name AS {_SPLIT}, coalesce(s.{_STEMS}, []) AS {_STEMS} FROM chosen c
            JOIN split_names n ON c.split IS NOT DISTINCT FROM n.split
            LEFT JOIN together s USING (track_id, provider, recipe)
            ORDER BY {_SPLIT}, c.track_id
        """
        reader = self.database.sql(query).to_arrow_reader(ROWS_PER_GROUP)
        for batch in reader:
            yield from pa.Table.from_batches([batch]).cast(schema).to_pylist()

    def _stem_columns(self) -> str:
        known = self.known["stems"]
        return ", ".join(name if name in known else f"NULL AS {name}" for name in _STEM_TYPES)

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        return self.database.execute(query).fetchall()


_STORED = rf"NOT regexp_matches(verification, '(^|,){LINKED}(,|$)')"
"""A linked mix lies elsewhere."""


def _split_name(text: str) -> str:
    """Give a split as files are named, and `datasets` takes it: letters, digits and `_`."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", text)
    return plain if plain == text else f"{plain[:40]}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _stem_order(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER)), name


def _row_bytes(row: Mapping[str, Any]) -> bytes:
    return (
        json.dumps(row, sort_keys=True, default=str, ensure_ascii=False).encode("utf-8", "surrogatepass")
        + b"\n"
    )


def _size(row: Mapping[str, Any], stems: Iterable[str], options: ExportOptions) -> int:
    told = len(_row_bytes({**row, _STEMS: None}))
    return told + sum(_sound_size(each, options) for each in row[_STEMS] if each["stem"] in set(stems))


def _sound_size(stem: Mapping[str, Any], options: ExportOptions) -> int:
    """Give what a stem takes: as it is, or, where it is written anew, no more than 24 bit a sample."""
    rate, channels, frames = (stem[name] or 0 for name in ("sample_rate", "channels", "frames"))
    if not options.is_recoded or not rate:
        return stem["size_bytes"] or 0
    return int(frames / rate * (options.sample_rate or rate)) * (1 if options.is_mono else channels) * 3


def _grouped(rows: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def counted_splits(selection: Selection) -> dict[str, int]:
    """Give how many tracks of each split there are, in order."""
    return dict(sorted(Counter(split for split, _ in selection.sizes).items()))
