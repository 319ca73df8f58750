"""A batch of collected tracks written as one Parquet part per table and partition.

The same rows give the same bytes under the same names, so a batch that a crash cut off is simply written again.
Stems and what each second of them holds go before tracks: a reader never finds a track without its stems.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.activity_table import activity_tables
from stemline.dataset.cell_value import cell_value, column_array
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout
from stemline.dataset.paths import STAGED_PREFIX
from stemline.dataset.table_row import PublishedRow, Rows, TableRows, table_rows
from stemline.errors import StorageError
from stemline.records import LINKED, PartFile
from stemline.storage import Store, disk_guarded, file_sha256, scratch_folder

_AUDIO_LEAF = "audio.bytes"
_BATCH_ID = re.compile(r"[A-Za-z0-9._-]{1,120}")
ROWS_PER_GROUP = 50_000
_AUDIO_BYTES_PER_GROUP = 64 << 20  # a row group is what a reader fetches to get at one stem
_RISING = ("byte_offset.list.element", "first_frame.list.element")
_REPETITIVE = frozenset(
    {
        "provider",
        "stems",
        "quality",
        "format",
        "bpm_source",
        "key",
        "key_source",
        "license",
        "license_spdx",
        "ai_training",
        "split",
        "run_id",
    }
    | {"collected_on", "stem", "recipe", "verification", "hop_seconds", "rms_dbfs.list.element"}
)


@dataclass(frozen=True, slots=True)
class DatasetBatch:
    """Collected tracks that are published together; `batch_id` names their parts."""

    batch_id: str
    run_id: str
    rows: Sequence[PublishedRow]

    def __post_init__(self) -> None:
        """Refuse an id that is no file name."""
        if not _BATCH_ID.fullmatch(self.batch_id):
            raise ValueError(f"batch_id {self.batch_id!r} must be letters, digits, '.', '_' or '-'")


def write_parts(
    store: Store, batch: DatasetBatch, layout: DatasetLayout, place: Callable[[str], str] = str
) -> list[PartFile]:
    """Write a batch's parts, each in one atomic PUT; give what they are.

    `place` tells where each is put that waits to be live; what is given bears the keys they have then. With `embedded`
    audio the staged objects are read back here and stay until `discard_staged`.

    Raises:
        ConfigError: the dataset was begun with another layout or a newer schema.
        StorageError: the store does not take a part; the batch can be published again.
        ValueError: a cell is none of its column's type; `find_unpublishable` tells which rows have one.
    """
    layout = claim_layout(store, layout, is_publishing=True)
    while True:
        written = _write(store, batch, layout, place)
        latest = claim_layout(store, layout)
        if latest.tracks.equals(layout.tracks):
            return written
        layout = latest  # a column joined while the parts were written: they get it too


def _write(
    store: Store, batch: DatasetBatch, layout: DatasetLayout, place: Callable[[str], str]
) -> list[PartFile]:
    def put(key: str, schema: pa.Schema, groups: Iterable[pa.Table]) -> None:
        written.append(replace(put_part(store, place(key), schema, groups), key=key))

    folders = _folders(batch, layout)
    # Made before anything is written: a cell that does not fit leaves nothing behind.
    tables = {name: _table([row.track for row in rows], layout.tracks) for name, rows in folders.items()}
    written: list[PartFile] = []
    for name, rows in folders.items():
        stems = [stem for row in rows for stem in row.stems]
        groups = (_table(group, layout.stems) for group in _stem_groups(store, stems, layout))
        put(part_key("stems", name, batch.batch_id), layout.stems, groups)
    for name, rows in folders.items():
        seconds = [stem for row in rows for stem in row.stems if stem["activity"] is not None]
        if seconds:
            tables_of = activity_tables(seconds, layout.activity)
            put(part_key("activity", name, batch.batch_id), layout.activity, tables_of)
    for name, table in tables.items():
        put(part_key("tracks", name, batch.batch_id), layout.tracks, [table])
    return written


def discard_staged(store: Store, batch: DatasetBatch, layout: DatasetLayout) -> None:
    """Remove the audio that `write_parts` embedded, once the ledger knows the batch as published."""
    if layout.audio == "embedded":
        for row in batch.rows:
            for stem in row.collected.stems:
                if not stem.is_linked:  # what is linked is not ours
                    store.delete(stem.path)


def find_unpublishable(
    batch: DatasetBatch, layout: DatasetLayout, staged_in: Store | None = None
) -> dict[str, str]:
    """Give the rows with a cell their column cannot hold: the attempt's token and the reason.

    With `staged_in`, also those whose audio was to be embedded and is gone.
    """
    reasons = {}
    for row in batch.rows:
        track = table_rows(row, batch.run_id, layout).track
        for column in layout.tracks:
            try:
                cell_value(track[column.name], column.type)
            except ValueError as error:
                reasons[row.attempt.token] = f'Column "{column.name}": {error}.'
        if staged_in is not None and layout.audio == "embedded":
            staged = [stem.path for stem in row.collected.stems if not stem.is_linked]
            gone = [path for path in staged if not staged_in.exists(path)]
            reasons |= dict.fromkeys([row.attempt.token], f"{', '.join(gone)} is gone.") if gone else {}
    return reasons


def _folders(batch: DatasetBatch, layout: DatasetLayout) -> dict[str, list[TableRows]]:
    """Give the batch's rows by partition folder; inside one they are sorted by track and stem."""
    folders: dict[str, list[TableRows]] = {}
    for row in sorted(batch.rows, key=lambda row: (row.attempt.track.track_id, row.attempt.token)):
        rows = table_rows(row, batch.run_id, layout)
        folders.setdefault(layout.folder(rows.track), []).append(rows)
    return dict(sorted(folders.items()))


