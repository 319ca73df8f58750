"""A plan saved by `plan --out`, and `run --plan`, which refuses to do anything else."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from support.terminal import on_a_terminal


@pytest.fixture
def plan(project):
    """The file of a saved plan for three tracks."""
    project.write_manifest([{**row, "duration_seconds": 2} for row in project.good_rows(3)])
    project.write_config()
    saved = project.stemline("plan", project.config, "--out", "plan.json")
    assert saved.code == 0, saved.err
    assert "--plan plan.json" in " ".join(saved.err.split())
    return project.folder / "plan.json"


def assert_refused(project, plan, *words):
    """Nothing is spent, and one sentence says what has moved."""
    refused = project.run("--plan", plan)
    assert refused.code == 2, refused.out
    error = refused.tree["error"]
    for word in words:
        assert word in error["message"]
    assert "stemline plan" in error["fix"]
    assert project.provider.charged == 0
    assert project.provider.jobs() == []


@pytest.mark.long
def test_a_plan_that_holds_is_carried_out_and_still_holds_when_it_is_done(project, plan):
    done = project.run("--plan", plan)
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": 3}
    assert project.run("--plan", plan).code == 0


def test_a_row_more_is_refused(project, plan):
    project.write_manifest([{**row, "duration_seconds": 2} for row in project.good_rows(4)])
    assert_refused(project, plan, "t03")


def test_another_length_is_refused_as_another_price(project):
    song = project.folder / "song.wav"
    soundfile.write(song, 0.3 * np.sin(np.arange(2 * 22_050) / 9), 22_050)
    rows = project.good_rows(3)
    rows[0]["uri"] = str(song)
    project.write_manifest(rows)
    project.write_config()
    assert project.stemline("plan", project.config, "--out", "plan.json").code == 0
    soundfile.write(song, 0.3 * np.sin(np.arange(3 * 22_050) / 9), 22_050)
    assert_refused(project, project.folder / "plan.json", "t00", "9 credits", "8 at most")


def test_another_recipe_is_refused(project, plan):
    project.write_config(recipe={"quality": "best"})
    assert_refused(project, plan, "recipe.quality", "fast", "best")


def test_another_part_of_the_catalogue_is_refused(project, plan):
    refused = project.run("--plan", plan, "--limit", 2)
    assert refused.code == 2
    assert "limit" in refused.tree["error"]["message"]


def test_a_file_that_is_no_plan_is_refused(project, plan):
    plan.write_text("{}")
    assert_refused(project, plan, "plan.json")
    plan.unlink()
    assert_refused(project, plan, "plan.json")


@pytest.mark.long
def test_a_person_is_asked_about_the_plan_without_a_second_reading(project):
    project.prepare(2, provider={"kind": "stemsplit"})
    assert project.stemline("plan", project.config, "--out", "plan.json").code == 0
    code, shown = on_a_terminal(project, b"n\n", "run", project.config, "--plan", "plan.json")
    assert code == 130
    assert "Spend up to 5 credits with stemsplit?" in shown
    assert "done already" not in shown
    code, shown = on_a_terminal(project, b"n\n", "run", project.config)
    assert code == 130
    assert "done already" in shown
    assert project.provider.charged == 0
