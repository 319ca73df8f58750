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


def test_tracks_are_listed_by_name_in_the_manifests_order_with_their_ids(night, status_of):
    """The names are as hostile as a manifest's: nothing in them moves the cursor or is taken for markup."""
    first = night.plan("t-1", title="Low\x1b[31m [bold]tide[/]\nB\u202e", artist="Mara Finch")
    second = night.plan("t-2", "/music/High tide.wav")
    night.ledger.attempts.mark_unknown(night.submit(second).token, "No answer came.")
    night.ledger.attempts.mark_unknown(night.submit(first).token, "No answer came.")
    night.fail(night.plan("t-3", "/music/Ebb.flac"), "The provider gave up.")
    night.ready(night.plan("t-4", title="Flood"))

    status = status_of()

    tree, told = status.as_tree(), printed(status)
    assert tree["unknown"] == ["t-1", "t-2"]
    assert [(each["track_id"], each["title"], each["artist"]) for each in tree["unknown_tracks"]] == [
        ("t-1", first.columns["title"], "Mara Finch"),
        ("t-2", "High tide.wav", ""),
    ]
    assert tree["paid_not_collected"] == ["t-4"]
    assert tree["paid_not_collected_tracks"] == [{"track_id": "t-4", "title": "Flood", "artist": ""}]
    failure = tree["failures"][-1]
    assert (failure["track_id"], failure["title"], failure["artist"]) == ("t-3", "Ebb.flac", "")
    assert "Low [31m [bold]tide[/] B · Mara Finch  t-1" in told
    assert "High tide.wav  t-2" in told
    assert "Flood  t-4" in told
    assert "Ebb.flac t-3 job_failed The provider gave up." in " ".join(told.split())
    assert "\x1b" not in told
