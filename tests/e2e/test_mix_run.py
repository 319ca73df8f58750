"""A dataset with the source beside its stems, from the plan to a ledger that was lost."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

COUNT = 3


def mixes(project):
    stems = project.stems()
    return stems[stems["stem"] == "mix"].set_index("track_id").sort_index()


def assert_whole(project):
    """Every stem of the tables is an object as it says, no object is left over, and a mix is its source."""
    stems = project.stems()
    assert sorted(stems["path"]) == sorted(project.files("audio"))
    for stem in stems.itertuples():
        data = (project.dataset / stem.path).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (stem.size_bytes, stem.sha256)
    found = mixes(project)
    assert [(project.dataset / path).read_bytes() for path in found["path"]] == [
        song.read_bytes() for song in project.songs[:COUNT]
    ]
    assert list(found["format"]) == ["wav", "flac", "mp3"]
    assert set(found["verification"]) == {"ok"}


@pytest.mark.long
def test_copied_mixes_are_planned_counted_adopted_and_paid_for_once(project):
    project.prepare(COUNT, dataset={"mix": "copy"})
    size = sum(song.stat().st_size for song in project.songs[:COUNT])
    planned = project.stemline("plan", project.config, "--json").tree
    assert planned["mix"] == {"mode": "copy", "bytes": size, "unsized": 0, "videos": 0}

    done = project.run()
    assert done.code == 0, done.err
    assert done.tree["mix"] == {"stored": COUNT, "linked": 0, "missing": 0, "problems": {}}
    assert_whole(project)

    charged = project.provider.charged
    for file in project.folder.glob("night.db*"):
        file.unlink()
    assert project.stemline("adopt", project.config, "--json").tree["tracks"] == COUNT
    files = project.files()
    again = project.run("--set", "dataset.mix=none")
    assert (again.code, again.tree["requests"]["sent"]) == (0, 0), again.err
    assert "mix" not in again.tree
    assert (project.provider.charged, project.files()) == (charged, files)


@pytest.mark.long
def test_a_run_killed_between_tracks_goes_on_with_their_mixes(project):
    project.prepare(COUNT, dataset={"mix": "copy"}, execution={"workers": 1})
    running = project.start("run", project.config, "--json")
    running.until(lambda: project.has_happened("record_collected"))
    running.kill()

    assert project.run().code == 0
    assert_whole(project)
    assert project.charges() == project.provider.charged


@pytest.mark.long
def test_older_tracks_have_no_mix_and_later_ones_are_linked_from_the_manifest(project):
    project.prepare(1)
    assert project.run().code == 0
    project.prepare(COUNT, dataset={"mix": "link"})
    root = project.songs[0].parent
    done = project.run("--set", f"catalogue.root={root}")
    assert done.code == 0, done.err
    assert done.tree["mix"] == {"stored": 0, "linked": 2, "missing": 0, "problems": {}}

    found = mixes(project)
    assert list(found.index) == ["t01", "t02"]
    songs = project.songs[1:COUNT]
    assert list(found["path"]) == [song.name for song in songs]
    assert list(found["sha256"]) == [hashlib.sha256(song.read_bytes()).hexdigest() for song in songs]
    assert list(found["verification"]) == ["linked"] * 2
    assert len(project.files("audio")) == 2 * COUNT

    shown = project.stemline("report", project.config, "--set", f"catalogue.root={root}")
    assert shown.code == 0, shown.err
    for file in project.folder.glob("night.db*"):
        file.unlink()
    assert project.stemline("adopt", project.config, "--json").tree["tracks"] == COUNT


def test_another_word_is_refused(project):
    project.prepare(1, dataset={"mix": "yes"})
    refused = project.run()
    assert refused.code == 2
    assert "dataset.mix" in refused.err + refused.out


@pytest.mark.long
def test_a_source_that_is_gone_when_its_stems_are_collected_costs_none_of_them(project):
    source = Path(shutil.copy(project.songs[0], project.folder))
    project.write_manifest([{"track_id": "t00", "uri": str(source)}])
    project.write_config(dataset={"mix": "copy"})
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened("record_submission"))
    running.kill()
    source.unlink()
    if project.query("SELECT state FROM tracks") == [("published",)]:
        return  # it was over before it could be killed

    again = project.run()

    assert again.code == 3  # its row is rejected: there is no such file
    assert len(project.query("SELECT 1 FROM attempts WHERE state = 'published'")) == 1
    stems = project.stems()
    assert set(stems["stem"]) - {"mix"} == {"vocals", "instrumental"}
    assert sorted(stems["path"]) == sorted(project.files("audio"))
    assert project.charges() == project.provider.charged
    if "mix" in set(stems["stem"]):
        return  # it had been collected
    why = "The source is not beside its stems: it is not there any more."
    assert again.tree["mix"] == {"stored": 0, "linked": 0, "missing": 1, "problems": {"t00": why}}
    page = project.dataset / "_stemline" / "runs" / f"{again.tree['run_id']}.html"
    assert f"1 missing, such as that of t00: {why}" in page.read_text()


@pytest.mark.long
def test_a_track_that_a_person_accepts_gets_its_mix(project, break_with):
    project.prepare(1, dataset={"mix": "copy"})
    break_with({"fault": "stems_silent"})
    assert project.run().tree["tracks"] == {"quarantined": 1}
    break_with()
    accepted = project.stemline("resolve", project.config, "t00", "--accept", "--json")
    assert accepted.code == 0, accepted.err
    stems = project.stems().set_index("stem")
    assert stems["verification"].str.contains("accepted").to_dict() == {
        "instrumental": True,
        "vocals": True,
        "mix": False,
    }
    assert (project.dataset / stems.loc["mix", "path"]).read_bytes() == project.songs[0].read_bytes()
