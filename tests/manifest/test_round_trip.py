"""Whatever is written into a manifest comes out of it."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline.manifest import ManifestSource
from stemline.manifest.scan import scan_manifest

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\n\t",;'), max_size=12)
ROW = st.fixed_dictionaries(
    {
        "title": TEXT.filter(bool),
        "mood": TEXT.map(lambda text: f"~{text}"),
        "plays": st.integers(-(2**62), 2**62),
        "duration_seconds": st.floats(0.001, 1e6),
    }
)
ROWS = st.lists(ROW, min_size=1, max_size=5)


def write_csv(rows, path):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write_jsonl(rows, path):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_parquet(rows, path):
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.long
@settings(max_examples=examples(25), deadline=None)
@given(
    rows=ROWS,
    form=st.sampled_from([("m.csv", write_csv), ("m.jsonl", write_jsonl), ("m.parquet", write_parquet)]),
)
def test_rows_come_back_unchanged(rows, form):
    rows = [{"uri": f"https://h/{n}", "track_id": f"{n:03d}", **row} for n, row in enumerate(rows)]
    name, write = form
    with tempfile.TemporaryDirectory() as folder:
        write(rows, Path(folder) / name)
        tracks = [
            track for batch in scan_manifest(ManifestSource(f"{folder}/{name}")) for track in batch.tracks
        ]

    assert [
        {
            "uri": track.location,
            "track_id": track.track_id,
            **track.columns,
            "duration_seconds": track.duration_seconds,
        }
        for track in tracks
    ] == rows
