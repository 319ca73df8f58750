"""release and releases, on a real workplace."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pandas as pd
import pytest


def test_a_release_is_made_listed_compared_and_left_alone_by_later_runs(project):
    project.prepare(3)
    assert project.run().code == 0
    made = project.stemline("release", project.config, "v1", "--json")
    assert made.code == 0, made.err
    folder = Path(made.tree["folder"])
    assert folder == project.dataset / "releases" / "v1"
    assert made.tree["counts"]["tracks"] == 3
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    stems = pd.read_parquet(folder / "stems")
    assert all((folder / "../.." / path).stat().st_size for path in stems["path"])

    again = project.stemline("release", project.config, "v1")
    assert again.code == 2
    assert "another name" in again.err

    project.prepare(4)
    assert project.run().tree["tracks"] == {"published": 4}
    second = project.stemline("release", project.config, "v2", "--against", "v1", "--json")
    assert second.tree["difference"]["tables"]["tracks"]["came"] == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files
    assert len(pd.read_parquet(project.dataset / "tracks")) == 4

    listed = project.stemline("releases", project.config, "--json").tree
    assert [each["release"] for each in listed["releases"]] == ["v1", "v2"]
    assert listed["unfinished"] == []
    compared = project.stemline("releases", project.config, "--against", "v1")
    assert compared.code == 0, compared.err
    assert "came    t03 local both-fast-wav" in compared.out
    card = (project.dataset / "README.md").read_text()
    assert "config_name: tracks" in card


@pytest.mark.long
def test_a_release_that_is_not_there_is_said_to_be_missing(project):
    project.prepare(1)
    project.run()
    shown = project.stemline("releases", project.config)
    assert "has no release yet" in shown.out
    for words in (("release", "v1", "--against", "v0"), ("releases", "v0"), ("releases", "--against", "v0")):
        command, *more = words
        refused = project.stemline(command, project.config, *more, "--json")
        assert refused.code == 2, words
        assert "no release 'v0'" in json.loads(refused.out)["error"]["message"]
    assert not (project.dataset / "releases").exists()


@pytest.mark.long
def test_a_release_whose_process_is_killed_is_made_by_the_same_command(project):
    project.prepare(1)
    project.run()

    killed = project.stemline("release", project.config, "v1", STEM_KILL_AT="part_unnamed")

    assert killed.code == -signal.SIGKILL
    listed = project.stemline("releases", project.config, "--json").tree
    assert (listed["releases"], listed["unfinished"]) == ([], ["v1"])
    made = project.stemline("release", project.config, "v1", "--json")
    assert made.code == 0, made.err
    assert made.tree["counts"]["tracks"] == 1
