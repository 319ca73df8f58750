"""The tables of a dataset as PyArrow datasets over exactly the parts that are named, and the rows of one track."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from stemline.reader.part_list import PartList
from stemline.reader.store_access import StoreAccess
from stemline.reader.store_files import file_system
from stemline.reader.track_index import RowReader, TrackIndex, index_tracks
from stemline.storage import Store

PART, ROW = "__part", "__row"
"""Names under which rows tell where they are: the key of their part, and their number in it."""


class OpenTables:
    """The tables of a list of parts, opened by each process that asks for them."""

    def __init__(self, access: StoreAccess, listed: PartList) -> None:
        """Take where the parts are; nothing is read yet."""
        self.listed = listed
        self._access = access
        self._tables: dict[tuple[int, str], pads.Dataset] = {}
        self._readers: dict[tuple[int, str], RowReader] = {}
        self._indexes: dict[str, TrackIndex] = {}

    def table(self, name: str) -> pads.Dataset:
        """Give a table; a column that older parts lack is null there, and a table without parts is empty."""
        key = (os.getpid(), name)
        if key not in self._tables:
            self._tables[key] = _open(self._access.store, self.listed, name)
        return self._tables[key]

    def rows_of(self, name: str, track_id: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Give the rows of a track, of those columns the table has; each tells its part and row besides.

        The first call for a table reads the names of all its tracks. The columns are the same in each call.
        """
        key = (os.getpid(), name)
        if name not in self._indexes:
            # A table of its own: this one would keep what it has read of every part's row groups.
            self._indexes[name] = index_tracks(_open(self._access.store, self.listed, name))
        if key not in self._readers:
            self._readers[key] = RowReader(self.table(name), columns)
        reader, parts = self._readers[key], self.listed.parts[name]
        return [
            {**row, PART: parts[run.part], ROW: run.first_row + number}
            for run in self._indexes[name].find(track_id)
            for number, row in enumerate(reader.read(run))
            if row["track_id"] == track_id
        ]

    def __getstate__(self) -> dict[str, Any]:
        """Give what another process needs: no open files, and no digests, which are others there."""
        return {**self.__dict__, "_tables": {}, "_readers": {}, "_indexes": {}}


def _open(store: Store, listed: PartList, table: str) -> pads.Dataset:
    """Open a table without asking the store for anything, as its columns are known."""
    files, prefix = file_system(store)
    parquet = pads.ParquetFileFormat()
    fragments = [parquet.make_fragment(prefix + key, files) for key in listed.parts[table]]
    if listed.layout is not None:
        schema = listed.layout.schema_of(table)
    else:
        schema = pa.unify_schemas(
            [pa.schema([]), *(each.physical_schema for each in fragments)], promote_options="permissive"
        )
    return pads.FileSystemDataset(fragments, schema, parquet, files)
