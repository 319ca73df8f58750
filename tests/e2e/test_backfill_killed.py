"""A backfill killed or interrupted in each of its phases, and gone on with from elsewhere."""

from __future__ import annotations

import shutil
import signal

import pytest
import yaml
from support.postgresql import new_schema

TRACKS = 5


@pytest.fixture
def years(project):
    """Five tracks, each of a year."""
    project.write_manifest(
        {**row, "released_on": f"{2010 + n}-06-01"} for n, row in enumerate(project.good_rows(TRACKS))
    )
    project.write_config(provider={"pilot": 0, "max_in_flight": 2}, execution={"batch_seconds": 0.05})
    return project


def begin(project):
    argv = ("--name", "old", "--since", "2010", "--slice", "year", "--yes", "--json")
    return project.start("backfill", project.config, *argv)


def go_on(project):
    return project.stemline("backfill", project.config, "--name", "old", "--json")


def assert_done(project, done) -> None:
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": TRACKS}
    assert done.tree["backfill"]["state"] == "finished"
    assert [each["published"] for each in done.tree["slices"]] == [1] * TRACKS
    assert done.tree["backfill"]["credits"] == {
        "reserved": 0,
        "charged": project.provider.charged,
        "ceiling": None,
    }
    project.assert_published_once(TRACKS)


@pytest.mark.long
@pytest.mark.parametrize(
    ("verb", "times"),
    [
        ("freeze_backfill", 1),
        ("acquire_lease", 1),
        ("start_run", 1),
        ("plan", 1),
        ("reserve", 1),
        ("mark_sending", 2),
        ("record_ready", 1),
        ("record_collected", 1),
        ("open_batch", 1),
        ("publish_batch", 2),
        ("finish_run", 1),
    ],
)
def test_killed_in_any_phase_it_goes_on_as_it_was_frozen(years, verb, times):
    running = begin(years)
    running.until(lambda: years.has_happened(verb, times))
    running.kill()
    (years.folder / "catalogue.csv").write_text("no manifest any more")
    assert_done(years, go_on(years))


@pytest.mark.long
def test_another_folder_and_another_file_of_the_configuration_go_on_with_it(
    years, postgresql, tmp_path_factory
):
    years.database = new_schema(postgresql)
    years.write_config(provider={"pilot": 0, "max_in_flight": 2}, execution={"batch_seconds": 0.05})
    running = begin(years)
    running.until(lambda: years.has_happened("record_submission", 2))
    running.kill()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    tree = yaml.safe_load(years.config.read_text())
    tree["name"], tree["catalogue"]["manifest"] = "other", str(elsewhere / "none.csv")
    (elsewhere / "other.yaml").write_text(yaml.safe_dump(tree))
    years.config.unlink()
    environment = {"STEM_KEY": years.provider.key}
    listed = years.launcher.run(elsewhere, "backfills", "other.yaml", "--json", **environment)
    assert listed.tree["backfills"][0]["backfill"]["state"] == "open"
    argv = ("backfill", "other.yaml", "--name", "old", "--json")
    assert_done(years, years.launcher.run(elsewhere, *argv, **environment))


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_waits_it_ends_at_once_and_in_order(years, number):
    running = begin(years)
    assert running.until(lambda: years.has_happened("record_submission"))
    assert years.stemline("backfills", years.config, "--pause", "old").code == 0
    assert running.until(lambda: years.has_happened("finish_run"))
    assert not running.is_over_within(1)
    running.send(number)
    stopped = running.wait(20)
    assert stopped.code in {130, -number}, stopped.err
    assert "Traceback" not in stopped.err
    assert years.stemline("backfills", years.config, "--resume", "old").code == 0
    assert_done(years, go_on(years))


@pytest.mark.long
def test_a_paused_backfill_that_is_begun_waits_until_it_is_resumed(years):
    running = begin(years)
    assert running.until(lambda: years.has_happened("freeze_backfill"))
    running.kill()
    assert years.stemline("backfills", years.config, "--pause", "old").code == 0
    again = years.start("backfill", years.config, "--name", "old", "--json")
    assert not again.is_over_within(4)
    assert not years.has_happened("record_submission")
    resumed = years.stemline("backfills", years.config, "--resume", "old")
    assert "A process that waits goes on" in " ".join(resumed.err.split())
    assert_done(years, again.wait())


@pytest.mark.long
def test_cancelled_and_killed_what_was_sent_is_collected_by_the_next_run_with_the_key(years):
    running = begin(years)
    assert running.until(lambda: years.has_happened("record_submission", 2))
    running.send(signal.SIGSTOP)
    cancelled = years.stemline("backfills", years.config, "--cancel", "old")
    running.kill()
    assert "whoever has the key collects them" in " ".join(cancelled.err.split())
    sent = years.query("SELECT count(*) FROM attempts WHERE job_id IS NOT NULL")[0][0]
    shutil.move(years.folder / "catalogue.csv", years.folder / "whole.csv")
    years.write_manifest(years.good_rows(1))
    night = years.run()
    assert night.code == 0, night.err
    assert years.open_reservations() == 0
    assert years.charges() == years.provider.charged
    assert len(years.tracks()) >= sent
    (only,) = years.stemline("backfills", years.config, "--json").tree["backfills"]
    assert (only["backfill"]["state"], only["backfill"]["credits"]["reserved"]) == ("cancelled", 0)
