"""What sources are called from where they lie together, and that this leads back to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.manifest import ManifestSource
from stemline.manifest.manifest_file import find_source_root
from stemline.manifest.source_root import SourceRoot

HERE = SourceRoot("/home/ann/cat/")


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("/home/ann/cat/music/a.flac", "music/a.flac"),
        ("/home/ann/cat/My Song #1 50%25.wav", "My Song #1 50%25.wav"),
        ("/home/ann/cat/../music/a.flac", "../music/a.flac"),  # a row that wrote it so
        ("/home/ann/cats/a.flac", "/home/ann/cats/a.flac"),
        ("/mnt/a.flac", "/mnt/a.flac"),
        ("https://example.org/home/ann/cat/a.flac", "https://example.org/home/ann/cat/a.flac"),
        ("/home/ann/cat/http:/a.flac", "http:/a.flac"),
        ("/home/ann/cat/s3://a.flac", "./s3://a.flac"),
        ("/home/ann/cat/FILE:/a.flac", "./FILE:/a.flac"),
        ("/home/ann/cat//a.flac", ".//a.flac"),
        ("/home/ann/cat/./a.flac", "././a.flac"),
        ("/home/ann/cat/C:\\a.flac", "C:\\a.flac"),
    ],
)
def test_a_location_below_is_called_from_there_and_another_one_by_its_whole_name(location, told):
    assert HERE.relative(location) == told
    assert HERE.absolute(told) == location


@given(st.text(min_size=1))
def test_every_name_leads_back_to_its_location(name):
    location = HERE.place + name

    assert HERE.absolute(HERE.relative(location)) == location


def test_a_prefix_of_a_store_is_a_root_as_a_folder_is():
    root = SourceRoot("s3://label/cat/")

    assert root.relative("s3://label/cat/audio/a.flac") == "audio/a.flac"
    assert root.absolute("audio/a.flac") == "s3://label/cat/audio/a.flac"
    assert root.relative("s3://label/other/a.flac") == "s3://label/other/a.flac"


def test_links_lead_where_they_lead(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.flac").touch()
    (tmp_path / "short").symlink_to(tmp_path / "cat")
    (tmp_path / "cat" / "far").symlink_to("/")

    for place in ("cat", "short"):
        root = SourceRoot(f"{tmp_path}/{place}/")
        assert root.relative(f"{tmp_path}/cat/a.flac") == "a.flac"
        assert root.relative(f"{tmp_path}/short/a.flac") == "a.flac"
        assert root.relative(f"{tmp_path}/{place}/far/a.flac") == "far/a.flac"  # as the manifest has it


def test_without_a_place_every_location_is_told_whole():
    assert SourceRoot().relative("/home/ann/a.flac") == "/home/ann/a.flac"
    assert SourceRoot().absolute("a.flac") == "a.flac"


@pytest.mark.parametrize(
    ("manifest", "place"),
    [
        ("{folder}/catalogue.csv", "{folder}/"),
        ("{folder}/gone/catalogue.jsonl.gz", "{folder}/gone/"),
        ("file://{folder}/catalogue.csv", "{folder}/"),
        ("{folder}/music", "{folder}/music/"),
        ("{folder}/music/", "{folder}/music/"),
        ("{folder}/music/*/*.flac", "{folder}/music/"),
        ("{folder}/table", "{folder}/"),  # what its rows are relative to
        ("memory://cat/catalogue.parquet", "memory:///cat/"),
        ("https://example.org/cat/catalogue.csv?token=1", "https://example.org/cat/"),
        ("{folder}/nothing", ""),
    ],
)
def test_the_root_is_the_manifest_s_folder_or_the_catalogue_s_own(tmp_path, manifest, place):
    (tmp_path / "music" / "album").mkdir(parents=True)
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "part-0.parquet").touch()

    found = find_source_root(ManifestSource(manifest.format(folder=tmp_path)))

    assert found.place == place.format(folder=tmp_path)


def test_catalogue_root_comes_before_the_manifest_s_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert find_source_root(ManifestSource("lists/a.csv", root="music")).place == f"{tmp_path}/music/"
