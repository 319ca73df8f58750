"""What the tables tell of published tracks, read back part by part in bounded memory."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.columns import manifest_names
from stemline.dataset.paths import STAGED_PREFIX, path_safe
from stemline.dataset.table_schemas import MANIFEST_COLUMNS
from stemline.errors import StorageError
from stemline.ledger import BatchRow
from stemline.manifest.source_root import SourceRoot
from stemline.records import Attempt, CollectedTrack, Job, Phase, Recipe, StemFile, Track
from stemline.storage import Store, scratch_folder

_NUMBER = re.compile(r"(?<=[0-9a-f]{20})[.][0-9]+$")
ROWS_AT_ONCE = 500
RECIPE_COLUMNS = ("stems", "quality", "format")
STEM_COLUMNS = tuple(StemFile.__dataclass_fields__)


def list_track_parts(store: Store) -> Iterator[str]:
    """Give the keys of the tracks table's parts."""
    return _list_parts(store, "tracks")


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of the tracks table, and those of the stems table that have the same tracks."""

    key: str
    stem_keys: tuple[str, ...]
    """In their order: what is too large for one part has several."""


def list_stored_parts(store: Store) -> tuple[list[StoredPart], int]:
    """Give the parts of the tracks table, and how many of the stems table have none of its beside them."""
    stems: defaultdict[str, list[str]] = defaultdict(list)
    for key in sorted(_list_parts(store, "stems"), key=lambda key: (len(key), key)):
        stems[rows_name(key)].append(key)
    keys = sorted(list_track_parts(store))
    lone = stems.keys() - {rows_name(key) for key in keys}
    parts = [StoredPart(key, tuple(stems.get(rows_name(key), ()))) for key in keys]
    return parts, sum(len(stems[name]) for name in lone)


def rows_name(key: str) -> str:
    """Give what a part has in common with those of the other tables that hold the same tracks."""
    folder = key.partition("/")[2].rpartition("/")[0]
    return f"{folder}/{batch_of_part(key)}"


def _list_parts(store: Store, table: str) -> Iterator[str]:
    return (key for key in store.list(table) if key.endswith(".parquet"))


def batch_of_part(key: str) -> str:
    """Give the batch that a part's name tells; of what is too large for one part, all have the same."""
    return _NUMBER.sub("", key.rpartition("/")[2].removesuffix(".parquet").removeprefix("part-"))


def part_holds(store: Store, key: str, provider: str, recipe: Recipe) -> bool:
    """Tell whether a part of the tracks table holds tracks of this provider and recipe."""
    if "/by_provider=" in key and f"/by_provider={provider}/" not in key:
        return False
    with scratch_folder() as folder, _opened(store, key, folder) as file:
        rows = file.iter_batches(ROWS_AT_ONCE, columns=["provider", *RECIPE_COLUMNS])
        return any(_is_wanted(row, provider, recipe) for batch in rows for row in batch.to_pylist())


@dataclass(frozen=True, slots=True)
class WantedTracks:
    """Which tracks of the tables are asked for, and what their sources are called from there."""

    provider: str
    recipe: Recipe
    root: SourceRoot


def read_stored_tracks(store: Store, part: StoredPart, wanted: WantedTracks) -> Iterator[list[BatchRow]]:
    """Give the tracks of a part that are wanted, some at a time, with their stems and their whole locations."""
    with scratch_folder() as folder, _opened(store, part.key, folder) as file, scratch_folder() as other:
        stems = _StemRows(store, part.stem_keys, other, wanted)
        carried = manifest_names(file.schema_arrow, file.schema_arrow.names)
        for batch in file.iter_batches(ROWS_AT_ONCE):
            rows = [row for row in batch.to_pylist() if _is_wanted(row, wanted.provider, wanted.recipe)]
            for row in rows:
                row["source_uri"] = wanted.root.absolute(row["source_uri"])
            if rows:
                yield [
                    _stored_track(row, carried, wanted.recipe, stems.take(row["track_id"])) for row in rows
                ]


def _opened(store: Store, key: str, folder: Path) -> pq.ParquetFile:
    """Open a part from a copy on the local disk: so it is read once, whatever the store is."""
    path = folder / "part.parquet"
    store.fetch_file(key, path)
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise StorageError(
            f"{store.url(key)} is no Parquet file: it was cut off or altered.",
            fix="Put it back from a copy of the dataset.",
        ) from error


