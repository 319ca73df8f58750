"""A backfill's order, proven by what was sent when, and what a person changes while it goes on."""

from __future__ import annotations

import pytest

TRACKS = 6
YEARS = (2013, 2011, 2015, 2012, 2016, 2014)
PRIORITIES = (0, 2, 1, 2, 0, 1)
ORDERS = {
    "newest": [4, 2, 5, 0, 3, 1],
    "oldest": [1, 3, 0, 5, 2, 4],
    "priority": [3, 1, 2, 5, 4, 0],
}


@pytest.fixture
def years(project):
    """Six tracks of six years, sent one at a time."""
    rows = project.good_rows(TRACKS)
    project.write_manifest(
        {**row, "released_on": f"{year}-06-01", "priority": priority}
        for row, year, priority in zip(rows, YEARS, PRIORITIES, strict=True)
    )
    provider = {"pilot": 0, "max_in_flight": 1}
    project.write_config(provider=provider, execution={"batch_seconds": 0.05})
    return project


def begin(years, *argv: object):
    return years.start("backfill", years.config, "--name", "old", "--slice", "year", "--yes", "--json", *argv)


def sent(years) -> list[int]:
    """The tracks as they were sent: what a changed run had only reserved it released again."""
    found = years.query("SELECT track_id FROM attempts WHERE sent_at IS NOT NULL ORDER BY sent_at")
    return [int(row[0][1:]) for row in found]


@pytest.mark.long
@pytest.mark.parametrize("order", ORDERS)
def test_tracks_are_sent_in_the_order_asked_for(years, order):
    done = begin(years, "--order", order).wait()
    assert done.code == 0, done.err
    assert sent(years) == ORDERS[order]
    assert [each["slice"] for each in done.tree["slices"]] == [f"{YEARS[n]}" for n in ORDERS[order]]


@pytest.mark.long
def test_the_shortest_go_first_whatever_their_year(years):
    done = begin(years, "--order", "shortest").wait()
    assert done.code == 0, done.err
    lengths = dict(years.query("SELECT track_id, duration_seconds FROM tracks"))
    found = [lengths[f"t{number:02d}"] for number in sent(years)]
    assert found == sorted(found)


@pytest.mark.long
def test_another_order_holds_for_what_is_not_sent_yet(years):
    running = begin(years)
    assert running.until(lambda: years.has_happened("record_submission", 2))
    changed = years.stemline("backfills", years.config, "--change", "old", "--order", "oldest")
    assert changed.code == 0, changed.err
    done = running.wait()
    assert done.code == 0, done.err
    newest, oldest = ORDERS["newest"], ORDERS["oldest"]
    ways = [newest[:n] + [each for each in oldest if each not in newest[:n]] for n in range(2, TRACKS - 1)]
    assert sent(years) in ways
    assert done.tree["backfill"]["request"]["order"] == "oldest"


@pytest.mark.long
def test_a_lower_ceiling_holds_for_a_run_under_way(years):
    running = begin(years)
    assert running.until(lambda: years.has_happened("record_submission"))
    assert years.stemline("backfills", years.config, "--change", "old", "--credits", "1").code == 0
    done = running.wait()
    assert done.code == 4, done.err
    assert 0 < done.tree["tracks"]["published"] < TRACKS
    assert "budget_backfill" in done.tree["codes"]
    assert "--change NAME --credits N" in done.tree["reason"]
    assert years.open_reservations() == 0


@pytest.mark.long
def test_a_day_that_is_used_up_is_waited_for_and_a_larger_share_lets_it_go_on_at_once(years):
    provider = {"pilot": 0, "max_in_flight": 1}
    years.write_config(provider=provider, budget={"day": 40, "on_limit": "wait"})
    running = begin(years, "--share", "20%")
    assert running.until(lambda: years.has_happened("publish_batch", 1))
    assert not running.is_over_within(3)
    (about,) = years.stemline("backfills", years.config, "--json").tree["backfills"]
    spent = about["backfill"]["credits"]
    assert (about["backfill"]["state"], spent["reserved"] + spent["charged"] <= 8) == ("open", True)
    assert years.stemline("backfills", years.config, "--change", "old", "--share", "100%").code == 0
    done = running.wait()
    assert done.code == 0, done.err
    years.assert_published_once(TRACKS)
