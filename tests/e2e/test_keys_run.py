"""A run with several API keys, and one whose budget is changed while it goes on."""

from __future__ import annotations

import signal

import pytest
import yaml

TRACKS = 6


def keys_of(project, second) -> dict:
    # Two at once with each key: on a busy machine the first could have all of them before the second begins.
    project.prepare(TRACKS, provider={"max_in_flight": 2}, execution={"batch_seconds": 0.05})
    tree = yaml.safe_load(project.config.read_text())
    del tree["provider"]["api_key"]
    tree["provider"]["keys"] = ["${STEM_KEY}", "${SECOND_KEY}"]
    project.config.write_text(yaml.safe_dump(tree))
    return {"SECOND_KEY": second.key}


def assert_paid_once_by_both(project, second) -> None:
    tracks = project.tracks()
    assert sorted(tracks["track_id"]) == [row["track_id"] for row in project.good_rows(TRACKS)]
    assert len(project.provider.jobs()) + len(second.jobs()) == TRACKS
    assert project.charges() == project.provider.charged + second.charged == tracks["credits_charged"].sum()
    assert project.open_reservations() == 0


@pytest.mark.long
def test_two_keys_share_the_work_and_the_ledger(project, second):
    done = project.run(**keys_of(project, second))
    assert done.code == 0, done.err
    assert_paid_once_by_both(project, second)
    assert project.provider.jobs()
    assert second.jobs()
    assert done.tree["credits"]["drift"] == 0
    assert "sk_rich" not in done.out + done.err


@pytest.mark.long
def test_two_keys_killed_and_run_again(project, second):
    env = keys_of(project, second)
    running = project.start("run", project.config, "--json", **env)
    assert running.until(lambda: project.has_happened("record_submission", 2))
    assert running.kill().code == -signal.SIGKILL
    again = project.run(**env)
    assert again.code == 0, again.err
    assert_paid_once_by_both(project, second)


def test_a_limit_lowered_in_the_file_stops_the_run_at_it(project):
    project.prepare(TRACKS, provider={"max_in_flight": 1}, execution={"batch_seconds": 0.05})
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened("record_submission"))
    text = project.config.read_text() + "budget: {run: 1}\n"
    new = project.config.with_suffix(".new")
    new.write_text(text)
    new.replace(project.config)
    stopped = running.wait()
    assert stopped.code == 4, stopped.err
    published, held = stopped.tree["tracks"]["published"], stopped.tree["tracks"]["held"]
    assert (published + held, published < TRACKS) == (TRACKS, True)
    assert stopped.tree["codes"]["budget_run"] == held
    assert "run 1" in stopped.err