def _is_wanted(row: dict[str, Any], provider: str, recipe: Recipe) -> bool:
    return row["provider"] == provider and Recipe(*(row[name] for name in RECIPE_COLUMNS)) == recipe


class _StemRows:
    """The stems of one part by track; they lie there in the order of the tracks, and are read as far as need be."""

    def __init__(self, store: Store, keys: Sequence[str], folder: Path, wanted: WantedTracks) -> None:
        self._wanted = wanted
        self._waiting: dict[str, list[StemFile]] = defaultdict(list)
        self._last = ""
        self._rows = self._read(store, keys, folder)
        self._is_over = False

    def take(self, track_id: str) -> tuple[StemFile, ...]:
        """Give a track's stems; none where the table has none."""
        while not self._is_over and (self._last <= track_id or track_id not in self._waiting):
            row = next(self._rows, None)
            if row is None:
                self._is_over = True
            else:
                self._last = row["track_id"]
                self._keep(row)
        return tuple(self._waiting.pop(track_id, ()))

    def _keep(self, row: dict[str, Any]) -> None:
        wanted = self._wanted
        if row["provider"] == wanted.provider and row["recipe"] == wanted.recipe.name:
            facts = {name: row[name] for name in STEM_COLUMNS if name in row}
            if "audio" in row:  # embedded: the object is gone, the name it had is kept
                facts["path"] = f"{STAGED_PREFIX}/{row['audio']['path']}"
            stem = StemFile(**facts)
            if stem.is_linked:
                told = row["audio"]["path"] if "audio" in row else row["path"]
                stem = replace(stem, path=wanted.root.absolute(told))
            self._waiting[row["track_id"]].append(stem)

    @staticmethod
    def _read(store: Store, keys: Sequence[str], folder: Path) -> Iterator[dict[str, Any]]:
        for key in keys:
            try:
                file = _opened(store, key, folder)
            except FileNotFoundError:  # a rewrite has replaced it since it was listed
                continue
            with file:
                names = [name for name in file.schema_arrow.names if name != "audio"]
                columns = [*names, *(["audio.path"] if "audio" in file.schema_arrow.names else [])]
                for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns):
                    yield from batch.to_pylist()


def _stored_track(
    row: dict[str, Any], carried: dict[str, str], recipe: Recipe, stems: Sequence[StemFile]
) -> BatchRow:
    """Give a row of the tracks table as the ledger would have it."""
    provider, token = row["provider"], row["attempt_token"]
    seconds = row["duration_seconds"]
    charged = row["credits_charged"]
    credits_charged = math.ceil(seconds or 0) if charged is None else charged
    job_id = row["job_id"] or f"adopted-{token}"
    is_told = {name: row[f"{name}_source"] == "provider" for name in ("bpm", "key")}
    return BatchRow(
        row["run_id"],
        Attempt(
            token,
            _track(row, carried),
            recipe,
            provider,
            _number(provider, recipe, stems),
            credits_reserved=credits_charged,
            job_id=job_id,
        ),
        Job(
            job_id,
            Phase.DONE,
            duration_seconds=seconds,
            credits_charged=charged,
            bpm=row["bpm"] if is_told["bpm"] else None,
            key=row["key"] if is_told["key"] else None,
        ),
        CollectedTrack(
            token,
            tuple(stems),
            row["bpm"],
            row["key"],
            row["bpm_source"],
            row["key_source"],
            _instant(row["collected_at"]),
        ),
        credits_charged,
        row["source_sha256"],
    )


def _track(row: dict[str, Any], carried: dict[str, str]) -> Track:
    columns = {name: row[name] for name in MANIFEST_COLUMNS if row.get(name) is not None}
    columns |= {name: row[column] for column, name in carried.items()}
    return Track(
        row["track_id"], row["source_uri"], 0, duration_seconds=row["duration_seconds"], columns=columns
    )


def _number(provider: str, recipe: Recipe, stems: Sequence[StemFile]) -> int:
    """Give the number of the attempt, which is in the path of its stems from the second on."""
    path = next((stem.path for stem in stems if not stem.is_linked), "")
    folder = path.split("/")[-2] if "/" in path else ""
    again = folder.removeprefix(f"{path_safe(provider)}-{recipe.name}-")
    return int(again) if again != folder and again.isdecimal() else 1


def _instant(value: datetime) -> datetime:
    return value.astimezone(UTC)
