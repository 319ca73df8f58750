"""Manifests of very many columns are read in time and memory that grow with the columns, not with their square."""

from __future__ import annotations

import csv
import json
import time
from dataclasses import replace

import pytest

from stemline.manifest import ManifestSource
from stemline.manifest.loading import parse_manifest
from stemline.manifest.scan import read_columns, scan_manifest

VALUES = (("1", "bigint", 1), ("text", "string", "text"), ("0.5", "double", 0.5))


@pytest.mark.parametrize(
    ("form", "rows", "columns"),
    [pytest.param("csv", 5, 3_000, marks=pytest.mark.long), ("jsonl", 1_000, 300)],
)
def test_thousands_of_columns_are_carried(tmp_path, form, rows, columns):
    """A query with six expressions a column took minutes of them, and then more memory than it may have."""
    path, names = tmp_path / f"m.{form}", [f"c{place}" for place in range(columns)]
    cells = [VALUES[place % 3] for place in range(columns)]
    with path.open("w", newline="") as file:
        if form == "csv":
            writer = csv.writer(file)
            writer.writerow(["uri", *names])
            writer.writerows([[f"https://h/{row}.mp3", *(cell[0] for cell in cells)] for row in range(rows)])
        else:
            row = dict(zip(names, (cell[2] for cell in cells), strict=True))
            file.writelines(
                json.dumps({"uri": f"https://h/{number}.mp3", **row}) + "\n" for number in range(rows)
            )
    started = time.process_time()
    parsed = parse_manifest(source := ManifestSource(str(path)))
    try:
        kept = read_columns(replace(source, parsed=parsed))
        (batch,) = scan_manifest(replace(source, parsed=parsed, carried=kept))
    finally:
        parsed.close()

    assert time.process_time() - started < 30
    assert len(batch.tracks) == rows
    assert batch.tracks[-1].columns == dict(zip(names, (cell[2] for cell in cells), strict=True))
    assert kept.names == names


@pytest.mark.parametrize("kept", [False, True])
def test_the_first_lost_value_of_many_columns_is_named(tmp_path, kept):
    path = tmp_path / "m.csv"
    names = [f"c{place}" for place in range(200)]
    good = ["https://h/1.mp3", *["1"] * 200]
    bad = ["https://h/2.mp3", *["1"] * 150, "x", *["1"] * 48, "y"]
    path.write_text("\n".join(map(",".join, [["uri", *names], good, good, *([] if kept else [bad])])) + "\n")
    source = ManifestSource(str(path))
    if kept:
        source = replace(source, carried=read_columns(source))
        path.write_text("\n".join(map(",".join, [["uri", *names], good, good, bad])) + "\n")
        with pytest.raises(Exception, match='Row 3 has "x" in column "c150"'):
            read_columns(source)
    else:
        found = read_columns(source)
        assert [str(found.field(name).type) for name in ("c0", "c150", "c199")] == [
            "int64",
            "string",
            "string",
        ]
