"""`stemline redrive`: what failed is retried, what was paid for only when somebody names it."""

from __future__ import annotations

import pytest
from support.terminal import on_a_terminal


def redrive(bench, *argv, **env):
    return bench.stemline("redrive", bench.config, *argv, **env)


@pytest.fixture
def broken(bench, break_with):
    """A run of three tracks that ended as failed, expired and published."""
    bench.prepare(3, provider={"max_in_flight": 1}, failures={"max_attempts": 1})
    break_with({"fault": "failed_after_charging", "nth": 1}, {"fault": "expired_before_download", "nth": 1})
    run = bench.run()
    assert run.tree["tracks"] == {"expired": 1, "failed": 1, "published": 1}, run.err
    break_with()


def states(bench):
    return dict(bench.query("SELECT track_id, state FROM tracks"))


@pytest.mark.usefixtures("broken")
def test_only_what_failed_is_retried(bench):
    before = states(bench)
    done = redrive(bench, "--json")
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": 1}
    failed = next(track_id for track_id, state in before.items() if state == "failed")
    assert states(bench) == {**before, failed: "published"}
    assert "outputs_expired" in done.err
    assert done.tree["run_id"] == bench.stemline("status", bench.config, "--json").tree["run_id"]
    again = redrive(bench, "--json")
    assert (again.code, again.tree["tracks"]) == (0, {})
    assert "Nothing to retry" in again.err


@pytest.mark.usefixtures("broken")
def test_what_expired_is_paid_again_once_its_code_is_named(bench):
    paid = bench.provider.charged
    done = redrive(bench, "--code", "outputs-expired")
    assert done.code == 0, done.err
    assert "paid again" in done.err
    assert bench.provider.charged > paid
    assert sorted(states(bench).values()) == ["failed", "published", "published"]
    assert bench.run().tree["tracks"] == {"failed": 1, "published": 2}


@pytest.mark.usefixtures("broken")
def test_a_limit_takes_the_first_of_the_line(bench, break_with):
    break_with({"fault": "failed_after_charging"})
    codes = ("--code", "job_failed", "--code", "outputs_expired")
    stopped = redrive(bench, *codes, "--limit", 1, "--json")
    assert stopped.code == 3, stopped.err
    assert stopped.tree["tracks"] == {"failed": 1}
    break_with()
    assert redrive(bench, *codes, "--json").tree["tracks"] == {"published": 2}
    assert set(states(bench).values()) == {"published"}


def test_an_unknown_code_names_the_nearest_known_one(bench):
    bench.prepare(1)
    refused = redrive(bench, "--code", "job_fialed", "--json")
    assert refused.code == 2
    assert "'job_failed'" in refused.tree["error"]["message"]


def test_there_is_nothing_to_retry_before_the_first_run(bench):
    bench.prepare(1)
    refused = redrive(bench, "--json")
    assert refused.code == 2
    assert "stemline run" in refused.tree["error"]["fix"]
    assert not bench.ledger.exists()


def test_a_person_is_asked_before_it_is_paid_again(bench, break_with):
    bench.write_manifest([{**row, "duration_seconds": 6} for row in bench.good_rows(1)])
    bench.write_config(provider={"kind": "stemsplit"})
    break_with({"fault": "expired_before_download"})
    assert bench.run().tree["tracks"] == {"expired": 1}
    paid = bench.provider.charged
    code, shown = on_a_terminal(bench, b"n\n", "redrive", bench.config, "--code", "outputs_expired")
    assert code == 130
    assert "paid again" in shown
    assert "Spend up to 6 credits with stemsplit?" in shown
    assert (bench.provider.charged, set(states(bench).values())) == (paid, {"expired"})
