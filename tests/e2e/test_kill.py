"""A run killed at any moment, and the run after it: everything published once, nothing paid twice."""

from __future__ import annotations

import random
import signal
import time

import pytest
from support.project import Project

TRACKS = 5


def run_again(project: Project) -> None:
    """Run until everything is done, and check that all of it is there once."""
    again = project.run()
    assert again.code == 0, again.err
    assert again.tree["tracks"] == {"published": TRACKS}
    project.assert_published_once(TRACKS)


@pytest.mark.parametrize(
    ("verb", "times"),
    [
        ("reserve", 1),
        pytest.param("mark_sending", 1, marks=pytest.mark.long),
        ("record_submission", 2),
        pytest.param("record_ready", 1, marks=pytest.mark.long),
        pytest.param("record_collected", 1, marks=pytest.mark.long),
        pytest.param("open_batch", 1, marks=pytest.mark.long),
        ("publish_batch", 1),
    ],
)
@pytest.mark.long
def test_killed_when_something_happened(project, verb, times):
    project.prepare(TRACKS, execution={"batch_seconds": 0.05})
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened(verb, times))
    assert running.kill().code == -signal.SIGKILL
    run_again(project)


@pytest.mark.random
@pytest.mark.long
def test_killed_again_and_again_at_random(project, seed):
    project.prepare(TRACKS, execution={"batch_seconds": 0.05})
    moments = random.Random(seed)  # noqa: S311 - repeatable, no secret
    for _ in range(3):
        running = project.start("run", project.config, "--json")
        running.until(lambda: project.has_happened("plan"))
        end = time.monotonic() + moments.uniform(0.0, 2.5)
        running.until(lambda: time.monotonic() > end)  # noqa: B023 - used up before it changes
        running.kill()
    run_again(project)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_once_publishes_what_is_ready_and_keeps_the_rest(project, number):
    project.prepare(TRACKS, provider={"max_in_flight": 2}, execution={"batch_seconds": 60})
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened("record_ready"))
    running.send(number)
    stopped = running.wait()
    assert stopped.code == 130, stopped.err
    assert 1 <= stopped.tree["tracks"]["published"] < TRACKS
    assert sum(stopped.tree["tracks"].values()) == TRACKS
    assert stopped.tree["codes"]["run_stopped"] == stopped.tree["tracks"]["held"]
    assert len(project.tracks()) == stopped.tree["tracks"]["published"]
    run_again(project)


@pytest.mark.long
def test_interrupted_twice_stops_at_once(project):
    project.prepare(TRACKS)
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened("record_submission"))
    running.send(signal.SIGINT)
    running.send(signal.SIGINT)
    assert running.wait().code in {-signal.SIGINT, 130}
    run_again(project)


@pytest.mark.long
def test_a_second_run_on_the_same_key_is_refused_naming_the_holder(project):
    project.prepare(TRACKS)
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened("acquire_lease"))
    second = project.run()
    assert second.code == 2
    assert second.tree["error"]["kind"] == "LeaseHeld"
    assert str(running.pid) in second.tree["error"]["message"]
    assert running.wait().code == 0
    project.assert_published_once(TRACKS)


@pytest.mark.long
def test_interrupted_while_reading_the_manifest_ends_without_paying(project):
    project.prepare(TRACKS)
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened("start_run"))
    running.send(signal.SIGINT)
    stopped = running.wait()
    assert stopped.code in {130, -signal.SIGINT}, stopped.err
    assert "Traceback" not in stopped.err
    run_again(project)
