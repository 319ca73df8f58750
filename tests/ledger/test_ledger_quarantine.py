"""What is paid and does not verify goes back to be collected for nothing, as long as the provider has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from stemline.budget import Limits
from stemline.errors import LedgerConflict
from stemline.ledger import CollectAgain
from stemline.ledger import quarantine as quarantine_module
from stemline.ledger.tables import attempts, entries
from stemline.records import Code, Failure, Job, Phase, State, Submission

EVER = datetime.min.replace(tzinfo=UTC)


def quarantine(case, number: int, *, token: str | None = None, key_id: str = "key-1", code=Code.TRUNCATED):
    """Bring a planned track into quarantine."""
    token = token or f"a{number}"
    case.ledger.attempts.reserve(case.run_id, case.track(number), token, 10, Limits(), key_id=key_id)
    case.ledger.attempts.mark_sending(token)
    case.ledger.attempts.record_submission(token, Submission(f"job of {token}", 10))
    case.ledger.attempts.record_ready(token, Job(f"job of {token}", Phase.DONE, credits_charged=10))
    case.ledger.attempts.fail(Failure(token, State.QUARANTINED, code, "vocals.flac ends early."))


def states(case) -> dict[str, str]:
    with case.ledger.database.read() as connection:
        rows = connection.execute(select(attempts.c.token, attempts.c.state)).all()
    return {token: state for token, state in rows}  # noqa: C416 - rows are no pairs to dict()


def bookings(case) -> int:
    with case.ledger.database.read() as connection:
        return connection.execute(select(func.count()).select_from(entries)).scalar_one()


def again(case, run_id=None, since=EVER, keys=("key-1",), **changes) -> int:
    return case.ledger.quarantine.collect_again(CollectAgain(run_id or case.run_id, since, keys, **changes))


@pytest.fixture
def bad(case):
    """Two tracks in quarantine."""
    case.plan(1, 2)
    quarantine(case, 1)
    quarantine(case, 2, code=Code.ALL_SILENT)
    return case


def test_a_run_collects_its_quarantined_tracks_again_and_reserves_nothing(bad):
    before = bookings(bad)
    assert again(bad) == 2
    assert [bad.state(1), bad.state(2)] == ["ready", "ready"]
    assert bookings(bad) == before
    assert bad.spent() == (0, 20)
    assert [each.attempt.token for each in bad.ledger.recovery.ready("stemsplit")] == ["a1", "a2"]
    assert again(bad) == 0


def test_what_was_wrong_stays_said_until_it_is_right(bad):
    again(bad)
    status = bad.ledger.tracks.status(bad.run_id, ["t1"])["t1"]
    assert (status.code, status.sentence) == (Code.TRUNCATED, "vocals.flac ends early.")
    bad.ledger.attempts.record_collected(bad.stems(1))
    assert bad.ledger.tracks.status(bad.run_id, ["t1"])["t1"].code is Code.OK


def test_a_run_leaves_the_tracks_of_others_alone_and_a_redrive_takes_all(bad):
    other = bad.start()
    assert again(bad, other) == 0
    assert again(bad, other, is_redrive=True, codes=[Code.ALL_SILENT]) == 1
    assert again(bad, other, is_redrive=True) == 1
    assert bad.ledger.queries.counts(other) == {State.READY: 2}


def test_after_the_outputs_are_gone_nothing_is_asked_again(bad, clock):
    clock.advance(days=14)
    kept = clock() - timedelta(days=13)
    assert again(bad, since=kept) == 0
    assert bad.ledger.quarantine.collectable("stemsplit", bad.recipe, ["t1", "t2"], kept) == set()
    assert bad.ledger.quarantine.collectable("stemsplit", bad.recipe, ["t1"], EVER) == {"t1"}
    assert again(bad, since=clock() - timedelta(days=15)) == 2


def test_what_a_living_run_made_with_another_key_is_left_to_it(bad):
    fence = bad.ledger.leases.acquire("key-1", "elsewhere", 60)
    assert again(bad, keys=["key-2"]) == 0
    assert again(bad, keys=["key-2"], is_redrive=True) == 0
    bad.ledger.leases.release("key-1", fence)
    assert again(bad, keys=["key-2"]) == 2


def test_a_redrive_never_pays_for_what_can_be_had_for_nothing(bad, clock):
    """Not even where another run is at it: then it waits."""
    bad.ledger.leases.acquire("key-1", "elsewhere", 600)
    run, codes = bad.start(), [Code.TRUNCATED, Code.ALL_SILENT]
    assert again(bad, run, keys=["key-2"], is_redrive=True, codes=codes) == 0
    assert bad.ledger.redrive_queue.redrive(run, codes, kept_since=clock() - timedelta(days=1)) == 0
    assert bad.ledger.redrive_queue.redrive(run, codes, kept_since=clock() + timedelta(days=1)) == 2


def test_a_limit_takes_the_first_of_the_queue_as_the_preview_says(case):
    case.ledger.tracks.plan(case.run_id, [case.track(1), case.track(2, priority=5)])
    quarantine(case, 1)
    quarantine(case, 2, code=Code.ALL_SILENT)
    (shown,) = case.ledger.redrive_queue.collectable("stemsplit", case.recipe, EVER, limit=1)
    assert (shown.code, shown.is_free, shown.is_paid_again) == (Code.ALL_SILENT, True, False)
    assert again(case, limit=1) == 1
    assert [case.state(1), case.state(2)] == ["quarantined", "ready"]


class TestTwoAttempts:
    """A track that was paid a second time, and whose second attempt does not verify either."""

    @pytest.fixture
    def twice(self, bad):
        bad.ledger.redrive_queue.redrive(bad.start(), [Code.TRUNCATED])
        quarantine(bad, 1, token="b1")
        return bad

    def test_only_the_last_is_collected_again(self, twice):
        assert again(twice) == 2
        assert states(twice) == {"a1": "quarantined", "a2": "ready", "b1": "ready"}
        assert again(twice) == 0

    def test_the_earlier_one_is_where_the_last_is_not_to_be_had(self, twice):
        """It was made with a key that a living run holds, or its outputs are gone."""
        with twice.ledger.database.write() as connection:
            connection.execute(attempts.update().where(attempts.c.token == "b1").values(key_id="key-9"))
        twice.ledger.leases.acquire("key-9", "elsewhere", 60)
        assert again(twice) == 2
        assert states(twice) == {"a1": "ready", "a2": "ready", "b1": "quarantined"}

    @pytest.mark.long
    def test_many_of_them_go_back_page_by_page_each_once(self, case, monkeypatch):
        """The attempts of one track may stand on both sides of a page's end."""
        monkeypatch.setattr(quarantine_module, "TRACKS_A_TRANSACTION", 3)
        case.plan(*range(1, 8))
        for number in range(1, 8):
            quarantine(case, number)
        case.ledger.redrive_queue.redrive(case.start(), [Code.TRUNCATED], limit=4)
        for number in range(1, 5):
            quarantine(case, number, token=f"b{number}")
        assert again(case) == 7
        found = states(case)
        assert {token for token, state in found.items() if state == "ready"} == {
            *("b1", "b2", "b3", "b4", "a5", "a6", "a7")
        }


