"""A run that makes published tracks again, killed at named moments: each is paid once more, and there once at last."""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter

import pytest
from invariants import jobs_by_track
from support.remaking_run import make_again, make_again_armed, newest_numbers

from stemline.integrity.verification import Thoroughness, verify_dataset
from stemline.settings import load_settings

TRACKS = 2
MOMENTS = ["intent_written", "request_sent", "reply_unrecorded", "settled", "stem_named", "uncollected"]
MOMENTS += ["batch_opened", "in_part", "parts_written", "in_publish", "in_report"]


@pytest.mark.long
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_while_tracks_are_made_again(new_scenario, monkeypatch, moment):
    scenario = new_scenario(TRACKS)
    project = scenario.project
    key = scenario.accounts[0].key
    monkeypatch.setenv("STEM_KEY", key)
    assert scenario.run().code == 0
    names = sorted(scenario.track_ids())
    again = newest_numbers(project.config, names)

    killed = multiprocessing.get_context("spawn").Process(
        target=make_again_armed, args=(str(project.config), again, moment, {"STEM_KEY": key})
    )
    killed.start()
    killed.join(90)
    assert killed.exitcode == -signal.SIGKILL
    assert sorted(project.tracks()["track_id"]) == names  # one of the two, at any moment
    settings = load_settings(project.config)
    assert verify_dataset(settings, Thoroughness()).is_sound

    done = make_again(project.config, again)

    assert done.exit_code == 0, done.reason
    assert done.summary["tracks"] == {"published": TRACKS}
    assert sorted(project.tracks()["track_id"]) == names
    numbers = set(project.stems()["path"].str.split("/").str[3].str.rpartition("-")[2])
    assert numbers <= {"2", "3"}  # an intent that never left has a number, too
    assert {track_id: len(jobs) for track_id, jobs in jobs_by_track(scenario).items()} == dict.fromkeys(
        names, 2
    )
    assert project.charges() == scenario.charged
    assert project.open_reservations() == 0
    assert Counter(project.query("SELECT state FROM tracks")) == Counter({("published",): TRACKS})
    report = verify_dataset(settings, Thoroughness())
    assert (report.is_sound, report.leftovers) == (True, ()), report
