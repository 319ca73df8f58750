"""A run killed at every named moment, alone and beside another run, with each kind of ledger."""

from __future__ import annotations

import signal
from itertools import product
from pathlib import Path

import pytest
from invariants import assert_invariants
from kill_points import POINTS, REWRITING, VARIABLE

pytestmark = pytest.mark.by_turns

TRACKS = 3
PILOT = 3
"""What `provider.pilot` is by default."""
ROOT = Path(__file__).resolve().parents[2]
NEAR_ANOTHER = {
    "in_reserve",
    "settled",
    "lease_held",
    "uncollected",
    "stem_named",
    "in_report",
    "parts_written",
    "in_settle",
    "submission_recorded",
    "in_part",
    "intent_marked",
    "event_unstored",
    "in_download",
    "stem_unnamed",
    "batch_opened",
    "part_unnamed",
    "request_sent",
    "event_stored",
}
"""Points that lie a step from one that is tried: these are for `make test-long`, too."""
ALONE = {
    *(("sqlite", name) for name in POINTS if name not in NEAR_ANOTHER),
    *(("postgresql", name) for name in ("in_publish",)),
}
"""What `make test` kills a single run at."""
BESIDE = {("postgresql", "reply_unrecorded")}
"""What it kills one of several runs at; all the others are for `make test-long`."""
SUBMITTING = ("in_reserve", "intent_written", "request_sent", "reply_unrecorded", "in_settle")
TWICE = ("request_sent",)
"""Where `make test` kills a run with two keys."""
WEBHOOK_POINTS = ("event_unstored", "event_stored")


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_every_point_names_something_that_exists(point):
    holder, name = point.target()
    assert callable(getattr(holder, name))


def test_production_code_knows_nothing_of_it():
    sources = [path for folder in ("stemline", "flows", "tasks") for path in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 100
    told = [path for path in sources if VARIABLE in path.read_text() or "kill_point" in path.read_text()]
    assert told == []


@pytest.fixture
def scenario(new_scenario, free_port, request):
    """Three tracks; a point that lies in the receiver has the vendor call back."""
    ledger, name, accounts = request.param
    sections = {}
    if name in WEBHOOK_POINTS:
        hooks = {"public_url": f"http://127.0.0.1:{free_port}", "listen": f"127.0.0.1:{free_port}"}
        sections["webhooks"] = hooks
    return new_scenario(TRACKS, ledger, accounts=accounts, **sections)


def at_each_point(accounts: int, short: set[tuple[str, str]]):
    """Give every point with every kind of ledger, those that are not in `short` as long tests."""
    values = []
    for case in product(("sqlite", "postgresql"), [name for name in POINTS if name not in REWRITING]):
        marks = () if case in short else pytest.mark.long
        values.append(pytest.param((*case, accounts), case[1], marks=marks, id="-".join(case)))
    return pytest.mark.parametrize(("scenario", "name"), values, indirect=["scenario"])


def run_until_killed(scenario, moment: str) -> None:
    killed = scenario.run(**{VARIABLE: moment})
    assert killed.code == -signal.SIGKILL, killed.out + killed.err


def run_to_the_end(scenario) -> None:
    again = scenario.run()
    assert again.code == 0, again.out + again.err


@at_each_point(accounts=1, short=ALONE)
def test_killed_alone(scenario, name):
    run_until_killed(scenario, name)
    run_to_the_end(scenario)
    assert_invariants(scenario)


@pytest.mark.parametrize(
    "name",
    [name if name in TWICE else pytest.param(name, marks=pytest.mark.long) for name in SUBMITTING],
)
def test_killed_with_two_keys_in_one_run(new_scenario, name):
    scenario = new_scenario(TRACKS, accounts=2)
    scenario.pool_keys()
    run_until_killed(scenario, f"{name}:2")
    run_to_the_end(scenario)
    assert_invariants(scenario)


@pytest.mark.parametrize(
    "name",
    [
        "settled",
        *(
            pytest.param(name, marks=pytest.mark.long)
            for name in ("request_sent", "uncollected", "in_publish")
        ),
    ],
)
def test_killed_during_the_pilot(new_scenario, name):
    """What was tried first is judged by the next run, and the others follow."""
    scenario = new_scenario(PILOT + 1, dialect="aistemsplitter")
    run_until_killed(scenario, name)
    assert scenario.project.query("SELECT count(*) FROM attempts")[0][0] <= PILOT
    run_to_the_end(scenario)
    assert_invariants(scenario)


@pytest.mark.parametrize(
    "moment",
    [
        "correction_unbooked",
        *(
            pytest.param(each, marks=pytest.mark.long)
            for each in ("renewal_unmarked", "in_part:1", "in_part:2", "part_unnamed:2")
        ),
    ],
)
def test_killed_while_older_parts_are_rewritten(new_scenario, moment):
    """A second night brings a column, other words for what is published, and a new track."""
    scenario = new_scenario(TRACKS)
    rows = scenario.project.good_rows(TRACKS)
    scenario.project.write_manifest(rows[:-1])
    assert scenario.run().code == 0
    scenario.project.write_manifest([{**row, "mood": "calm", "label": f"L{row['plays']}"} for row in rows])
    run_until_killed(scenario, moment)
    run_to_the_end(scenario)
    table = scenario.project.tracks().sort_values("track_id")
    assert list(table["mood"].astype(str)) == ["calm"] * TRACKS
    assert list(table["label"]) == [f"L{row['plays']}" for row in rows]
    assert_invariants(scenario)


@pytest.mark.long
@at_each_point(accounts=2, short=BESIDE)
def test_killed_beside_a_run_on_another_key_and_one_on_the_same(scenario, name):
    killed = scenario.start(**{VARIABLE: name})
    killed.until(lambda: scenario.project.has_happened("acquire_lease"))
    other, same = scenario.start(1), scenario.start(0)
    refused = same.wait()
    assert refused.code in REFUSED_OR_ENDED, refused.out + refused.err
    if refused.code == 2:
        assert refused.tree["error"]["kind"] == "LeaseHeld"
    assert killed.wait().code in {-signal.SIGKILL, *REFUSED_OR_ENDED}
    assert other.wait().code in REFUSED_OR_ENDED
    run_until_done(scenario)
    assert_invariants(scenario)


REFUSED_OR_ENDED = {0, 2, 3}
"""A run beside others: refused for its key's lease, or ended with everything or its own share published."""


def run_until_done(scenario) -> None:
    """Run with one key after the other: what a key has paid for is collected with it."""
    codes = [scenario.run(number % 2).code for number in range(3)]
    assert codes[-1] == 0, codes
