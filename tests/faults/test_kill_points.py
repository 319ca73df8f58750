"""A run killed at every named moment, alone and beside another run, with each kind of ledger."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from kill_points import POINTS, VARIABLE
from verdict import assert_invariants

TRACKS = 3
ROOT = Path(__file__).resolve().parents[2]
SUBMITTING = ("in_reserve", "intent_written", "request_sent", "reply_unrecorded", "in_settle")
HEARD = ("event_unstored", "event_stored")


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
def stage(set_stage, free_port, request):
    """Three tracks; a point that lies in the receiver has the vendor call back."""
    ledger, name, accounts = request.param
    sections = {}
    if name in HEARD:
        hooks = {"public_url": f"http://127.0.0.1:{free_port}", "listen": f"127.0.0.1:{free_port}"}
        sections["webhooks"] = hooks
    return set_stage(TRACKS, ledger, accounts=accounts, **sections)


def at_each_point(accounts: int):
    """Give every point with every kind of ledger."""
    cases = [(ledger, name) for ledger in ("sqlite", "postgresql") for name in POINTS]
    values = [((ledger, name, accounts), name) for ledger, name in cases]
    ids = ["-".join(case) for case in cases]
    return pytest.mark.parametrize(("stage", "name"), values, indirect=["stage"], ids=ids)


@at_each_point(accounts=1)
def test_killed_alone(stage, name):
    killed = stage.run(**{VARIABLE: name})
    assert killed.code == -signal.SIGKILL, killed.out + killed.err
    again = stage.run()
    assert again.code == 0, again.out + again.err
    assert_invariants(stage)


@pytest.mark.parametrize("name", SUBMITTING)
def test_killed_with_two_keys_in_one_run(set_stage, name):
    stage = set_stage(TRACKS, accounts=2)
    stage.pool_keys()
    killed = stage.run(**{VARIABLE: f"{name}:2"})
    assert killed.code == -signal.SIGKILL, killed.out + killed.err
    again = stage.run()
    assert again.code == 0, again.out + again.err
    assert_invariants(stage)


@at_each_point(accounts=2)
def test_killed_beside_a_run_on_another_key_and_one_on_the_same(stage, name):
    killed = stage.start(**{VARIABLE: name})
    killed.until(lambda: stage.bench.has_happened("acquire_lease"))
    other, same = stage.start(1), stage.start(0)
    refused = same.wait()
    assert refused.code in REFUSED_OR_ENDED, refused.out + refused.err
    if refused.code == 2:
        assert refused.tree["error"]["kind"] == "LeaseHeld"
    assert killed.wait().code in {-signal.SIGKILL, *REFUSED_OR_ENDED}
    assert other.wait().code in REFUSED_OR_ENDED
    run_until_done(stage)
    assert_invariants(stage)


REFUSED_OR_ENDED = {0, 2, 3}
"""A run beside others: refused for its key's lease, or ended with everything or its own share published."""


def run_until_done(stage) -> None:
    """Run with one key after the other: what a key has paid for is collected with it."""
    codes = [stage.run(number % 2).code for number in range(3)]
    assert codes[-1] == 0, codes
