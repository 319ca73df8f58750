"""`stemline redrive`: what failed is retried, what was paid for only when somebody names it."""

from __future__ import annotations

import pytest
from support.terminal import on_a_terminal


def redrive(project, *argv, **env):
    return project.stemline("redrive", project.config, *argv, **env)


@pytest.fixture
def broken(project, break_with):
    """A run of three tracks that ended as failed, expired and published."""
    project.prepare(3, provider={"max_in_flight": 1}, failures={"max_attempts": 1})
    break_with({"fault": "failed_after_charging", "nth": 1}, {"fault": "expired_before_download", "nth": 1})
    run = project.run()
    assert run.tree["tracks"] == {"expired": 1, "failed": 1, "published": 1}, run.err
    break_with()


def states(project):
    return dict(project.query("SELECT track_id, state FROM tracks"))


@pytest.mark.usefixtures("broken")
def test_only_what_failed_is_retried(project):
    before = states(project)
    done = redrive(project, "--json")
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": 1}
    failed = next(track_id for track_id, state in before.items() if state == "failed")
    assert states(project) == {**before, failed: "published"}
    assert "outputs_expired" in done.err
    assert done.tree["run_id"] == project.stemline("status", project.config, "--json").tree["run_id"]
    again = redrive(project, "--json")
    assert (again.code, again.tree["tracks"]) == (0, {})
    assert "Nothing to retry" in again.err


@pytest.mark.usefixtures("broken")
@pytest.mark.long
def test_what_expired_is_paid_again_once_its_code_is_named(project):
    paid = project.provider.charged
    done = redrive(project, "--code", "outputs-expired")
    assert done.code == 0, done.err
    assert "paid again" in done.err
    assert project.provider.charged > paid
    assert sorted(states(project).values()) == ["failed", "published", "published"]
    assert project.run().tree["tracks"] == {"failed": 1, "published": 2}


@pytest.mark.usefixtures("broken")
@pytest.mark.long
def test_a_limit_takes_the_first_of_the_queue(project, break_with):
    break_with({"fault": "failed_after_charging"})
    codes = ("--code", "job_failed", "--code", "outputs_expired")
    stopped = redrive(project, *codes, "--limit", 1, "--json")
    assert stopped.code == 3, stopped.err
    assert stopped.tree["tracks"] == {"failed": 1}
    break_with()
    assert redrive(project, *codes, "--json").tree["tracks"] == {"published": 2}
    assert set(states(project).values()) == {"published"}


def test_an_unknown_code_names_the_nearest_known_one(project):
    project.prepare(1)
    refused = redrive(project, "--code", "job_fialed", "--json")
    assert refused.code == 2
    assert "'job_failed'" in refused.tree["error"]["message"]


def test_there_is_nothing_to_retry_before_the_first_run(project):
    project.prepare(1)
    refused = redrive(project, "--json")
    assert refused.code == 2
    assert "stemline run" in refused.tree["error"]["fix"]
    assert not project.ledger.exists()


@pytest.mark.long
def test_a_person_is_asked_before_it_is_paid_again(project, break_with):
    project.prepare(1, provider={"kind": "stemsplit"})
    break_with({"fault": "expired_before_download"})
    assert project.run("--yes").tree["tracks"] == {"expired": 1}
    paid = project.provider.charged
    code, shown = on_a_terminal(project, b"n\n", "redrive", project.config, "--code", "outputs_expired")
    assert code == 130
    assert "paid again" in shown
    assert "Spend up to 2 credits with stemsplit?" in shown
    assert (project.provider.charged, set(states(project).values())) == (paid, {"expired"})


def test_nobody_to_ask_is_no_consent_to_pay_again(project, break_with):
    project.prepare(1, provider={"kind": "stemsplit"})
    break_with({"fault": "expired_before_download"})
    project.run("--yes")
    paid = project.provider.charged
    for argv in ([], ["--json"]):
        refused = redrive(project, "--code", "outputs_expired", *argv)
        assert refused.code == 2, refused.err
        assert "Add --yes" in " ".join(refused.err.split())
    assert project.provider.charged == paid


@pytest.mark.usefixtures("broken")
@pytest.mark.long
def test_a_redrive_with_nothing_to_do_hides_no_other_run(project):
    redriven = redrive(project, "--json").tree["run_id"]
    assert redrive(project, "--json").tree["tracks"] == {}
    status = project.stemline("status", project.config, "--json").tree
    assert (status["run_id"], status["tracks"]) == (redriven, {"published": 1})
    assert redriven in project.stemline("report", project.config, "--json").tree["report"]


@pytest.mark.usefixtures("broken")
@pytest.mark.long
def test_what_has_not_the_rights_that_are_required_by_now_is_rejected_and_not_paid(project):
    paid = project.provider.charged
    done = redrive(project, "--json", "--set", "catalogue.require_rights=true")
    assert (done.code, done.tree["tracks"]) == (3, {"rejected": 1}), done.err
    assert done.tree["codes"] == {"rights_not_granted": 1}
    assert project.provider.charged == paid
