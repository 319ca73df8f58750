"""In the tables sources are called from the manifest's folder: nobody's home directory goes with a dataset."""

from __future__ import annotations

import shutil
from urllib.parse import quote

import pytest

COUNT = 3


def prepare(project, folder="", **catalogue):
    """Give tracks without ids of their own, beside their manifest, each written another way."""
    music = project.folder / "my music"
    music.mkdir(exist_ok=True)
    for song in project.songs[:COUNT]:
        shutil.copy(song, music)
    names = [song.name for song in project.songs[:COUNT]]
    whole = [f"{music}/{names[0]}", f"file://{quote(str(music))}/{names[1]}", f"my music/{names[2]}"]
    uris = whole if not folder else [*whole[:2], f"{music}/{names[2]}"]
    (project.folder / folder).mkdir(exist_ok=True)
    manifest = project.write_manifest(
        [{"uri": uri, "mood": "calm"} for uri in uris], f"{folder}catalogue.csv"
    )
    project.write_config(catalogue={"manifest": str(manifest), **catalogue})
    return [f"my music/{name}" for name in names]


def locations(project):
    return sorted(project.query("SELECT track_id, location FROM tracks"))


@pytest.mark.long
def test_tables_name_sources_from_the_manifest_and_an_adopted_ledger_knows_where_they_lie(project):
    names = prepare(project)
    assert project.run().code == 0
    assert sorted(project.tracks()["source_uri"]) == names
    home = str(project.folder).encode()
    parts = [path.read_bytes() for path in project.dataset.rglob("part-*.parquet")]
    assert len(parts) >= 2
    assert not any(home in part for part in parts)

    before, charged = locations(project), project.provider.charged
    assert [place for _, place in before] == sorted(
        (str(project.folder / name) for name in names), key=dict(map(reversed, before)).get
    )
    for file in project.folder.glob("night.db*"):
        file.unlink()
    adopted = project.stemline("adopt", project.config, "--json")
    assert adopted.tree["tracks"] == COUNT, adopted.err
    assert locations(project) == before
    again = project.run()
    assert (again.code, again.tree["requests"]["sent"]) == (0, 0), again.err
    assert project.provider.charged == charged


@pytest.mark.long
def test_what_was_published_with_whole_names_is_neither_corrected_nor_paid_again(project):
    names = prepare(project, "lists/")
    assert project.run().code == 0
    assert sorted(project.tracks()["source_uri"]) == [f"{project.folder}/{name}" for name in names]

    files, charged = project.files(), project.provider.charged
    prepare(project)
    again = project.run()

    assert (again.code, again.tree["requests"]["sent"], again.tree["corrected"]) == (0, 0, 0), again.err
    assert (project.files(), project.provider.charged) == (files, charged)


def test_rejects_and_report_name_them_so_too(project):
    prepare(project)
    project.write_manifest(
        [{"uri": str(project.folder / "my music" / name)} for name in ("none.wav", "no.mp3")]
    )
    done = project.run()
    assert done.tree["tracks"] == {"rejected": 2}, done.err
    told = [
        file
        for pattern in ("rejects/*.csv", "rejects/*.parquet", "runs/*.html")
        for file in (project.dataset / "_stemline").glob(pattern)
    ]
    assert len(told) == 3
    assert project.stemline("report", project.config).code == 0
    texts = [file.read_bytes() for file in told]
    assert all(b"my music/none.wav" in text for text in texts)
    assert not any(f"{project.folder}/my music".encode() in text for text in texts)


@pytest.mark.long
def test_catalogue_root_is_what_sources_are_named_from_where_it_is_given(project):
    names = prepare(project, "lists/")
    config = ("--set", f"catalogue.root={project.folder}")
    assert project.run(*config).code == 0
    assert sorted(project.tracks()["source_uri"]) == names


@pytest.mark.long
def test_of_a_folder_of_audio_they_are_named_from_that_folder(project):
    names = prepare(project, manifest=str(project.folder / "my music"))
    assert project.run().code == 0
    assert sorted(project.tracks()["source_uri"]) == [name.removeprefix("my music/") for name in names]
