"""`stemline status --watch`: a run followed from another process, until it is over."""

from __future__ import annotations

import signal

import pytest

TERMINAL = {"FORCE_COLOR": "1"}


@pytest.fixture
def stuck(project, break_with):
    """A run under way that will not end by itself."""
    break_with({"fault": "job_stuck"})
    project.prepare(2)
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened("record_submission", 2))
    yield running
    running.kill()


def start_watching(project, shows, **env):
    """Begin to watch, and come back when this is shown."""
    watching = project.start("status", project.config, "--watch", **env)
    out = max(project.folder.glob("out-*.txt"), key=lambda path: int(path.stem.partition("-")[2]))
    assert watching.until(lambda: shows in out.read_text())
    return watching


@pytest.mark.parametrize(
    "env", [{}, pytest.param(TERMINAL, marks=pytest.mark.long)], ids=["plain", "terminal"]
)
def test_it_ends_with_the_run(project, env):
    project.prepare(3)
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened("start_run"))
    watched = project.stemline("status", project.config, "--watch", **env)
    assert running.wait().code == 0
    assert watched.code == 0, watched.err
    assert "ended with exit code 0" in watched.out


@pytest.mark.long
@pytest.mark.parametrize("env", [{}, TERMINAL], ids=["plain", "terminal"])
def test_ctrl_c_ends_the_watching_and_not_the_run(project, stuck, env):
    watching = start_watching(project, "with the provider", **env)
    watching.send(signal.SIGINT)
    left = watching.wait()
    assert left.code == 130
    assert "Traceback" not in left.err
    assert not stuck.is_over()


@pytest.mark.long
def test_a_run_that_dies_is_said_to_be_cut_off(project, stuck):
    watching = start_watching(project, "with the provider")
    stuck.send(signal.SIGKILL)
    watched = watching.wait()
    assert watched.code == 0
    assert "cut off" in watched.out


@pytest.mark.long
def test_a_program_is_told_once_it_is_over(project):
    project.prepare(2)
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened("start_run"))
    told = project.stemline("status", project.config, "--watch", "--json")
    assert running.wait().code == 0
    assert (told.tree["exit_code"], told.tree["is_under_way"]) == (0, False)
    assert told.tree["tracks"] == {"published": 2}
