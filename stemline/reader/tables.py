"""The tables of a dataset as PyArrow datasets over exactly the parts that are named."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.dataset as pads

from stemline.reader.part_list import PartList
from stemline.reader.store_files import file_system
from stemline.storage import Store


def open_table(store: Store, listed: PartList, table: str) -> pads.Dataset:
    """Give a table; a column that older parts lack is null there, and a table without parts is empty."""
    keys = listed.parts[table]
    schema = None if listed.layout is None else listed.layout.schema_of(table)
    if not keys:
        return pads.dataset((schema or pa.schema([])).empty_table())
    files, prefix = file_system(store)
    paths = [prefix + key for key in keys]
    if schema is None:
        found = [each.physical_schema for each in _dataset(files, paths, None).get_fragments()]
        schema = pa.unify_schemas(found, promote_options="permissive")
    return _dataset(files, paths, schema)


def _dataset(files: pa.fs.FileSystem, paths: list[str], schema: pa.Schema | None) -> pads.Dataset:
    return pads.dataset(paths, schema=schema, format="parquet", filesystem=files)
