"""What the dataset says of itself under `_stemline/`: its layout, its runs, the rows it could not use."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.columns import columns_from_tree, columns_of_parts, columns_tree, join_columns
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.table_schemas import REJECTS_SCHEMA, SCHEMA_VERSION, tracks_schema
from stemline.errors import ConfigError
from stemline.records import Reject
from stemline.storage import Store

LAYOUT_KEY = "_stemline/layout.json"


@dataclass(frozen=True, slots=True)
class KeptLayout:
    """What a dataset has written down of its layout."""

    tree: Mapping[str, Any]
    carried: pa.Schema
    is_begun: bool
    """Whether a part was written: from then on columns keep their types."""
    is_behind: bool
    """Whether older parts lack a column, or have one of another type."""


def read_layout(store: Store, partition_by: Sequence[str] = ()) -> KeptLayout | None:
    """Give the layout a dataset was begun with, and its columns; None: there is no dataset."""
    try:
        tree = json.loads(store.read_bytes(LAYOUT_KEY))
    except FileNotFoundError:
        return None
    if "columns" in tree:
        return KeptLayout(
            tree, columns_from_tree(tree["columns"]), bool(tree.get("begun")), bool(tree.get("behind"))
        )
    found = [_part_schema(store, key) for key in part_keys(store, "tracks")]
    schemas = [schema for schema in found if schema is not None]
    carried = columns_of_parts(schemas, tree.get("partition_by", partition_by))
    return KeptLayout(tree, carried, is_begun=bool(schemas), is_behind=bool(schemas))


def _part_schema(store: Store, key: str) -> pa.Schema | None:
    """Give the columns of a part; None: it is damaged, and says nothing of them."""
    try:
        return pq.read_schema(pa.BufferReader(store.read_bytes(key)))
    except pa.ArrowInvalid:
        return None


def kept_columns(store: Store) -> pa.Schema | None:
    """Give the columns a dataset keeps, which its manifests are cast to; None: it has no parts yet."""
    kept = read_layout(store)
    return kept.carried if kept is not None and kept.is_begun else None


def part_keys(store: Store, table: str) -> list[str]:
    """Give the keys of a table's parts, in order."""
    return sorted(key for key in store.list(table) if key.endswith(".parquet"))


def claim_layout(store: Store, layout: DatasetLayout, *, is_publishing: bool = False) -> DatasetLayout:
    """Record the layout of a new dataset, or join it to that of one that is there; give what holds from now on.

    `is_publishing` says that a part is about to be written. Columns that are new, or of another type than before,
    leave older parts behind until `renew_parts`.

    Raises:
        ConfigError: the dataset was begun with other partitions, another form of audio or a newer schema.
    """
    kept = read_layout(store, layout.partition_by)
    if kept is None:
        _write_layout(store, {}, layout, is_begun=is_publishing)
        return layout
    _refuse_another(store, kept.tree, layout)
    joined = replace(layout, carried=_joined(kept, layout.carried))
    before = kept.tree.get("schema_version"), kept.tree.get("columns")
    is_changed = before != (SCHEMA_VERSION, columns_tree(joined.carried))
    if is_changed or is_publishing > kept.is_begun:
        was = tracks_schema(kept.carried, layout.partition_by)
        is_behind = kept.is_begun and (before[0] != SCHEMA_VERSION or not joined.tracks.equals(was))
        _write_layout(
            store,
            kept.tree,
            joined,
            is_begun=kept.is_begun or is_publishing,
            is_behind=is_behind or kept.is_behind,
        )
    return joined


def _joined(kept: KeptLayout, given: pa.Schema) -> pa.Schema:
    if kept.is_begun:
        return join_columns(kept.carried, given)
    return join_columns(given, pa.schema([each for each in kept.carried if each.name not in given.names]))


def _refuse_another(store: Store, found: Mapping[str, Any], layout: DatasetLayout) -> None:
    wanted: dict[str, object] = {"partition_by": list(layout.partition_by), "audio": layout.audio}
    version = found.get("schema_version")
    if version not in range(1, SCHEMA_VERSION + 1):
        wanted["schema_version"] = SCHEMA_VERSION
    for name, value in wanted.items():
        if found.get(name) != value:
            raise ConfigError(
                f"The dataset at {store.root_url} has {name} {found.get(name)!r}, not {value!r}.",
                fix="Keep to it, or write to another dataset.url.",
            )


def _write_layout(
    store: Store, tree: Mapping[str, Any], layout: DatasetLayout, *, is_begun: bool, is_behind: bool = False
) -> None:
    """Write the layout; what else the file says stays."""
    ours = {
        "schema_version": SCHEMA_VERSION,
        "partition_by": list(layout.partition_by),
        "audio": layout.audio,
        "columns": columns_tree(layout.carried),
        "begun": is_begun,
        "behind": is_behind,
    }
    store.put_bytes(LAYOUT_KEY, _json({**tree, **ours}))


def mark_renewed(store: Store) -> None:
    """Record that every part has the columns of the layout."""
    tree = json.loads(store.read_bytes(LAYOUT_KEY))
    store.put_bytes(LAYOUT_KEY, _json({**tree, "behind": False}))


def write_rejects(store: Store, run_id: str, rejects: Iterable[Reject]) -> list[str]:
    """Write the manifest rows that cannot be used, as Parquet and csv; no rejects, no keys."""
    rows = [{**asdict(reject), "code": str(reject.code)} for reject in rejects]
    if not rows:
        return []
    parquet, text = pa.BufferOutputStream(), io.StringIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=REJECTS_SCHEMA), parquet, compression="zstd")
    table = csv.DictWriter(text, REJECTS_SCHEMA.names, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    keys = [f"_stemline/rejects/{run_id}.parquet", f"_stemline/rejects/{run_id}.csv"]
    store.put_bytes(keys[0], parquet.getvalue().to_pybytes())
    store.put_bytes(keys[1], text.getvalue().encode())
    return keys


def write_run_summary(store: Store, run_id: str, summary: Mapping[str, object]) -> str:
    """Write what a run did, as JSON; give the key."""
    key = f"_stemline/runs/{run_id}.json"
    store.put_bytes(key, _json(summary))
    return key


def _json(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, indent=2, sort_keys=True, default=str).encode() + b"\n"