def part_key(table: str, folder: str, batch_id: str, number: int = 1) -> str:
    """Give where a part lies; what is too large for one has further ones, with their numbers."""
    name = f"part-{batch_id}.parquet" if number == 1 else f"part-{batch_id}.{number}.parquet"
    return "/".join(step for step in (table, folder, name) if step)


def _stem_groups(store: Store, stems: Rows, layout: DatasetLayout) -> Iterator[Rows]:
    """Give the rows of the stems table, one row group after the other."""
    if layout.audio == "objects":
        yield stems
        return
    for group in _by_bytes(stems):
        yield [{**row, "audio": _embedded(store, row)} for row in group]


def _embedded(store: Store, row: dict[str, Any]) -> dict[str, object]:
    """Give a staged stem as a value of the audio column; of a linked one, where it lies."""
    staged = row["path"]
    if LINKED in row["verification"].split(","):
        return {"bytes": None, "path": staged}
    try:
        data = store.read_bytes(staged)
    except FileNotFoundError as error:
        raise StorageError(f"{store.url(staged)} is gone before it was published.") from error
    return {"bytes": data, "path": staged.removeprefix(f"{STAGED_PREFIX}/")}


def _by_bytes(rows: Rows) -> Iterator[Rows]:
    """Cut rows into groups whose audio stays below the limit; one larger stem is a group of its own."""
    group: Rows = []
    held = 0
    for row in rows:
        size = row["size_bytes"] or 0
        if group and held + size > _AUDIO_BYTES_PER_GROUP:
            yield group
            group, held = [], 0
        group.append(row)
        held += size
    yield group


def put_part(store: Store, key: str, schema: pa.Schema, groups: Iterable[pa.Table]) -> PartFile:
    """Write one Parquet file of row groups on the local disk, then put it as a whole; give what it is."""
    with scratch_folder() as folder:
        path = folder / "part.parquet"
        with part_writer(path, schema) as writer:
            rows = 0
            for table in groups:
                writer.write_table(table, row_group_size=ROWS_PER_GROUP)
                rows += table.num_rows
        store.put_file(key, path)
        return PartFile(key, path.stat().st_size, file_sha256(path), rows)


@contextmanager
def part_writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write a Parquet file on the local disk, with the compression, statistics and order that all parts have."""
    with disk_guarded(path.parent), pq.ParquetWriter(path, schema, **_writer_options(schema)) as writer:
        yield writer


def _table(rows: Rows, schema: pa.Schema) -> pa.Table:
    """Give rows as a table, their cells as the columns have them; raises ValueError for one that is lost."""
    columns = [column_array([row[field.name] for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _writer_options(schema: pa.Schema) -> dict[str, Any]:
    """Give how each column is written: audio as it is, the rest zstd, repeating values with a dictionary."""
    leaves = [leaf for field in schema for leaf in _leaves(field)]
    order = [(name, "ascending") for name in ("track_id", "stem") if name in schema.names]
    return {
        "compression": {leaf: "none" if leaf == _AUDIO_LEAF else "zstd" for leaf in leaves},
        "use_dictionary": [leaf for leaf in leaves if leaf in _REPETITIVE],
        "column_encoding": {leaf: "DELTA_BINARY_PACKED" for leaf in leaves if leaf in _RISING},
        "write_statistics": [leaf for leaf in leaves if leaf != _AUDIO_LEAF and ".list." not in leaf],
        "write_page_index": True,
        "sorting_columns": pq.SortingColumn.from_ordering(schema, order),
    }


def _leaves(field: pa.Field) -> list[str]:
    """Give the names under which Parquet knows a column, which has several when it is a struct."""
    if pa.types.is_struct(field.type):
        return [f"{field.name}.{leaf}" for inner in field.type for leaf in _leaves(inner)]
    if pa.types.is_list(field.type):
        return [f"{field.name}.list.{leaf}" for leaf in _leaves(pa.field("element", field.type.value_type))]
    return [field.name]