class TestUnreadable:
    """The job was made with a key that was replaced, and the present one is not shown it."""

    def test_a_quarantined_track_goes_back_and_says_why(self, bad):
        for _ in range(2):
            again(bad)
            bad.ledger.quarantine.put_back("a1", "Job j is of another key.")
            status = bad.ledger.tracks.status(bad.run_id, ["t1"])["t1"]
            assert (status.state, status.code) == (State.QUARANTINED, Code.TRUNCATED)
            assert status.sentence == "vocals.flac ends early. Job j is of another key."

    def test_another_track_stays_ready_and_says_why(self, case):
        case.ready(1)
        case.ledger.quarantine.put_back("a1", "Job j is of another key.")
        status = case.ledger.tracks.status(case.run_id, ["t1"])["t1"]
        assert (status.state, status.code) == (State.READY, Code.DOWNLOAD_FAILED)
        case.processing(2)
        case.ledger.quarantine.put_back("a2", "Job j is of another key.")
        assert case.state(2) == "processing"


class TestAccept:
    def test_a_quarantined_track_is_collected_as_it_is_once(self, bad):
        assert bad.ledger.quarantine.accept(bad.stems(1))
        assert not bad.ledger.quarantine.accept(bad.stems(1))
        assert bad.state(1) == "collected"
        assert bad.ledger.batches.collected_unbatched("stemsplit", bad.recipe) == ["a1"]
        assert bad.spent() == (0, 20)

    def test_one_that_stands_elsewhere_by_now_is_not(self, bad):
        bad.ledger.redrive_queue.redrive(bad.start(), [Code.TRUNCATED])
        with pytest.raises(LedgerConflict, match="planned by now"):
            bad.ledger.quarantine.accept(bad.stems(1))
