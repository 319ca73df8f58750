"""What the dataset says of itself under `_stemline/`: its layout, its runs, the rows it could not use."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.table_schemas import REJECTS_SCHEMA, SCHEMA_VERSION
from stemline.errors import ConfigError
from stemline.records import Reject
from stemline.storage import Store

_LAYOUT_KEY = "_stemline/layout.json"


def claim_layout(store: Store, layout: DatasetLayout) -> None:
    """Record the layout of a new dataset, or refuse one that does not fit what is there.

    Raises:
        ConfigError: the dataset was begun with other partitions, another form of audio or a newer schema.
    """
    wanted = {
        "schema_version": SCHEMA_VERSION,
        "partition_by": list(layout.partition_by),
        "audio": layout.audio,
    }
    try:
        found = json.loads(store.read_bytes(_LAYOUT_KEY))
    except FileNotFoundError:
        store.put_bytes(_LAYOUT_KEY, _json(wanted))
        return
    for name, value in wanted.items():
        if found.get(name) != value:
            raise ConfigError(
                f"The dataset at {store.root_url} has {name} {found.get(name)!r}, not {value!r}.",
                fix="Keep to it, or write to another dataset.url.",
            )


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
