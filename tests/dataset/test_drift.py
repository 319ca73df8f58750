"""One schema for the life of a dataset, over weeks in which the manifest's columns come, go and change."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.weeks import Weeks

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout, read_layout
from stemline.dataset.renewal import renew_parts
from stemline.dataset.table_schemas import STEMS_SCHEMA, TRACKS_SCHEMA
from stemline.errors import ConfigError


def _something(kind):
    value = datetime(2026, 11, 21, tzinfo=UTC) if pa.types.is_temporal(kind) else "7"
    return pa.array([value]).cast(kind)


def _filled(schema, **told):
    """A table of one row that has what must be there."""
    needed = [each for each in schema if not each.nullable and each.name not in told]
    told |= {each.name: _something(each.type) for each in needed}
    return pa.table(told).replace_schema_metadata({"stemline.schema_version": "1"})


@pytest.fixture
def weeks(tmp_path):
    return Weeks(tmp_path)


def test_every_reader_reads_three_weeks_of_drifting_manifests(weeks):
    weeks.run(weeks.write("1.csv", "uri,track_id,upc,plays,mood\nhttps://h/a,a,00123,7,calm\n"))
    weeks.run(weeks.write("2.csv", "uri,track_id,plays,label,upc\nhttps://h/b,b,8,Warp,456\n"))
    row = {"uri": "https://h/c", "track_id": "c", "UPC": 789, "tags": ["x"], "plays": 9.0, "mood": None}
    weeks.run(weeks.write("3.jsonl", json.dumps(row) + "\n"))

    assert weeks.read("upc", "plays", "mood", "label", "tags", "recipe") == {
        "a": ("00123", 7, "calm", None, None, "vocals-best-flac"),
        "b": ("456", 8, None, "Warp", None, "vocals-best-flac"),
        "c": ("789", 9, None, None, ["x"], "vocals-best-flac"),
    }
    schemas = {
        str(pq.read_schema(part).remove_metadata()) for part in weeks.folder.glob("out/tracks/**/*.parquet")
    }
    assert len(schemas) == 1


def test_parts_of_a_dataset_begun_before_get_one_schema(weeks):
    """Of the first version: no `recipe`, no columns in the layout, and parts that already differ."""
    for number, columns in enumerate(({"no": [7], "recipe": ["cake"]}, {"no": ["WARP-7"], "mood": ["calm"]})):
        one = {"track_id": [f"t{number}"]}
        asked = {"stems": ["both"], "quality": ["best"], "format": ["mp3"]}
        tables = {
            "tracks": _filled(TRACKS_SCHEMA, **one, **asked, **columns),
            "stems": _filled(STEMS_SCHEMA, **one, recipe=["both-best-mp3"]),
        }
        for name, rows in tables.items():
            path = weeks.folder / f"out/{name}/part-{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(rows, path)
    old = {"schema_version": 1, "partition_by": [], "audio": "objects"}
    weeks.store.put_bytes("_stemline/layout.json", json.dumps(old).encode())

    layout = claim_layout(weeks.store, DatasetLayout((), pa.schema([("mood", pa.string())])))
    assert renew_parts(weeks.store, layout) == 4
    assert renew_parts(weeks.store, layout) == 0

    assert weeks.read("no", "mood", "recipe", "manifest_recipe") == {
        "t0": ("7", None, "both-best-mp3", "cake"),
        "t1": ("WARP-7", "calm", "both-best-mp3", None),
    }
    stems = pq.read_table(weeks.folder / "out/stems").to_pylist()
    assert [(row["recipe"], row["silent_share"]) for row in stems] == [("both-best-mp3", None)] * 2


def test_a_renewal_that_was_cut_off_is_done_by_the_next_run(weeks):
    weeks.run(weeks.write("1.csv", "uri,track_id\nhttps://h/a,a\n"))
    wider = DatasetLayout(carried=pa.schema([("mood", pa.string())]))
    claim_layout(weeks.store, wider)  # and nothing more: the process is gone

    weeks.run(weeks.write("2.csv", "uri,track_id,mood\nhttps://h/b,b,calm\n"))

    assert weeks.read("mood") == {"a": (None,), "b": ("calm",)}
    assert not read_layout(weeks.store).is_behind


def test_a_type_is_free_until_something_is_published(weeks):
    weeks.open(weeks.write("1.csv", "uri,track_id,no\nhttps://h/a,a,7\n"))
    weeks.run(weeks.write("2.csv", "uri,track_id,no\nhttps://h/a,a,WARP-7\n"))

    assert weeks.read("no") == {"a": ("WARP-7",)}


def test_what_else_the_layout_says_stays(weeks):
    weeks.run(weeks.write("1.csv", "uri,track_id\nhttps://h/a,a\n"))
    tree = json.loads(weeks.store.read_bytes("_stemline/layout.json"))
    weeks.store.put_bytes("_stemline/layout.json", json.dumps({**tree, "owner": "x"}).encode())

    weeks.run(weeks.write("2.csv", "uri,track_id,mood\nhttps://h/b,b,calm\n"))

    assert json.loads(weeks.store.read_bytes("_stemline/layout.json"))["owner"] == "x"


def test_only_text_can_take_the_place_of_another_type(weeks):
    weeks.run(weeks.write("1.csv", "uri,track_id,no\nhttps://h/a,a,7\n"))

    with pytest.raises(ConfigError, match="integer"):
        weeks.run(weeks.write("2.csv", "uri,track_id,no\nhttps://h/b,b,8\n"), no="date")


def test_released_on_is_never_refused(weeks):
    weeks.run(weeks.write("1.csv", "uri,track_id,released_on\nhttps://h/a,a,1964-03-01\n"))
    weeks.run(weeks.write("2.csv", "uri,track_id,released_on\nhttps://h/b,b,spring\n"))

    found = weeks.read("released_on", "manifest_released_on")
    assert [(str(day), text) for day, text in found.values()] == [
        ("1964-03-01", None),
        ("None", "spring"),
    ]
