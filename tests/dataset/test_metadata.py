"""What the dataset keeps of runs and of rows it could not use."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime

import pandas as pd
import pyarrow.parquet as pq
import pytest

from stemline.dataset.identity import LEDGERS_PREFIX, read_ledger_records
from stemline.dataset.metadata import LAYOUT_KEY, read_layout, write_rejects, write_run_summary
from stemline.dataset.table_schemas import REJECTS_SCHEMA
from stemline.errors import StorageError
from stemline.records import Code, Reject
from stemline.storage import open_store


def test_rejects_are_written_for_people_and_for_programs(tmp_path):
    store = open_store(str(tmp_path))
    rejects = [
        Reject(3, None, None, Code.NO_LOCATION, "Row 3 has no location."),
        Reject(9, "x", "/x, y.mp3", Code.MISSING_FILE, 'Row 9: "/x, y.mp3" does not exist.'),
    ]

    keys = write_rejects(store, "run-1", rejects)

    assert keys == ["_stemline/rejects/run-1.parquet", "_stemline/rejects/run-1.csv"]
    assert pd.read_parquet(store.url(keys[0]))["code"].tolist() == ["no_location", "missing_file"]
    with open(store.url(keys[1]), newline="", encoding="utf-8") as file:  # noqa: PTH123 - a URL from the store
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "row": "9",
        "track_id": "x",
        "location": "/x, y.mp3",
        "code": "missing_file",
        "sentence": 'Row 9: "/x, y.mp3" does not exist.',
    }


def test_the_rejects_table_has_the_one_schema(tmp_path):
    store = open_store(str(tmp_path))

    key, _ = write_rejects(store, "run-1", [Reject(3, None, "x.mp3", Code.MISSING_FILE, "Row 3: gone.")])

    table = pq.read_table(store.url(key))
    assert table.schema == REJECTS_SCHEMA
    assert table.to_pylist() == [
        {"row": 3, "track_id": None, "location": "x.mp3", "code": "missing_file", "sentence": "Row 3: gone."}
    ]


def test_without_rejects_there_is_no_file(tmp_path):
    store = open_store(str(tmp_path))

    assert write_rejects(store, "run-1", []) == []
    assert list(store.list()) == []


def test_a_run_summary_is_json(tmp_path):
    store = open_store(str(tmp_path))
    summary = {"tracks": {"published": 3}, "at": datetime(2026, 11, 21, tzinfo=UTC)}

    key = write_run_summary(store, "run-1", summary)

    assert key == "_stemline/runs/run-1.json"
    assert json.loads(store.read_bytes(key)) == {
        "tracks": {"published": 3},
        "at": "2026-11-21 00:00:00+00:00",
    }


@pytest.mark.parametrize(
    "text", ["", '{"partition_by": [', "[]", "{}", '{"columns": 3}', '{"columns": [{}]}']
)
def test_a_damaged_layout_is_named(tmp_path, text):
    store = open_store(str(tmp_path))
    store.put_bytes(LAYOUT_KEY, text.encode())
    with pytest.raises(StorageError, match=r"layout\.json cannot be read"):
        read_layout(store)


def test_what_a_file_manager_leaves_beside_the_records_of_ledgers_is_none_of_them(tmp_path):
    store = open_store(str(tmp_path))
    store.put_bytes(f"{LEDGERS_PREFIX}/.DS_Store", b"\0Bud1")
    assert read_ledger_records(store) == []
