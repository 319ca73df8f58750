"""What a run says at its end: what was spent, what is with the provider, and why it stopped."""

from __future__ import annotations

import signal

TRACKS = 2


def words(finished) -> str:
    return " ".join((finished.out + finished.err).split())


def test_an_interrupted_run_says_what_is_with_the_provider_and_why_it_stopped(project, break_with):
    break_with({"fault": "job_stuck"})
    project.prepare(TRACKS)
    running = project.start("run", project.config)
    assert running.until(lambda: project.has_happened("record_submission", TRACKS))
    running.send(signal.SIGINT)
    stopped = running.wait()
    assert stopped.code == 130
    reserved = project.open_reservations()
    assert f"2 tracks still with the provider; {reserved} credits reserved" in words(stopped)
    assert "Stopped early: The run was interrupted." in words(stopped)
    assert "The run was interrupted." in words(project.stemline("status", project.config))
