"""A dataset that lies among the music it was made from is never taken for music: that would be paid for each night."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def music(project):
    """The person's folder, with two songs in it."""
    folder = project.folder / "music"
    folder.mkdir()
    for song in project.songs[:2]:
        shutil.copy(song, folder)
    return folder


@pytest.mark.parametrize("manifest", [".", pytest.param("**/*.*", marks=pytest.mark.long)])
def test_stems_among_the_music_are_not_paid_for(project, music, manifest):
    project.write_config(catalogue={"manifest": str(music / manifest)}, dataset={"url": str(music / "stems")})
    assert project.run().code == 0
    paid = project.provider.charged

    again = project.run()

    assert (again.code, again.tree["tracks"]) == (0, {"published": 2})
    assert again.tree["passed_over_kinds"] == {"datasets": 1}
    assert again.tree["passed_over"] == 0
    assert project.provider.charged == paid


@pytest.mark.parametrize("url", ["", "link"])
@pytest.mark.long
def test_a_dataset_in_the_music_folder_itself_is_refused_before_anything_is_spent(project, music, url):
    (project.folder / "link").symlink_to(music)
    where = project.folder / url if url else music
    project.write_config(catalogue={"manifest": str(music)}, dataset={"url": str(where)})
    for command in ("plan", "run", "doctor"):
        told = project.stemline(command, project.config, "--json")
        assert told.code == 2, told.err
        assert "holds a dataset of stems" in told.out + told.err
    assert project.provider.jobs() == []
