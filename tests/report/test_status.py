"""`stemline status` says whether the vendor's balance agreed with the last run."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from stemline.budget import Limits
from stemline.ledger import TrafficReading, open_ledger
from stemline.records import Job, Output, Phase, Submission, Track
from stemline.settings import build_settings
from stemline.status import read_status

CREDITS = {"reserved": 0, "charged": 180, "balance": 5_000}


@pytest.fixture
def status_of(night, tmp_path):
    """Finish the run with these credits and give its status."""
    tree = {
        "name": "nightly",
        "catalogue": {"manifest": "m.csv"},
        "provider": {"kind": "stemsplit"},
        "dataset": {"url": str(tmp_path / "dataset")},
        "ledger": {"url": f"sqlite:///{tmp_path}/ledger.db"},
        "budget": {"day": 500},
    }
    settings = build_settings(tree, tmp_path / "nightly.yaml", (), {})

    def read(**credits_: object):
        night.publish(night.plan())
        night.finish(0, credits=CREDITS | credits_)
        return read_status(settings)

    read.settings = settings
    return read


def printed(status) -> str:
    console = Console(file=io.StringIO(), width=200)
    status.show(console)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("drift", "sentence"), [(0, "The vendor's balance agrees."), (30, "The vendor took 30 credits more")]
)
def test_the_drift_of_the_last_run_is_shown(status_of, drift, sentence):
    status = status_of(drift=drift)

    assert status.as_tree()["drift"] == drift
    assert sentence in printed(status)


@pytest.mark.parametrize("credits_", [{}, {"drift": None}])
def test_nothing_is_said_of_a_drift_that_is_not_known(status_of, credits_):
    status = status_of(**credits_)

    assert status.as_tree()["drift"] is None
    assert "vendor" not in printed(status)


def test_money_at_risk_and_what_is_left_are_shown(night, status_of):
    """One track is paid and not collected, under a link that is good for an hour and a half."""
    run_id = night.run_id
    track = Track("late", "/music/late.mp3", 1, duration_seconds=7.0)
    night.ledger.tracks.plan(run_id, [track])
    night.ledger.attempts.reserve(run_id, track, "token-late", 7, Limits())
    night.ledger.attempts.mark_sending("token-late")
    night.ledger.attempts.record_submission("token-late", Submission("job-late", 7))
    link = Output("vocals", "http://x", datetime.now(UTC) + timedelta(minutes=90))
    night.ledger.attempts.record_ready("token-late", Job("job-late", Phase.DONE, outputs=(link,)))
    with open_ledger(status_of.settings.ledger_url) as now:
        now.traffic.record(run_id, "key-1", TrafficReading(40, 3, 30, 60))

    status = read_status(status_of.settings)

    tree = status.as_tree()
    assert tree["at_risk"]["uncollected_credits"] == 7
    assert tree["at_risk"]["links_expire_at"] == link.expires_at
    assert tree["requests"]["throttled"] == 3
    assert tree["requests"]["utilization"] == 0.5
    shown = printed(status)
    assert "7 credits; the first link expires in 1 h" in shown
    assert "40 sent, 3 refused" in shown
    assert "of 500" in shown
