"""The vendor's balance against the ledger, at the end of a run."""

from __future__ import annotations

import signal

import pytest

TRACKS = 5


@pytest.mark.parametrize(
    ("verb", "times"),
    [
        pytest.param("mark_sending", 2, marks=pytest.mark.long),
        ("record_submission", 3),
        pytest.param("record_ready", 2, marks=pytest.mark.long),
    ],
)
def test_what_a_killed_run_paid_is_no_drift_of_the_next(project, verb, times):
    project.prepare(TRACKS, execution={"batch_seconds": 0.05})
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened(verb, times))
    assert running.kill().code == -signal.SIGKILL
    again = project.run()
    assert again.code == 0, again.err
    assert again.tree["credits"]["drift"] == 0, again.tree
