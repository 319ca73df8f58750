"""What the ledger forgets for good, on both databases: names go, sums stay, and no row is planned past a tombstone."""

from __future__ import annotations

from pathlib import Path

import pytest

from stemline.budget import Limits
from stemline.errors import LedgerConflict, TombstonesAdded
from stemline.ledger import tables
from stemline.records import Code, Failure, Reject, State
from stemline.tombstone import Tombstone, TombstoneIndex, digest

SALT = "ab" * 16


def tombstone(case, *track_ids, **more):
    tracks = tuple(digest(SALT, "track", track_id) for track_id in track_ids)
    return Tombstone("stone-1", case.clock(), "track", "", "me", SALT, tracks, **more)


def forget(case, *numbers):
    ids = [f"t{number}" for number in numbers]
    case.ledger.forgetting.keep(tombstone(case, *ids))
    return case.ledger.forgetting.forget(tombstone(case, *ids), ids)


def everything(ledger):
    """Give all that stands in the ledger as one text."""
    with ledger.database.read() as connection:
        return str([connection.execute(table.select()).all() for table in tables.metadata.sorted_tables])


def test_names_go_and_sums_stay(case):
    case.published(1)
    case.plan(2)
    case.ready(3)
    sentence = "t3.mp3 is short."
    case.ledger.attempts.fail(Failure("a3", State.QUARANTINED, Code.WRONG_DURATION, sentence))
    case.ledger.runs.reject(
        case.run_id, [Reject(9, "t2", "/music/2.mp3", Code.DUPLICATE_ID, "Row 9: t2 is taken.")]
    )
    case.published(4)
    spent, before = case.spent(), case.ledger.credits.spending(case.run_id)
    assert forget(case, 1, 2, 3) == {}
    text = everything(case.ledger)
    assert not [word for word in ("'t1'", "'t2'", "'t3'", "/music/1", "/music/2", "short") if word in text]
    assert (case.spent(), case.ledger.credits.spending(case.run_id)) == (spent, before)
    assert case.ledger.queries.codes(case.run_id) == {Code.FORGOTTEN: 4, Code.OK: 1}
    assert case.state(4) == State.PUBLISHED
    assert case.ledger.forgetting.count(["t1", "t2", "t3"]) == 0
    assert forget(case, 1, 2, 3) == {}


def test_what_somebody_is_at_is_left(case):
    case.submitting(1)
    case.processing(2)
    case.ready(3)
    case.collected(4)
    case.published(5)
    left = forget(case, 1, 2, 3, 4, 5)
    assert {track_id: str(state) for track_id, state in left.items()} == {
        "t1": "submitting",
        "t2": "processing",
        "t3": "ready",
        "t4": "collected",
    }
    assert case.ledger.forgetting.under_way([f"t{number}" for number in range(9)]) == left


def test_what_cannot_be_published_waits_for_nobody_unless_it_is_in_a_batch(case):
    case.collected(1)
    case.ledger.batches.set_aside({"a1": "A cell does not fit."})
    case.ledger.batches.open(case.run_id, "b1", ["a1"])
    assert forget(case, 1) == {"t1": State.COLLECTED}
    case.ledger.batches.set_aside({"a1": "A cell does not fit."})
    assert forget(case, 1) == {}


def test_a_track_in_line_is_not_sent_any_more(case):
    case.plan(1)
    forget(case, 1)
    with pytest.raises(LedgerConflict, match="not in the ledger"):
        case.ledger.attempts.reserve(case.run_id, case.track(1), "a1", 10, Limits())
    assert case.ledger.tracks.next_planned(case.run_id, 9) == []


def test_rows_read_before_are_not_planned(case):
    before = len(case.ledger.forgetting.tombstones())
    forget(case, 1)
    with pytest.raises(TombstonesAdded):
        case.ledger.tracks.plan(case.run_id, [case.track(1)], tombstones_known=before)
    assert case.ledger.tracks.plan(case.run_id, [case.track(2)], tombstones_known=before + 1).new == 1


def test_tombstones_come_back_as_they_were_kept(case):
    kept = tombstone(case, "t1", isrcs=("x",), artists=("y",))
    case.ledger.forgetting.keep(kept)
    case.ledger.forgetting.keep(kept)
    assert case.ledger.forgetting.tombstones() == [kept]


def test_no_file_of_the_ledger_holds_what_was_forgotten(case):
    case.published(1)
    forget(case, 1)
    assert case.ledger.forgetting.vacuum()
    if case.ledger.database.is_sqlite:
        folder = Path(case.ledger.url.database).parent
        assert not [file for file in folder.glob("ledger.db*") if b"/music/1.mp3" in file.read_bytes()]


class TestIndex:
    """Which tombstone stands for a row."""

    def index(self, case):
        names = {
            "isrcs": (digest(SALT, "isrc", "USPH16500001"),),
            "artists": (digest(SALT, "artist", "nina"),),
        }
        return TombstoneIndex((tombstone(case, "t1", **names),), 1)

    @pytest.mark.parametrize(
        ("number", "columns", "is_found"),
        [
            (1, {}, True),
            (2, {}, False),
            (2, {"isrc": "us-ph1-65-00001"}, True),
            (2, {"artist": "  NINA "}, True),
            (2, {"artist": "Nina & Friends", "isrc": None}, False),
        ],
    )
    def test_by_id_isrc_and_artist(self, case, number, columns, is_found):
        tracks, rejects = self.index(case).sort([case.track(number, columns=columns)])
        assert (len(tracks), len(rejects)) == (not is_found, is_found)
        assert all((each.track_id, each.location) == (None, None) for each in rejects)

    def test_a_row_that_is_bad_anyway_does_not_name_it_again(self, case):
        bad = Reject(3, "t1", "/music/1.mp3", Code.MISSING_FILE, "There is no /music/1.mp3.")
        _, (reject,) = self.index(case).sort([], [bad])
        assert (reject.code, reject.track_id, reject.location) == (Code.FORGOTTEN, None, None)
        assert "music" not in reject.sentence


def test_a_later_run_counts_what_it_found_published_and_is_forgotten_since(case):
    for number in (1, 2, 3):
        case.published(number)
    case.ledger.runs.finish(case.run_id, 0, {})
    first, tracks = case.run_id, [case.track(number) for number in (1, 2, 3, 4)]
    case.clock.advance(hours=1)
    later = case.start()
    case.ledger.tracks.plan(later, tracks)
    queries = case.ledger.queries
    assert queries.counts(later) == {State.PUBLISHED: 3, State.PLANNED: 1}
    forget(case, 1, 3)
    assert queries.counts(later) == {State.PUBLISHED: 1, State.PLANNED: 1, State.REJECTED: 2}
    assert queries.codes(later) == {Code.OK: 2, Code.FORGOTTEN: 2}
    assert queries.counts(first) == {State.PUBLISHED: 1, State.REJECTED: 2}
    forget(case, 1, 3)
    assert queries.counts(later) == {State.PUBLISHED: 1, State.PLANNED: 1, State.REJECTED: 2}
