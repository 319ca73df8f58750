"""What the dataset says of itself under `_stemline/`: its layout, its runs, the rows it could not use."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.columns import (
    carried_as_kept,
    columns_from_tree,
    columns_of_parts,
    columns_tree,
    join_columns,
)
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.paths import TABLES, rejects_key
from stemline.dataset.table_schemas import REJECTS_SCHEMA, SCHEMA_VERSION, STEMS_VERSION, tracks_schema
from stemline.errors import ConfigError, StorageError
from stemline.manifest.source_root import NOWHERE, SourceRoot
from stemline.records import Reject
from stemline.storage import Store, disk_guarded, scratch_folder

LAYOUT_KEY = "_stemline/layout.json"
SPLITS_WHOLE = "splits_whole"
"""What the layout's file says once every row has the split that was decided for it."""
CLAIMS = 8
"""How often a layout is written that others write at the same moment."""
_PART = re.compile(r"/part-[^/]*[.]parquet$")
_REJECTS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class KeptLayout:
    """What a dataset has written down of its layout."""

    tree: Mapping[str, Any]
    carried: pa.Schema
    is_begun: bool
    """Whether a part was written: from then on columns keep their types."""
    is_behind: bool
    """Whether older parts may lack a column, or have one of another type."""

    @property
    def are_stems_behind(self) -> bool:
        """Whether older parts may lack a column of ours, of which the stems table has some as well."""
        return self.is_behind and self.tree.get("renewed_version") not in range(
            STEMS_VERSION, SCHEMA_VERSION + 1
        )


def read_layout(store: Store, partition_by: Sequence[str] = ()) -> KeptLayout | None:
    """Give the layout a dataset was begun with, and its columns; None: there is no dataset."""
    tree = _read_layout_tree(store)
    if tree is None:
        return None
    if "columns" in tree:
        is_begun = bool(tree.get("begun"))
        is_behind = is_begun and tree.get("renewed") != columns_digest(tree)
        return KeptLayout(tree, columns_from_tree(tree["columns"]), is_begun, is_behind)
    found = [_part_schema(store, key) for key in part_keys(store, "tracks")]
    schemas = [schema for schema in found if schema is not None]
    carried = columns_of_parts(schemas, tree.get("partition_by", partition_by))
    return KeptLayout(tree, carried, is_begun=bool(schemas), is_behind=bool(schemas))


def require_layout(store: Store) -> KeptLayout | None:
    """Do as `read_layout`; raises StorageError where tables have parts and the layout is gone."""
    kept = read_layout(store)
    if kept is None and any(next(iter(part_keys(store, table)), None) for table in TABLES):
        raise StorageError(
            f"{store.url(LAYOUT_KEY)} is gone: it says which columns the tables have.",
            fix="Put it back from a copy of the dataset, or run again: a run writes it.",
        )
    return kept


def _read_layout_tree(store: Store) -> dict[str, Any] | None:
    try:
        tree = json.loads(store.read_bytes(LAYOUT_KEY))
        if not {"partition_by", "columns"} & tree.keys():
            raise ValueError  # noqa: TRY301 - like what is no JSON
        columns_from_tree(tree.get("columns", []))
    except FileNotFoundError:
        return None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{store.url(LAYOUT_KEY)} cannot be read: it is not what stemline wrote.",
            fix="Put it back from a copy of the dataset: it says which columns the tables have.",
        ) from error
    found: dict[str, Any] = tree
    return found


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


def recorded_columns(store: Store) -> pa.Schema | None:
    """Give the columns of the manifests so far, with no part yet too; None where nothing says what they were."""
    kept = read_layout(store)
    return kept.carried if kept is not None and (kept.is_begun or "columns" in kept.tree) else None


def columns_digest(tree: Mapping[str, Any]) -> str:
    """Give a digest of the columns that parts have by a layout."""
    schema = tracks_schema(columns_from_tree(tree["columns"]), tree["partition_by"])
    types = [[each["name"], each["type"]] for each in columns_tree(schema)]
    return hashlib.sha256(json.dumps([tree["schema_version"], types]).encode()).hexdigest()[:16]


def part_keys(store: Store, table: str) -> list[str]:
    """Give the keys of a table's parts, in order; files of other names are not ours."""
    return sorted(key for key in store.list(table) if _PART.search(key))


