"""Names of folders, columns and audio objects."""

from __future__ import annotations

from datetime import date
from pathlib import PurePosixPath

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout
from stemline.dataset.paths import name_digest, path_safe, stem_path
from stemline.dataset.table_schemas import tracks_schema
from stemline.errors import ConfigError
from stemline.records import Attempt, Recipe, Track
from stemline.storage import open_store

FOUR = Recipe("four", "best", "flac")


def attempt(track_id="song", provider="local", number=1):
    return Attempt("token", Track(track_id, "/song.flac", 1), FOUR, provider, number, 1)


def test_a_stem_lies_under_its_track_provider_and_recipe():
    assert stem_path(attempt(), "vocals", "flac") == "audio/63/song/local-four-best-flac/vocals.flac"


def test_no_two_attempts_share_an_object():
    attempts = [
        attempt(),
        attempt(number=2),
        attempt(provider="stemsplit"),
        attempt("Song"),
        attempt("song "),
    ]

    assert len({stem_path(each, "vocals", "flac") for each in attempts}) == len(attempts)


@given(st.text(min_size=1, max_size=300))
def test_any_track_id_becomes_one_safe_step_of_a_path(track_id):
    name = path_safe(track_id)

    assert PurePosixPath(name).parts == (name,)
    assert not name.startswith(".")
    assert name.isascii()
    assert len(name) <= 180


@given(st.text(max_size=250), st.text(max_size=250))
def test_two_track_ids_never_become_the_same_name(one, other):
    assert (path_safe(one) == path_safe(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"), [("a/b", "a=2Fb"), ("x" * 181, "x" * 182), (".", "=2E"), ("ü", "=C3=BC"), ("a", "A")]
)
def test_lookalikes_stay_apart(one, other):
    assert path_safe(one) != path_safe(other)


@pytest.mark.parametrize(
    ("value", "folder"),
    [
        ("local", "by_x=local"),
        (None, "by_x=__null__"),
        (
            "__HIVE_DEFAULT_PARTITION__",
            f"by_x=__HIVE_DEFAU...{name_digest('__HIVE_DEFAULT_PARTITION__')[:32]}",
        ),
        ("", "by_x=__null__"),
        ("C# major", "by_x=C%23%20major"),
        ("../a=b", "by_x=..%2Fa%3Db"),
        (date(2024, 5, 6), "by_x=2024-05-06"),
        (7, "by_x=7"),
        (True, "by_x=true"),
        ("ü", "by_x=%C3%BC"),
    ],
)
def test_a_partition_folder_is_spelled_as_hive_does(value, folder):
    layout = DatasetLayout(("x",), pa.schema([("x", pa.string())]))

    assert layout.folder({"x": value}) == folder


@given(st.text(max_size=400))
def test_a_partition_folder_fits_a_file_system(value):
    folder = DatasetLayout(("x",), pa.schema([("x", pa.string())])).folder({"x": value})

    assert "/" not in folder
    assert len(folder) < 255


def test_an_unknown_partition_column_is_a_config_error_that_lists_them():
    with pytest.raises(ConfigError, match=r"'gener'.*genre") as caught:
        DatasetLayout(("gener",), pa.schema([("genre", pa.string())]))

    assert caught.value.exit_code == 2


def test_a_manifest_column_whose_name_is_taken_gets_a_prefix():
    carried = pa.schema(
        [
            ("bpm", pa.float64()),
            ("Key", pa.string()),
            ("manifest_bpm", pa.int32()),
            ("by_genre", pa.string()),
            ("genre", pa.dictionary(pa.int32(), pa.string())),
            ("title", pa.string()),
        ]
    )

    schema = tracks_schema(carried, ("genre",))

    assert schema.names[-5:] == [
        "manifest_bpm",
        "manifest_Key",
        "manifest_manifest_bpm",
        "manifest_by_genre",
        "genre",
    ]
    assert schema.field("genre").type == pa.string()
    assert len({name.lower() for name in schema.names}) == len(schema.names)


def test_a_dataset_keeps_the_layout_it_began_with(tmp_path):
    store = open_store(str(tmp_path / "stems"))
    claim_layout(store, DatasetLayout(("provider",)))
    claim_layout(store, DatasetLayout(("provider",)))

    with pytest.raises(ConfigError, match=r"partition_by \['provider'\], not \['collected_on'\]"):
        claim_layout(store, DatasetLayout(("collected_on",)))
    with pytest.raises(ConfigError, match=r"audio 'objects', not 'embedded'"):
        claim_layout(store, DatasetLayout(("provider",), audio="embedded"))
