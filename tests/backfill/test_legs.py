"""The runs of one backfill: when the next one may begin, and what all of them came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.dated_catalogue import KEY, SECONDS, Catalogue, History

from stemline.backfill.legs import BackfillLegs
from stemline.errors import UsageError
from stemline.ledger import BackfillOrder, BackfillState
from stemline.records import State
from stemline.run.access import fingerprint
from stemline.run.lease import holder_name
from stemline.run.selection import Result, Selection

HERE = Selection(backfill="old")


def summary(**changes: object) -> dict:
    credits_ = {"reserved": 0, "charged": 60, "charged_for_earlier": 0, "balance": 5, "drift": None}
    return {
        "run_id": "r1",
        "tracks": {},
        "codes": {},
        "credits": credits_,
        "requests": {"sent": 3, "rejected": 1, "per_track": 3.0},
        "windows": {"run": {"reserved": 0, "charged": 60, "limit": None}},
        "seconds": 1.5,
        "reason": None,
        **changes,
    }


class Waiting:
    """Legs whose waits are counted, and during which something happens."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue, self.waits = catalogue, 0
        self.events: list[Callable[[], object]] = []
        self.legs = BackfillLegs(catalogue.settings(), "old", sleep=self._wait)

    def _wait(self, _: float) -> None:
        self.waits += 1
        assert self.events, "it waits for ever"
        self.events.pop(0)()


@pytest.fixture
def waiting(catalogue) -> Waiting:
    """Two tracks, frozen as `old`."""
    catalogue.write(["2015-01-01", "2016-01-01"])
    catalogue.freeze(slice="year")
    return Waiting(catalogue)


def test_what_is_open_and_has_its_key_begins_at_once(waiting):
    assert waiting.legs.next() == HERE
    assert waiting.waits == 0


def test_what_is_paused_waits_until_it_is_resumed(waiting, history):
    backfills = history.ledger.backfills
    backfills.move("old", BackfillState.PAUSED)
    waiting.events = [lambda: None, lambda: backfills.move("old", BackfillState.OPEN)]
    assert waiting.legs.next() == HERE
    assert waiting.waits == 2


def test_what_is_cancelled_does_not_begin_and_does_not_go_on(waiting, history):
    backfills = history.ledger.backfills
    backfills.move("old", BackfillState.PAUSED)
    waiting.events = [lambda: backfills.move("old", BackfillState.CANCELLED)]
    with pytest.raises(UsageError, match="Backfill old is cancelled") as refused:
        waiting.legs.next()
    assert "another --name" in refused.value.fix


def test_cancelled_while_it_waits_for_its_turn_it_ends_and_says_so(waiting, history):
    backfills = history.ledger.backfills
    waiting.legs.note(
        Result(130, summary(reason="Another run wants the key."), "Another run wants it.", goes_on=True)
    )
    backfills.move("old", BackfillState.CANCELLED)
    assert waiting.legs.next() is None
    result = waiting.legs.result()
    assert (result.exit_code, result.goes_on) == (130, False)
    assert "Backfill old is cancelled." in result.reason
    assert result.summary["reason"] == result.reason


@pytest.mark.parametrize("reason", ["Backfill old is paused.", ""])
def test_a_run_that_was_interrupted_as_it_ended_is_the_last_one(waiting, history, reason):
    history.ledger.backfills.move("old", BackfillState.PAUSED)
    ended = Result(0, summary(), reason, goes_on=True, reached=1)
    waiting.legs.note(ended, is_interrupted=True)

    assert waiting.legs.next() is None
    result = waiting.legs.result()
    assert result.exit_code == 130
    assert result.reason == result.summary["reason"] == reason or "The run was interrupted." in result.reason


def test_an_interrupt_takes_nothing_from_a_run_that_was_the_last_one(waiting):
    waiting.legs.note(Result(4, summary()), is_interrupted=True)
    assert waiting.legs.result().exit_code == 4


