"""A backfill beside runs that go first: whose turn it is, what is paid, and what a person may say meanwhile."""

from __future__ import annotations

import signal

import pytest

TRACKS = 8
SLOW = {"max_in_flight": 1, "pilot": 0}
"""One track at a time: a backfill is under way long enough for somebody else to come."""


def dated(project, count: int = TRACKS) -> list[dict]:
    """Rows of which each is from another year, the oldest first."""
    return [{**row, "released_on": f"{2010 + n}-06-01"} for n, row in enumerate(project.good_rows(count))]


def prepare(project, count: int = TRACKS, **sections: dict) -> None:
    project.prepare(count, provider=SLOW, execution={"batch_seconds": 0.05}, **sections)
    project.write_manifest(dated(project, count))


def backfill(project, *argv: object) -> tuple[object, ...]:
    return ("backfill", project.config, "--name", "deep", "--slice", "year", "--yes", "--json", *argv)


def runs(project) -> list[tuple]:
    return project.query("SELECT run_id, backfill, started_at, finished_at FROM runs ORDER BY started_at")


def test_a_run_that_begins_meanwhile_goes_first_and_nothing_is_paid_twice(project):
    prepare(project)
    running = project.start(*backfill(project))
    assert running.until(lambda: project.has_happened("record_submission", 2))
    night = project.run("--limit", "4")
    assert night.code == 0, night.err
    assert night.tree["tracks"] == {"published": 4}
    done = running.wait()
    assert done.code == 0, done.err
    project.assert_published_once(TRACKS)
    of_backfill = [started for _, name, started, _ in runs(project) if name == "deep"]
    (of_night,) = [(started, ended) for _, name, started, ended in runs(project) if name is None]
    assert len(of_backfill) == 2
    assert of_backfill[0] < of_night[0] < of_night[1] < of_backfill[1]
    assert done.tree["tracks"] == {"published": TRACKS}
    assert done.tree["backfill"]["state"] == "finished"
    assert done.tree["backfill"]["credits"]["charged"] <= project.charges()


@pytest.mark.long
def test_its_order_is_that_of_what_is_sent(project):
    prepare(project)
    done = project.stemline(*backfill(project, "--order", "newest"))
    assert done.code == 0, done.err
    sent = [row[0] for row in project.query("SELECT track_id FROM attempts ORDER BY sent_at")]
    assert sent == [row["track_id"] for row in reversed(dated(project))]
    assert [each["slice"] for each in done.tree["slices"]] == [f"{2010 + n}" for n in reversed(range(TRACKS))]


@pytest.mark.long
def test_a_backfill_that_begins_beside_a_run_waits_for_it(project):
    prepare(project)
    night = project.start("run", project.config, "--json")
    assert night.until(lambda: project.has_happened("record_submission"))
    done = project.stemline(*backfill(project))
    assert done.code == 0, done.err
    assert night.wait().code == 0
    assert "Backfill deep waits." in done.err
    project.assert_published_once(TRACKS)


@pytest.mark.long
def test_paused_it_waits_with_its_key_free_and_resumed_it_goes_on(project):
    prepare(project)
    running = project.start(*backfill(project))
    assert running.until(lambda: project.has_happened("record_submission", 2))
    paused = project.stemline("backfills", project.config, "--pause", "deep", "--json")
    assert paused.tree["backfills"][0]["backfill"]["state"] == "paused"
    assert running.until(lambda: project.has_happened("finish_run"))
    free = "SELECT count(*) FROM leases WHERE holder <> '' AND key_id NOT LIKE 'dataset:%'"
    assert running.until(lambda: project.query(free) == [(0,)])
    sent = project.query("SELECT count(*) FROM attempts")[0][0]
    assert sent < TRACKS
    assert not running.is_over_within(2)
    assert project.query("SELECT count(*) FROM attempts")[0][0] == sent
    resumed = project.stemline("backfills", project.config, "--resume", "deep")
    assert resumed.code == 0
    done = running.wait()
    assert done.code == 0, done.err
    project.assert_published_once(TRACKS)


