"""Two runs, with a key each, over one manifest and one ledger: they share its tracks, and each says what it did."""

from __future__ import annotations

import signal

import pytest
from support.postgresql import new_schema

TRACKS = 10
SLOW = {"provider": {"max_in_flight": 1}, "execution": {"batch_seconds": 0.1}}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def ledger_kind(request, project):
    """The workplace with a ledger that does not exist yet, on each kind of database."""
    if request.param == "postgresql":
        project.database = new_schema(request.getfixturevalue("postgresql"))
    return project


def start_both(project, second):
    return [
        project.start("run", project.config, "--json"),
        project.start("run", project.config, "--json", STEM_KEY=second.key),
    ]


def jobs_of(project, second) -> list[int]:
    return [len(project.provider.jobs()), len(second.jobs())]


@pytest.mark.long
def test_two_runs_that_begin_at_once_pay_for_each_track_once_and_each_says_what_it_did(ledger_kind, second):
    project = ledger_kind.prepare(TRACKS, **SLOW)
    done = [running.wait() for running in start_both(project, second)]
    assert [each.code for each in done] == [0, 0], [each.err for each in done]
    assert [each.tree["tracks"] for each in done] == [{"published": TRACKS}] * 2
    assert sum(jobs_of(project, second)) == TRACKS
    assert min(jobs_of(project, second)) >= 1
    assert project.charges() == project.provider.charged + second.charged
    assert project.open_reservations() == 0
    published = project.tracks()
    assert sorted(published["track_id"]) == [row["track_id"] for row in project.good_rows(TRACKS)]
    trees = [each.tree for each in done]
    assert [tree["credits"]["charged"] for tree in trees] == [project.provider.charged, second.charged]
    shares = [tree["published"] for tree in trees]
    assert sum(share["by_this_run"] for share in shares) == TRACKS
    assert all(sum(share.values()) == TRACKS for share in shares)
    by_run = published["run_id"].value_counts().to_dict()
    assert by_run == {
        tree["run_id"]: tree["published"]["by_this_run"] for tree in trees if tree["published"]["by_this_run"]
    }


@pytest.mark.long
def test_a_run_that_is_stopped_leaves_the_tracks_of_a_living_one_alone(project, second):
    project.prepare(TRACKS, **SLOW)
    first, other = start_both(project, second)
    assert other.until(lambda: second.jobs() and project.provider.jobs())
    first.send(signal.SIGINT)
    assert first.wait().code == 130
    done = other.wait()
    assert "held" not in done.tree["tracks"]
    again = project.run()
    assert (again.code, again.tree["tracks"]) == (0, {"published": TRACKS})
    assert sum(jobs_of(project, second)) == TRACKS


@pytest.mark.long
def test_a_second_run_publishes_nothing_that_a_living_run_is_at(project, second):
    """The first collects, and waits a minute for company before it publishes."""
    project.prepare(3, provider={"max_in_flight": 3}, execution={"batch_tracks": 1, "batch_seconds": 60})
    first = project.start("run", project.config, "--json")
    assert first.until(lambda: project.has_happened("record_collected"))
    done = project.run("--where", "track_id = 'nobody'", STEM_KEY=second.key)
    assert done.code == 0, done.err
    assert first.wait().code == 0
    publishers = project.query("SELECT DISTINCT run_id FROM batches")
    assert len(publishers) == 1