def test_somebody_of_another_machine_is_waited_for_until_the_lease_ends_and_one_who_died_here_is_not(
    waiting, history
):
    leases, key_id = history.ledger.leases, fingerprint(KEY)
    fence = leases.acquire(key_id, "elsewhere:1", 600)
    waiting.events = [lambda: leases.release(key_id, fence)]
    assert waiting.legs.next() == HERE
    assert waiting.waits == 1
    leases.acquire(key_id, f"{holder_name().rpartition(':')[0]}:{2**22 - 1}", 600)
    assert waiting.legs.next() == HERE
    assert waiting.waits == 1


def test_a_key_that_is_wanted_is_left_to_who_wants_it(waiting, history):
    leases, key_id = history.ledger.leases, fingerprint(KEY)
    fence = leases.acquire(key_id, "elsewhere:1", 600, gives_way=True)
    leases.want(key_id)
    leases.release(key_id, fence)
    waiting.events = [
        lambda: leases.release(key_id, leases.acquire(key_id, "elsewhere:2", 600)),
    ]
    assert waiting.legs.next() == HERE
    assert waiting.waits == 1


def test_a_run_that_ended_for_good_has_no_next_one(waiting):
    waiting.legs.note(Result(4, summary()))
    assert waiting.legs.next() is None


def test_a_run_begins_behind_what_the_one_before_it_has_done(waiting):
    assert waiting.legs.next() == HERE
    waiting.legs.note(Result(3, summary(), goes_on=True, reached=1))
    assert waiting.legs.next() == replace(HERE, behind=1)


def test_one_that_gave_its_key_away_is_gone_on_with_from_where_it_began(waiting):
    assert waiting.legs.next() == HERE
    waiting.legs.note(Result(0, summary(), goes_on=True, reached=1))
    waiting.legs.note(Result(130, summary(reason="Another run wants the key."), goes_on=True))
    assert waiting.legs.next() == replace(HERE, behind=1)


def test_in_another_order_it_begins_at_the_front(waiting, history):
    assert waiting.legs.next() == HERE
    waiting.legs.note(Result(0, summary(), goes_on=True, reached=1))
    history.ledger.backfills.change("old", order=BackfillOrder.OLDEST)
    assert waiting.legs.next() == HERE


def test_what_failed_in_an_earlier_run_is_not_forgotten_when_the_last_went_well(waiting, history):
    history.bring(0, State.FAILED, fatal=True)
    waiting.legs.note(Result(3, summary(), goes_on=True, reached=1))
    history.bring(1, State.PUBLISHED)
    waiting.legs.note(Result(0, summary()))
    assert waiting.legs.result().exit_code == 3


def test_what_all_runs_came_to_adds_up_and_the_backfill_is_finished_when_nothing_is_left(waiting, history):
    legs = waiting.legs
    legs.note(Result(130, summary(), "Another run wants it.", goes_on=True))
    assert legs.next() == HERE
    history.bring(0, State.PUBLISHED)
    history.bring(1, State.FAILED)
    legs.note(Result(3, summary(run_id="r2")))
    result = legs.result()
    found = result.summary
    assert (result.exit_code, found["run_id"], found["reason"]) == (3, "r2", None)
    assert found["tracks"] == {"published": 1, "failed": 1}
    assert (found["credits"]["charged"], found["requests"]["sent"], found["seconds"]) == (2 * SECONDS, 6, 3.0)
    assert found["backfill"]["state"] == "finished"
    assert [each["states"] for each in found["slices"]] == [{"failed": 1}, {"published": 1}]


def test_it_is_not_finished_while_a_track_waits_or_is_paid_and_not_collected(waiting, history):
    history.bring(0, State.COLLECTED)
    waiting.legs.note(Result(4, summary()))
    assert waiting.legs.result().summary["backfill"]["state"] == "open"
    history.bring(1, State.PROCESSING)
    assert waiting.legs.result().summary["backfill"]["state"] == "open"


def test_what_is_finished_is_begun_again(waiting, history):
    history.ledger.backfills.move("old", BackfillState.FINISHED)
    assert waiting.legs.next() == HERE
    assert history.ledger.backfills.get("old").state is BackfillState.OPEN


def test_the_ledger_of_another_catalogue_has_no_backfill_of_that_name(catalogue):
    with catalogue.ledger() as ledger:
        History(ledger, catalogue.settings())
    with pytest.raises(UsageError, match="knows no backfill old; there are: none"):
        BackfillLegs(catalogue.settings(), "old").next()