@pytest.mark.long
def test_cancelled_it_leaves_nothing_in_flight_and_no_credit_unsettled(project):
    prepare(project)
    running = project.start(*backfill(project))
    assert running.until(lambda: project.has_happened("record_submission", 2))
    assert project.stemline("backfills", project.config, "--cancel", "deep").code == 0
    done = running.wait()
    assert done.code == 130, done.err
    assert "Backfill deep is cancelled." in done.err
    assert done.tree["backfill"]["state"] == "cancelled"
    published = done.tree["tracks"]["published"]
    assert 0 < published < TRACKS
    assert published == len(project.provider.jobs())
    assert project.charges() == project.provider.charged
    assert project.open_reservations() == 0
    shown = project.stemline(*backfill(project, "--dry-run"))
    assert (shown.code, shown.tree["error"]["message"]) == (2, "Backfill deep is cancelled.")
    again = project.stemline(*backfill(project))
    assert (again.code, "is cancelled" in again.err) == (2, True)


@pytest.mark.long
def test_cancelled_it_lets_stand_what_it_was_to_make_again(project):
    prepare(project)
    assert project.run().code == 0
    running = project.start(*backfill(project, "--mode", "all"))
    assert running.until(lambda: project.has_happened("record_submission", TRACKS + 2))
    assert project.stemline("backfills", project.config, "--cancel", "deep").code == 0
    done = running.wait()
    assert done.code == 130, done.err
    again = len(project.provider.jobs()) - TRACKS
    assert 0 < again < TRACKS
    assert done.tree["tracks"] == {"published": again}
    left = "SELECT count(*) FROM tracks WHERE state = 'published' AND code = 'not_made_again'"
    assert project.query(left) == [(TRACKS - again,)]
    assert project.open_reservations() == 0
    assert len(project.tracks()) == TRACKS


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_by_a_signal_it_goes_on_as_it_was_frozen(project, number):
    prepare(project)
    running = project.start(*backfill(project))
    assert running.until(lambda: project.has_happened("record_submission", 3))
    running.send(number)
    assert running.wait().code in (-signal.SIGKILL, 130)
    project.write_manifest(dated(project, 1))
    done = project.stemline("backfill", project.config, "--name", "deep", "--json")
    assert done.code == 0, done.err
    project.assert_published_once(TRACKS)


@pytest.mark.long
def test_a_ceiling_stops_it_and_a_higher_one_lets_it_go_on(project):
    prepare(project)
    first = project.stemline(*backfill(project, "--credits", "7"))
    assert first.code == 4, first.err
    assert first.tree["backfill"]["credits"]["charged"] <= 7
    assert "budget_backfill" in first.tree["codes"]
    changed = project.stemline("backfills", project.config, "--change", "deep", "--credits", "1000")
    assert changed.code == 0, changed.err
    again = project.stemline("backfill", project.config, "--name", "deep", "--json")
    assert again.code == 0, again.err
    project.assert_published_once(TRACKS)


@pytest.mark.long
def test_its_share_of_the_day_leaves_the_rest_to_others(project):
    prepare(project, budget={"day": 12})
    first = project.stemline(*backfill(project, "--share", "50%"))
    assert first.code == 4, first.err
    assert 0 < first.tree["backfill"]["credits"]["charged"] <= 6
    assert "budget_share" in first.tree["codes"]
    night = project.run()
    assert night.code == 4, night.err
    assert 6 < project.charges() <= 12


@pytest.mark.long
def test_another_order_holds_for_what_is_sent_from_the_next_run_on(project):
    count = 3 * TRACKS
    prepare(project, count)
    running = project.start(*backfill(project, "--order", "newest"))
    assert running.until(lambda: project.has_happened("record_submission", 2))
    changed = project.stemline("backfills", project.config, "--change", "deep", "--order", "oldest")
    assert changed.code == 0, changed.err
    done = running.wait()
    assert done.code == 0, done.err
    project.assert_published_once(count)
    _, second = [run_id for run_id, *_ in runs(project)]
    sent = project.query("SELECT track_id FROM attempts WHERE run_id = ? ORDER BY reserved_at", second)
    assert len(sent) > 1
    later = {row[0] for row in sent}
    assert [row[0] for row in sent] == [
        row["track_id"] for row in dated(project, count) if row["track_id"] in later
    ]