def claim_layout(store: Store, layout: DatasetLayout, *, is_publishing: bool = False) -> DatasetLayout:
    """Record the layout of a new dataset, or join it to that of one that is there; give what holds from now on.

    `is_publishing` says that a part is about to be written. Columns that are new, or of another type than before,
    leave older parts behind until `renew_parts`.

    Raises:
        ConfigError: the dataset was begun with other partitions, another form of audio or a newer schema.
    """
    for _ in range(CLAIMS):
        kept = read_layout(store, layout.partition_by)
        if kept is not None:
            _refuse_another(store, kept.tree, layout)
        joined = replace(layout, carried=carried_as_kept(_joined(kept, layout.carried)))
        tree = _layout_tree(kept, joined, is_publishing=is_publishing)
        if kept is not None and tree == kept.tree:
            return joined
        # Read again: another run may have written its own over it.
        store.put_bytes(LAYOUT_KEY, _json(tree))
    raise StorageError(f"{store.url(LAYOUT_KEY)} does not stay as it is written.", fix="Run again.")


def check_layout(store: Store, layout: DatasetLayout) -> None:
    """Raise ConfigError, as `claim_layout` does, where the dataset was begun with another layout; write nothing."""
    kept = read_layout(store, layout.partition_by)
    if kept is not None:
        _refuse_another(store, kept.tree, layout)


def _joined(kept: KeptLayout | None, given: pa.Schema) -> pa.Schema:
    if kept is None:
        return given
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


def _layout_tree(kept: KeptLayout | None, layout: DatasetLayout, *, is_publishing: bool) -> dict[str, Any]:
    """Give what the layout's file says from now on; what else it says stays."""
    before = {} if kept is None else dict(kept.tree)
    if is_publishing and not layout.gives_splits:
        before.pop(SPLITS_WHOLE, None)
    is_begun = kept is not None and kept.is_begun
    tree = {
        **before,
        "schema_version": SCHEMA_VERSION,
        "partition_by": list(layout.partition_by),
        "audio": layout.audio,
        "columns": columns_tree(layout.carried),
        "begun": is_begun or is_publishing,
    }
    # As long as there are no parts, none lacks anything.
    return tree if is_begun else {**tree, **_renewed(tree)}


def _renewed(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the layout's file says once every part has the columns of the layout."""
    return {"renewed": columns_digest(tree), "renewed_version": SCHEMA_VERSION}


def are_splits_whole(store: Store) -> bool:
    """Tell whether every row has the split that was decided for it, as long as nobody publishes without."""
    kept = read_layout(store)
    return kept is not None and bool(kept.tree.get(SPLITS_WHOLE))


def mark_splits(store: Store, *, are_whole: bool) -> None:
    """Record whether every row has its split."""
    kept = read_layout(store)
    if kept is not None and bool(kept.tree.get(SPLITS_WHOLE)) != are_whole:
        store.put_bytes(LAYOUT_KEY, _json({**kept.tree, SPLITS_WHOLE: are_whole}))


def mark_renewed(store: Store, layout: DatasetLayout) -> bool:
    """Record that every part has the columns of this layout; tell whether it still holds."""
    kept = read_layout(store, layout.partition_by)
    if kept is None or columns_tree(kept.carried) != columns_tree(layout.carried):
        return False
    store.put_bytes(LAYOUT_KEY, _json({**kept.tree, **_renewed(kept.tree)}))
    return True


def write_rejects(
    store: Store, run_id: str, rejects: Iterable[Reject], root: SourceRoot = NOWHERE
) -> list[str]:
    """Write the manifest rows that cannot be used, as Parquet and csv, in bounded memory; no rejects, no keys.

    Their locations are called from `root`.
    """
    rows = (_reject_row(reject, root) for reject in rejects)
    some = list(islice(rows, _REJECTS_AT_ONCE))
    if not some:
        return []
    keys = [f"_stemline/rejects/{run_id}.parquet", rejects_key(run_id)]
    with scratch_folder() as folder:
        files = [folder / "rejects.parquet", folder / "rejects.csv"]
        with (
            disk_guarded(folder),
            pq.ParquetWriter(files[0], REJECTS_SCHEMA, compression="zstd") as parquet,
            files[1].open("w", encoding="utf-8", newline="") as text,
        ):
            table = csv.DictWriter(text, REJECTS_SCHEMA.names, lineterminator="\n")
            table.writeheader()
            while some:
                parquet.write_table(pa.Table.from_pylist(some, schema=REJECTS_SCHEMA))
                table.writerows(some)
                some = list(islice(rows, _REJECTS_AT_ONCE))
        for key, file in zip(keys, files, strict=True):
            store.put_file(key, file)
    return keys


def _reject_row(reject: Reject, root: SourceRoot) -> dict[str, Any]:
    told = {
        "location": None if reject.location is None else root.shorten(reject.location),
        "sentence": root.shorten(reject.sentence),
    }
    return {**asdict(reject), "code": str(reject.code), **told}


def write_run_summary(store: Store, run_id: str, summary: Mapping[str, object]) -> str:
    """Write what a run did, as JSON; give the key."""
    key = f"_stemline/runs/{run_id}.json"
    store.put_bytes(key, _json(summary))
    return key


def _json(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, indent=2, sort_keys=True, default=str).encode() + b"\n"
