"""A dataset that was written before the tracks table said what a track may be used for; its manifest said it itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from support.weeks import READERS, Weeks, read_by_everyone

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout
from stemline.dataset.renewal import renew_parts
from stemline.dataset.rights_columns import split_by_rights
from stemline.dataset.stored_tracks import WantedTracks, list_stored_parts, read_stored_tracks
from stemline.manifest.source_root import SourceRoot
from stemline.records import Recipe
from stemline.rights import RightsGate
from stemline.storage import open_store

WRITTEN = Path(__file__).parent / "version_3"
NAMES = ("license", "license_spdx", "ai_training", "manifest_ai_training", "manifest_license_spdx")
RIGHTS = {
    "a": ("CC BY 4.0", "CC-BY-4.0", "allowed", "yes", "own-1"),
    "b": ("All rights reserved", None, "unknown", "until 2027", None),
    "c": ("mit or zlib", "MIT OR Zlib", "unknown", None, None),
}


@pytest.fixture
def dataset(tmp_path):
    return shutil.copytree(WRITTEN, tmp_path / "out")


def test_every_reader_sees_the_rights_and_what_the_manifest_had_under_their_names(dataset):
    store = open_store(str(dataset))

    assert renew_parts(store, claim_layout(store, DatasetLayout())) == 2, (
        "the stems have the columns they had"
    )

    assert read_by_everyone(dataset, *NAMES) == RIGHTS
    assert read_by_everyone(dataset, "manifest_manifest_ai_training", "genre") == {
        "a": ("odd", None),
        "b": (None, None),
        "c": (None, "soul"),
    }
    assert renew_parts(store, claim_layout(store, DatasetLayout())) == 0


def test_a_later_manifest_says_it_in_the_same_columns(dataset):
    weeks = Weeks(dataset.parent, number=2)

    weeks.run(weeks.write("3.csv", "uri,track_id,license,AI_training\nhttps://h/d,d,cc0,TRUE\n"))

    assert weeks.read(*NAMES) == RIGHTS | {"d": ("cc0", "CC0-1.0", "allowed", "TRUE", None)}


def test_it_can_be_adopted_as_it_is(dataset):
    store = open_store(str(dataset))

    wanted = WantedTracks("local", Recipe("vocals", "best", "flac"), SourceRoot())
    batches = [
        rows for part in list_stored_parts(store)[0] for rows in read_stored_tracks(store, part, wanted)
    ]

    columns = {row.attempt.track.track_id: row.attempt.track.columns for rows in batches for row in rows}
    assert columns["a"].items() >= {
        ("license", "CC BY 4.0"),
        ("ai_training", "yes"),
        ("manifest_ai_training", "odd"),
        ("license_spdx", "own-1"),
    }


def test_its_rows_are_held_against_a_gate_as_they_are(dataset):
    table = pa.Table.from_pylist([dict(row) for row in READERS["pyarrow"](dataset, "tracks")])
    tracks = table.drop_columns(["license_spdx"])

    passing, refused = split_by_rights(
        tracks, RightsGate(frozenset({"CC-BY-4.0"}), is_ai_training_required=True)
    )

    assert passing.column("track_id").to_pylist() == ["a"]
    assert dict(zip(*refused.select(["track_id", "refusal"]).to_pydict().values(), strict=True)) == {
        "b": "the license is unknown; AI training is unknown",
        "c": "the license MIT OR Zlib is not allowed; AI training is unknown",
    }
