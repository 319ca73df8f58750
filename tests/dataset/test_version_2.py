"""A dataset that was written before the stems table had columns of quality: real parts, in the folder beside this."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.weeks import READERS

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout, read_layout
from stemline.dataset.parts import DatasetBatch, write_parts
from stemline.dataset.renewal import renew_parts
from stemline.dataset.stored_tracks import WantedTracks, list_stored_parts, read_stored_tracks
from stemline.errors import LeaseHeld
from stemline.manifest.source_root import SourceRoot
from stemline.storage import open_store

WRITTEN = Path(__file__).parent / "version_2"
CARRIED = pa.schema([("genre", pa.string()), ("tags", pa.list_(pa.string()))])
QUALITY = ("silent_share", "clipped_share", "residual_db", "residual_of")


@pytest.fixture(params=["objects", "embedded"])
def audio(request):
    return request.param


@pytest.fixture
def dataset(tmp_path, audio):
    return shutil.copytree(WRITTEN / audio, tmp_path / "set")


@pytest.fixture
def layout(audio):
    return DatasetLayout(carried=CARRIED, audio=audio)


def rows(read, dataset, table):
    found = [dict(row) for row in read(dataset, table)]
    return {(row["track_id"], row.get("stem")): row for row in found}


def plain(value):
    """A value without what pandas makes of a null."""
    return None if value != value else value  # noqa: PLR0124 - NaN alone differs from itself


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_sees_old_stems_beside_new_ones(dataset, layout, press, reader):
    before = rows(READERS["pyarrow"], dataset, "stems")
    store = open_store(str(dataset))
    layout = claim_layout(store, layout)
    assert renew_parts(store, layout) == 4
    assert (renew_parts(store, layout), read_layout(store).is_behind) == (0, False)
    if layout.audio == "objects":
        write_parts(store, DatasetBatch("0003", "run-2", [press.row("c", tags=[])]), layout)

    found = rows(READERS[reader], dataset, "stems")

    assert found.keys() - before.keys() == {
        ("c", stem) for stem in ("vocals", "instrumental") if layout.audio == "objects"
    }
    for key, old in before.items():
        assert all(plain(found[key][name]) is None for name in QUALITY)
        assert old == {name: plain(found[key][name]) for name in old}
    assert {row["track_id"] for row in READERS[reader](dataset, "tracks")} == {key[0] for key in found}
    schemas = {str(pq.read_schema(part).remove_metadata()) for part in dataset.glob("stems/**/*.parquet")}
    assert len(schemas) == 1


@pytest.mark.parametrize("written", range(4))
def test_a_renewal_is_cut_off_and_the_next_one_does_the_rest(dataset, layout, written):
    left, store = iter(range(written)), open_store(str(dataset))

    def require_hold():
        if next(left, None) is None:
            raise LeaseHeld("Cut off.", fix="")

    layout = claim_layout(store, layout)
    with pytest.raises(LeaseHeld):
        renew_parts(store, layout, require_hold)
    assert len(rows(READERS["pyarrow"], dataset, "stems")) == 4

    assert renew_parts(store, layout) == 4 - written
    assert len(rows(READERS["pyarrow"], dataset, "stems")) == 4


def test_a_column_that_joins_later_leaves_the_stems_alone(dataset, layout):
    store = open_store(str(dataset))
    renew_parts(store, claim_layout(store, layout))
    before = {part: part.stat().st_mtime_ns for part in dataset.glob("stems/**/*.parquet")}

    wider = claim_layout(store, DatasetLayout(carried=pa.schema([("mood", pa.string())]), audio=layout.audio))

    assert renew_parts(store, wider) == 2
    assert before == {part: part.stat().st_mtime_ns for part in dataset.glob("stems/**/*.parquet")}


def test_it_can_be_adopted_as_it_is(dataset, press):
    store = open_store(str(dataset))

    tracks = [
        row
        for part in list_stored_parts(store)[0]
        for some in read_stored_tracks(store, part, WantedTracks("local", press.recipe, SourceRoot()))
        for row in some
    ]

    assert sorted(row.attempt.track.track_id for row in tracks) == ["a", "b"]
    assert all(len(row.collected.stems) == 2 for row in tracks)
    assert {stem.silent_share for row in tracks for stem in row.collected.stems} == {None}
