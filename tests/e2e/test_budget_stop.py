"""Runs that a limit or the provider's balance stops: nothing lost, the next one finishes."""

from __future__ import annotations

import pytest


@pytest.mark.long
def test_the_run_limit_holds_the_rest_and_a_higher_one_finishes(project):
    project.prepare(6, budget={"run": 8})
    stopped = project.run()
    assert stopped.code == 4, stopped.err
    states = stopped.tree["tracks"]
    assert states["held"] + states["published"] == 6
    assert stopped.tree["codes"]["budget_run"] == states["held"] > 0
    assert 0 < stopped.tree["credits"]["charged"] <= 8
    assert project.provider.charged == stopped.tree["credits"]["charged"]
    project.write_config(budget={"run": 1_000})
    done = project.run()
    assert done.code == 0, done.err
    project.assert_published_once(6)


@pytest.mark.long
def test_the_day_limit_counts_what_earlier_runs_spent(project):
    project.prepare(6, budget={"day": 8})
    first = project.run()
    assert first.code == 4, first.err
    assert first.tree["codes"]["budget_day"] == first.tree["tracks"]["held"]
    again = project.run()
    assert again.code == 4
    assert again.tree["credits"]["charged"] == 0
    assert project.provider.charged == project.charges() <= 8


@pytest.mark.long
def test_priority_decides_who_fits(project):
    rows = [{**row, "priority": n} for n, row in enumerate(project.good_rows(6))]
    project.write_manifest(rows)
    project.write_config(budget={"run": 6})
    assert project.run().code == 4
    assert sorted(project.tracks()["track_id"]) == ["t04", "t05"]


@pytest.mark.long
def test_the_floor_is_left_with_the_provider(poor_project):
    project = poor_project.prepare(4, budget={"floor": 2})
    stopped = project.run()
    assert stopped.code == 4, stopped.err
    assert stopped.tree["codes"]["budget_floor"] == stopped.tree["tracks"]["held"]
    assert stopped.tree["tracks"]["published"] >= 1
    assert project.provider.balance >= 2
    assert stopped.tree["credits"]["balance"] == project.provider.balance


def test_a_provider_out_of_credits_ends_the_run_with_everything_paid_published(poor_project):
    project = poor_project.prepare(5)
    stopped = project.run()
    assert stopped.code == 5, stopped.err
    states = stopped.tree["tracks"]
    assert states["published"] >= 2
    assert sum(states.values()) == 5
    assert set(states) == {"published", "held"}
    assert stopped.tree["codes"]["out_of_credits"] == states["held"]
    assert project.charges() == project.provider.charged > 0
    assert project.open_reservations() == 0
    assert len(project.tracks()) == states["published"]


@pytest.mark.long
def test_out_of_credits_is_one_sentence_with_the_fix(poor_project):
    project = poor_project.prepare(5)
    stopped = project.stemline("run", project.config, "--yes")
    assert stopped.code == 5
    assert "out of credits" in " ".join(stopped.err.split())
    assert "Traceback" not in stopped.err
