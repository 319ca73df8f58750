"""The queue of a backfill's run: read on from where it was, begun anew where the ledger has changed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stemline.budget import Limits
from stemline.dispatcher import track_queue
from stemline.dispatcher.track_queue import TrackQueue
from stemline.ledger import Backfill, BackfillOrder, FrozenRow, open_ledger
from stemline.records import Recipe, Track

RECIPE = Recipe("four", "best", "flac")
MADE_AT = datetime(2026, 3, 2, tzinfo=UTC)
NAMES = [f"t{number}" for number in range(6)]


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        yield ledger


@pytest.fixture
def queue(ledger, monkeypatch):
    """The queue of a run of a backfill that takes the oldest first: t0, t1, …; pages of two."""
    monkeypatch.setattr(track_queue, "PAGE_TRACKS", 2)
    rows = [
        FrozenRow(
            "2020",
            Track(name, f"https://music.test/{name}.flac", place, duration_seconds=10.0),
            name,
            10,
            MADE_AT.replace(year=2000 + place),
        )
        for place, name in enumerate(NAMES)
    ]
    request = {"order": "oldest", "mode": "missing", "slice": "year"}
    ledger.backfills.freeze(
        Backfill("deep", "local", RECIPE, "config", "rows", "1", {}, request, MADE_AT), rows
    )
    run_id = ledger.runs.start("nightly", "local", RECIPE, "digest", "key", backfill="deep")
    ledger.tracks.plan(run_id, [row.track for row in rows])
    return TrackQueue(ledger, run_id, ("key",), keeps_place=True)


def reserve(queue, count=1):
    """Take tracks as a dispatcher does, and give their names."""
    taken = []
    for _ in range(count):
        track = queue.next_track("key")
        queue.ledger.attempts.reserve(queue.run_id, track, f"token-{track.track_id}", 10, Limits())
        taken.append(track.track_id)
    return taken


def test_each_track_comes_once_in_the_backfills_order(queue):
    assert reserve(queue, 6) == NAMES
    assert queue.next_track("key") is None


def test_a_page_begins_behind_the_last_one_and_not_at_the_front(queue):
    assert reserve(queue, 2) == ["t0", "t1"]
    queue.ledger.attempts.withdraw("token-t0")
    assert reserve(queue, 4) == ["t2", "t3", "t4", "t5"]


def test_what_was_planned_again_meanwhile_comes_when_the_rest_is_out(queue):
    reserve(queue, 2)
    queue.ledger.attempts.withdraw("token-t0")
    reserve(queue, 4)
    assert queue.next_track("key").track_id == "t0"


def test_refreshed_it_begins_at_the_front(queue):
    reserve(queue, 2)
    queue.ledger.attempts.withdraw("token-t0")
    queue.refresh()
    assert queue.next_track("key").track_id == "t0"


def test_refreshed_it_follows_another_order(queue):
    reserve(queue, 1)
    queue.ledger.backfills.change("deep", order=BackfillOrder.NEWEST)
    queue.refresh()
    assert reserve(queue, 5) == ["t5", "t4", "t3", "t2", "t1"]
