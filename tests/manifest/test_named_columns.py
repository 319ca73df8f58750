"""What is said of columns is said with the names and values that the manifest has."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.errors import ConfigError, ManifestError
from stemline.manifest import ManifestSource
from stemline.manifest.loading import parse_manifest
from stemline.manifest.scan import scan_manifest
from stemline.settings import load_settings


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("name", ["__stemline_row", "__stemline_line", "__STEMLINE_x"])
def test_a_column_named_like_one_of_our_own_is_refused_by_its_own_name(tmp_path, form, name):
    path = tmp_path / f"m.{form}"
    if form == "csv":
        path.write_text(f"uri,{name}\nhttps://h/a.mp3,1\n")
    elif form == "jsonl":
        path.write_text(json.dumps({"uri": "https://h/a.mp3", name: 1}) + "\n")
    else:
        pq.write_table(pa.table({"uri": ["https://h/a.mp3"], name: [1]}), path)

    with pytest.raises(ManifestError, match=f'has a column "{name}"; names'):
        parse_manifest(ManifestSource(str(path)))


def test_a_length_is_quoted_as_the_row_has_it(tmp_path):
    (tmp_path / "m.csv").write_text(
        "uri,duration_seconds\nhttps://h/a.mp3,0:00\nhttps://h/b.mp3,1:02:03.5\nhttps://h/c.mp3,3:75\n"
    )
    (batch,) = scan_manifest(ManifestSource(str(tmp_path / "m.csv")))

    assert [track.duration_seconds for track in batch.tracks] == [3_723.5]
    assert ['"0:00"' in batch.rejects[0].sentence, '"3:75"' in batch.rejects[1].sentence] == [True, True]


@pytest.mark.parametrize(
    ("columns", "fix"),
    [
        ({"artists": "Ann"}, "our name: the manifest's name"),
        ({"artist": " "}, "take `artist` out"),
        ({"artist": "A", "title": "a"}, "Keep one of them"),
    ],
)
def test_a_mapping_that_cannot_be_meant_comes_with_what_to_do(tmp_path, columns, fix):
    tree = {
        "catalogue": {"manifest": "m.csv", "columns": columns},
        "provider": {"kind": "local"},
        "dataset": {"url": "x"},
    }
    (tmp_path / "c.yaml").write_text(json.dumps(tree))
    with pytest.raises(ConfigError) as refused:
        load_settings(tmp_path / "c.yaml")

    assert fix in refused.value.fix
