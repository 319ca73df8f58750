"""The selection: a row a track, sorted by split and track_id, as a Parquet file of our own while it is worked on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.errors import UsageError
from stemline.export.options import ExportOptions
from stemline.export.sample import STEM_TYPES, ExportTrack, LeftOut, StemObject
from stemline.export.split_names import split_names
from stemline.export.track_query import TrackQuery
from stemline.leakage.report import LeakageReport
from stemline.reader import StemsDataset
from stemline.records import MIX, STEMS
from stemline.wording import counted

ROWS_PER_GROUP = 500
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
_ORDER = tuple(dict.fromkeys((MIX, *STEMS["six"], *(name for names in STEMS.values() for name in names))))


@dataclass
class TrackSelection:
    """What was selected, read a few rows at a time."""

    file: Path
    columns: pa.Schema
    """The metadata of a track, with the types the tables have."""
    digest: str = ""
    """Of all its rows: stems by their sha256, and metadata."""
    stems: tuple[str, ...] = ()
    leakage: LeakageReport = field(default_factory=lambda: LeakageReport({}))
    """What of one split is in another."""
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


def select_tracks(dataset: StemsDataset, options: ExportOptions, scratch: Path) -> TrackSelection:
    """Give the tracks that options ask for, of several providers and recipes the newest.

    Raises UsageError for a filter that does not work, and for a split or a stem that no track has.
    """
    tracks = dataset.tracks.schema
    columns = pa.schema([each.with_metadata(None) for each in tracks if each.name not in _PRIVATE])
    query = TrackQuery(dataset, scratch)
    try:
        query.choose(options.where)
        refused = query.refuse(options.gate)
        if not query.splits():
            raise _none_passes(refused)
        if options.split is not None:
            query.keep_split(options.split)
        found = TrackSelection(scratch / "selection.parquet", columns, refused=refused)
        found.stems = _stem_names(query.stems(), options.stems)
        _write(found, query, options)
        found.leakage = query.leakage()
        return found
    finally:
        query.close()


def _none_passes(refused: Iterable[LeftOut]) -> UsageError:
    reasons = Counter(each.reason for each in refused)
    some = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(3))
    return UsageError(
        f"Of {counted(reasons.total())} none passes the gate: {some}.",
        fix="Allow more, or say more in the manifest's columns license and ai_training, and run again.",
    )


def _stem_names(found: Iterable[str], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Give the stems to export, in order; raises UsageError for one that no track has."""
    known = sorted(found, key=_stem_order)
    for name in wanted:
        if name not in known:
            raise UsageError(
                f"No track of the selection has a stem {name!r}.",
                fix=f"Give --stems of {', '.join(known)}." if known else "No stem is in the dataset.",
            )
    return tuple(name for name in known if name in wanted or not wanted)


def _write(found: TrackSelection, query: TrackQuery, options: ExportOptions) -> None:
    """Write the rows, and take their digest and sizes."""
    kinds = pa.struct(list(STEM_TYPES.items()))
    schema = pa.schema([*found.columns, (_SPLIT, pa.string()), (_STEMS, pa.list_(kinds))])
    names = _split_names(query.splits(), options)
    tables = query.rows(found.columns.names, names)
    rows = (row for table in tables for row in table.cast(schema).to_pylist())
    digest = hashlib.sha256()
    with pq.ParquetWriter(found.file, schema, compression="zstd") as writer:
        for group in _grouped(_whole(rows, found, options), ROWS_PER_GROUP):
            for row in group:
                digest.update(_row_bytes(row))
                found.sizes.append((row[_SPLIT], _size(row, options)))
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
    found.digest = digest.hexdigest()


def _whole(
    rows: Iterable[dict[str, Any]], found: TrackSelection, options: ExportOptions
) -> Iterator[dict[str, Any]]:
    """Give the rows that have what was asked for, with the stems that are exported; remember the others."""
    for row in rows:
        stems = [each for each in row[_STEMS] if each["stem"] in found.stems]
        names = {each["stem"] for each in stems}
        missing = [name for name in options.stems if name not in names]
        if missing or not names:
            what = (
                f"it has no stem {', '.join(missing)}" if missing else "none of its stems is in the dataset"
            )
            found.incomplete.append(LeftOut(row["track_id"], what))
        else:
            yield {**row, _STEMS: stems}


def _split_names(found: list[str | None], options: ExportOptions) -> dict[str | None, str]:
    """Give the name that each split has in the export."""
    if found == [None] and options.split is None:
        return {None: ONLY_SPLIT}
    return split_names(found)


def _stem_order(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER)), name


def _row_bytes(row: Mapping[str, Any]) -> bytes:
    return (
        json.dumps(row, sort_keys=True, default=str, ensure_ascii=False).encode("utf-8", "surrogatepass")
        + b"\n"
    )


def _size(row: Mapping[str, Any], options: ExportOptions) -> int:
    told = len(_row_bytes({**row, _STEMS: None}))
    return told + sum(_sound_size(each, options) for each in row[_STEMS])


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


def counted_splits(selection: TrackSelection) -> dict[str, int]:
    """Give how many tracks of each split there are, in order."""
    return dict(sorted(Counter(split for split, _ in selection.sizes).items()))
