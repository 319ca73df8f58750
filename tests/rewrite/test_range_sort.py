"""Wide rows come out in order and complete, however few of them may be in memory at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.rewrite import range_sort
from stemline.rewrite.range_sort import RangeSort

SCHEMA = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("stem", pa.string(), nullable=False),
        pa.field("rms_dbfs", pa.list_(pa.float32())),
        pa.field("place", pa.struct([("city", pa.string())])),
    ]
)


def rows_of(count, seed=0):
    noise = np.random.default_rng(seed)
    return [
        {
            "track_id": f"ü{number % (count // 2):04}",
            "stem": "vocals" if number < count // 2 else "drums",
            "rms_dbfs": None
            if number % 7 == 0
            else [float(np.float32(each)) for each in noise.normal(-20, 5, 50)],
            "place": {"city": str(number)},
        }
        for number in noise.permutation(count).tolist()
    ]


@pytest.fixture
def files(tmp_path):
    """Rows in no order, in files of 1 to 60 rows."""
    rows, files = rows_of(600), []
    while rows:
        size = 1 + len(files) * 7 % 60
        files.append(tmp_path / f"{len(files)}.parquet")
        pq.write_table(pa.Table.from_pylist(rows[:size], SCHEMA), files[-1], row_group_size=25)
        rows = rows[size:]
    return files


@pytest.mark.parametrize("range_bytes", [1 << 10, 10 << 10, 1 << 30])
def test_rows_come_out_in_order_and_complete(files, tmp_path, monkeypatch, range_bytes):
    monkeypatch.setattr(range_sort, "RANGE_BYTES", range_bytes)
    folder = tmp_path / "work"
    folder.mkdir()

    tables = list(RangeSort(files, SCHEMA, ["track_id", "stem"], folder).tables(5_000, 100))

    found = [row for table in tables for row in table.to_pylist()]
    assert found == sorted(rows_of(600), key=lambda row: (row["track_id"], row["stem"]))
    assert all(table.schema.equals(SCHEMA) and table.num_rows <= 100 for table in tables)
    assert not list(folder.iterdir())


def test_one_track_with_more_rows_than_a_range_is_no_trouble(tmp_path, monkeypatch):
    monkeypatch.setattr(range_sort, "RANGE_BYTES", 1 << 10)
    rows = [{**row, "track_id": "same", "stem": row["place"]["city"]} for row in rows_of(100)]
    file = tmp_path / "0.parquet"
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), file)

    tables = RangeSort([file], SCHEMA, ["track_id", "stem"], tmp_path).tables(1 << 20, 1_000)

    found = [row["stem"] for table in tables for row in table.to_pylist()]
    assert found == sorted(row["stem"] for row in rows)
