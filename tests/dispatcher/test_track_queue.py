"""The queue of a run: what keys and other runs have in hand, and a backfill's, which is read on from where it was."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stemline.budget import Limits
from stemline.dispatcher import track_queue
from stemline.dispatcher.track_queue import TrackQueue
from stemline.errors import LedgerConflict
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
        queue.reserved(track)
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


@pytest.fixture
def shared(ledger):
    """The queues of two runs about the same tracks; t0 and t1 go before all others."""
    queues = []
    for key_id in ("key", "other"):
        run_id = ledger.runs.start("nightly", "local", RECIPE, "digest", key_id)
        ledger.tracks.plan(run_id, [planned(place) for place in range(60)])
        queues.append(TrackQueue(ledger, run_id))
    return queues


def planned(place):
    address = f"https://music.test/{place}.flac"
    return Track(f"t{place}", address, place, priority=int(place < 2), duration_seconds=10.0)


def test_what_a_key_is_about_to_reserve_is_given_to_no_other_key(shared, monkeypatch):
    monkeypatch.setattr(track_queue, "PAGE_TRACKS", 2)
    queue = shared[0]
    in_hand = [queue.next_track("key") for _ in range(3)]
    queue.refresh()
    assert [track.track_id for track in in_hand] == ["t0", "t1", "t2"]
    assert queue.next_track("key").track_id == "t3"
    queue.reserved(in_hand[0])  # a limit was in the way: it is planned still
    queue.refresh()
    assert queue.next_track("key").track_id == "t0"


def test_runs_beside_each_other_seldom_want_the_same_track_and_keep_to_priorities(shared):
    """Each would want the head that the other has just got: as many failures as there are tracks."""
    taken, conflicts = [], 0
    while any(tracks := [queue.next_track("key") for queue in shared]):
        for queue, track in zip(shared, tracks, strict=True):
            if track is not None and not claim(queue, track):
                conflicts += 1
            elif track is not None:
                taken.append(track.track_id)
    assert sorted(taken) == sorted(f"t{place}" for place in range(60))
    assert set(taken[:2]) == {"t0", "t1"}
    assert 1 <= conflicts <= 25


def claim(queue, track):
    """Reserve a track as a dispatcher does; give whether no other run was faster."""
    token = f"{queue.run_id}-{track.track_id}"
    try:
        queue.ledger.attempts.reserve(queue.run_id, track, token, 10, Limits())
    except LedgerConflict:
        queue.note_rival()
        return False
    finally:
        queue.reserved(track)
    return True


def test_a_backfills_order_is_kept_beside_other_runs(queue):
    queue.note_rival()
    assert reserve(queue, 6) == NAMES
