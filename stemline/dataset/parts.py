"""A batch of collected tracks written as one Parquet part per table and partition.

The same rows give the same bytes under the same names, so a batch that a crash cut off is simply written again.
Stems go before tracks: a reader never finds a track without its stems.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout
from stemline.dataset.paths import STAGED_PREFIX
from stemline.dataset.table_row import PublishedRow, Rows, TableRows, table_rows
from stemline.errors import StorageError
from stemline.storage import Store, disk_guarded, scratch_folder

_AUDIO_LEAF = "audio.bytes"
_BATCH_ID = re.compile(r"[A-Za-z0-9._-]{1,120}")
_ROWS_PER_GROUP = 50_000
_AUDIO_BYTES_PER_GROUP = 64 << 20  # a row group is what a reader fetches to get at one stem
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
        "split",
        "run_id",
    }
    | {"collected_on", "stem", "recipe", "verification"}
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


def write_parts(store: Store, batch: DatasetBatch, layout: DatasetLayout) -> list[str]:
    """Write a batch's parts, each in one atomic PUT; give their keys.

    With `embedded` audio the staged objects are read back here and stay until `discard_staged`.

    Raises:
        ConfigError: the dataset was begun with another layout or a newer schema.
        StorageError: the store does not take a part; the batch can be published again.
    """
    claim_layout(store, layout)
    folders = _folders(batch, layout)
    keys = []
    for name, rows in folders.items():
        keys.append(_part_key("stems", name, batch))
        stems = [stem for row in rows for stem in row.stems]
        _put_part(store, keys[-1], layout.stems, _stem_groups(store, stems, layout))
    for name, rows in folders.items():
        keys.append(_part_key("tracks", name, batch))
        _put_part(store, keys[-1], layout.tracks, iter([[row.track for row in rows]]))
    return keys


def discard_staged(store: Store, batch: DatasetBatch, layout: DatasetLayout) -> None:
    """Remove the audio that `write_parts` embedded, once the ledger knows the batch as published."""
    if layout.audio == "embedded":
        for row in batch.rows:
            for stem in row.collected.stems:
                store.delete(stem.path)


def _folders(batch: DatasetBatch, layout: DatasetLayout) -> dict[str, list[TableRows]]:
    """Give the batch's rows by partition folder; inside one they are sorted by track and stem."""
    folders: dict[str, list[TableRows]] = {}
    for row in sorted(batch.rows, key=lambda row: (row.attempt.track.track_id, row.attempt.token)):
        rows = table_rows(row, batch.run_id, layout)
        folders.setdefault(layout.folder(rows.track), []).append(rows)
    return dict(sorted(folders.items()))


def _part_key(table: str, folder: str, batch: DatasetBatch) -> str:
    return "/".join(step for step in (table, folder, f"part-{batch.batch_id}.parquet") if step)


def _stem_groups(store: Store, stems: Rows, layout: DatasetLayout) -> Iterator[Rows]:
    """Give the rows of the stems table, one row group after the other."""
    if layout.audio == "objects":
        yield stems
        return
    for group in _by_bytes(stems):
        yield [{**row, "audio": _embedded(store, row["path"])} for row in group]


def _embedded(store: Store, staged: str) -> dict[str, object]:
    """Give a staged stem as a value of the audio column."""
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
        if group and held + row["size_bytes"] > _AUDIO_BYTES_PER_GROUP:
            yield group
            group, held = [], 0
        group.append(row)
        held += row["size_bytes"]
    yield group


def _put_part(store: Store, key: str, schema: pa.Schema, groups: Iterator[Rows]) -> None:
    """Write one Parquet file on the local disk, then put it as a whole."""
    with scratch_folder() as folder:
        path = folder / "part.parquet"
        with disk_guarded(folder), pq.ParquetWriter(path, schema, **_writer_options(schema)) as writer:
            for rows in groups:
                writer.write_table(_table(rows, schema), row_group_size=_ROWS_PER_GROUP)
        store.put_file(key, path)


def _table(rows: Rows, schema: pa.Schema) -> pa.Table:
    """Give rows as a table; text stands for a day or an instant, as the ledger gives it back."""
    columns = []
    for field in schema:
        values = [row[field.name] for row in rows]
        is_text = pa.types.is_temporal(field.type) and any(isinstance(value, str) for value in values)
        columns.append(pa.array(values).cast(field.type) if is_text else pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _writer_options(schema: pa.Schema) -> dict[str, Any]:
    """Give how each column is written: audio as it is, the rest zstd, repeating names with a dictionary."""
    leaves = [leaf for field in schema for leaf in _leaves(field)]
    order = [(name, "ascending") for name in ("track_id", "stem") if name in schema.names]
    return {
        "compression": {leaf: "none" if leaf == _AUDIO_LEAF else "zstd" for leaf in leaves},
        "use_dictionary": [leaf for leaf in leaves if leaf in _REPETITIVE],
        "write_statistics": [leaf for leaf in leaves if leaf != _AUDIO_LEAF],
        "write_page_index": True,
        "sorting_columns": pq.SortingColumn.from_ordering(schema, order),
    }


def _leaves(field: pa.Field) -> list[str]:
    """Give the names under which Parquet knows a column, which has several when it is a struct."""
    if pa.types.is_struct(field.type):
        return [f"{field.name}.{leaf}" for inner in field.type for leaf in _leaves(inner)]
    return [field.name]
