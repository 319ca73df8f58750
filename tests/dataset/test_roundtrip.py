"""Whatever a manifest holds comes back from the dataset as it was."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, write_parts
from stemline.storage import open_store

CARRIED = pa.schema(
    [
        ("note", pa.string()),
        ("plays", pa.int64()),
        ("score", pa.float64()),
        ("added_at", pa.timestamp("us", tz="UTC")),
        ("is_live", pa.bool_()),
        ("tags", pa.list_(pa.string())),
    ]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "note": st.none() | TEXT,
            "plays": st.none() | st.integers(-(2**63), 2**63 - 1),
            "score": st.none() | st.floats(allow_nan=False),
            "added_at": st.none()
            | st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone comes beside
            "is_live": st.none() | st.booleans(),
            "tags": st.none() | st.lists(TEXT, max_size=3),
        }
    ),
    min_size=1,
    max_size=6,
)
COLUMNS = st.lists(
    st.sampled_from(["note", "plays", "added_at", "is_live", "provider", "key"]), max_size=3, unique=True
)


@settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS, columns=COLUMNS)
def test_a_manifest_column_comes_back_whatever_it_holds_and_partitions(press, rows, columns):
    name = uuid.uuid4().hex
    store = open_store(f"memory://{name}")
    published = [press.row(f"track {index}", **row) for index, row in enumerate(rows)]

    write_parts(store, DatasetBatch("0001", "run-1", published), DatasetLayout(tuple(columns), CARRIED))

    tracks = pads.dataset(f"/{name}/tracks", filesystem=fsspec.filesystem("memory"))
    found = tracks.to_table().sort_by("track_id").to_pylist()
    assert [{name: row[name] for name in CARRIED.names} for row in found] == rows
    assert len(pd.read_parquet(store.url("stems"))) == 2 * len(rows)
    for key in list(store.list()):
        store.delete(key)
