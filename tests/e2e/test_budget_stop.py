"""Runs that a limit or the provider's balance stops: nothing lost, the next one finishes."""

from __future__ import annotations


def test_the_run_limit_holds_the_rest_and_a_higher_one_finishes(bench):
    bench.prepare(6, budget={"run": 8})
    stopped = bench.run()
    assert stopped.code == 4, stopped.err
    states = stopped.tree["tracks"]
    assert states["held"] + states["published"] == 6
    assert stopped.tree["codes"]["budget_run"] == states["held"] > 0
    assert 0 < stopped.tree["credits"]["charged"] <= 8
    assert bench.provider.charged == stopped.tree["credits"]["charged"]
    bench.write_config(budget={"run": 1_000})
    done = bench.run()
    assert done.code == 0, done.err
    bench.assert_published_once(6)


def test_the_day_limit_counts_what_earlier_runs_spent(bench):
    bench.prepare(6, budget={"day": 8})
    first = bench.run()
    assert first.code == 4, first.err
    assert first.tree["codes"]["budget_day"] == first.tree["tracks"]["held"]
    again = bench.run()
    assert again.code == 4
    assert again.tree["credits"]["charged"] == 0
    assert bench.provider.charged == bench.charges() <= 8


def test_priority_decides_who_fits(bench):
    rows = [{**row, "priority": n} for n, row in enumerate(bench.good_rows(6))]
    bench.write_manifest(rows)
    bench.write_config(budget={"run": 6})
    assert bench.run().code == 4
    assert sorted(bench.tracks()["track_id"]) == ["t04", "t05"]


def test_the_floor_is_left_with_the_provider(poor_bench):
    bench = poor_bench.prepare(4, budget={"floor": 2})
    stopped = bench.run()
    assert stopped.code == 4, stopped.err
    assert stopped.tree["codes"]["budget_floor"] == stopped.tree["tracks"]["held"]
    assert stopped.tree["tracks"]["published"] >= 1
    assert bench.provider.balance >= 2
    assert stopped.tree["credits"]["balance"] == bench.provider.balance


def test_a_provider_out_of_credits_ends_the_run_with_everything_paid_published(poor_bench):
    bench = poor_bench.prepare(5)
    stopped = bench.run()
    assert stopped.code == 5, stopped.err
    states = stopped.tree["tracks"]
    assert states["published"] >= 2
    assert sum(states.values()) == 5
    assert set(states) == {"published", "held"}
    assert stopped.tree["codes"]["run_stopped"] == states["held"]
    assert bench.charges() == bench.provider.charged > 0
    assert bench.open_reservations() == 0
    assert len(bench.tracks()) == states["published"]


def test_out_of_credits_is_one_sentence_with_the_fix(poor_bench):
    bench = poor_bench.prepare(5)
    stopped = bench.stemline("run", bench.config, "--yes")
    assert stopped.code == 5
    assert "out of credits" in " ".join(stopped.err.split())
    assert "Traceback" not in stopped.err
