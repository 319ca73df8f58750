"""Backfills steered from anywhere that reaches their ledger."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console

from stemline.backfill.steering import list_backfills, steer_backfill
from stemline.budget import Limits
from stemline.cli.backfill_tables import backfills_table
from stemline.errors import UsageError
from stemline.ledger import BackfillState
from stemline.records import State


@pytest.fixture
def steer(catalogue):
    """Steer `old`, of three tracks."""
    catalogue.write(["2015-01-01", "2016-01-01", "2017-01-01"])
    catalogue.freeze()
    return lambda **asked: steer_backfill(catalogue.settings(), **asked)


def refusal(steer, **asked) -> str:
    with pytest.raises(UsageError) as refused:
        steer(**asked)
    assert refused.value.fix
    return refused.value.message


def test_pause_resume_and_cancel_say_what_follows(steer, history):
    assert steer(pause="old") == ["Backfill old is paused."]
    assert steer(pause="old") == ["Backfill old is paused."]
    (resumed,) = steer(resume="old")
    assert resumed.startswith("Backfill old is open. A process that waits goes on;")
    history.bring(0, State.PROCESSING)
    history.bring(1, State.UNKNOWN)
    history.bring(2, State.SUBMITTING)
    (cancelled,) = steer(cancel="old")
    assert cancelled == (
        "Backfill old is cancelled. "
        "2 tracks with the provider or without an answer: whoever has the key collects them. "
        "1 track about to be sent, with credits reserved: what the provider takes is collected, "
        "what it does not is held and costs nothing."
    )
    assert refusal(steer, resume="old") == "Backfill old is cancelled: it cannot become open."
    assert refusal(steer, change="old", share="10%").endswith("nothing of it is changed any more.")


def test_cancelled_what_waits_to_be_made_again_stands_as_it_was(catalogue, history):
    catalogue.write(["2015-01-01", "2016-01-01"])
    for number in range(2):
        history.bring(number, State.PUBLISHED)
    catalogue.freeze(mode="all")
    ledger, (first, second) = (
        history.ledger,
        (row.track for _, row in history.ledger.backfills.to_do("old", -1, 9)),
    )
    run_id = ledger.runs.start("nightly", "stemsplit", history.recipe, "digest", "key", backfill="old")
    ledger.tracks.plan(run_id, [first, second], again={first.track_id: 1, second.track_id: 1})
    ledger.attempts.reserve(run_id, first, "again", 60, Limits())
    ledger.attempts.mark_sending("again")

    steer_backfill(catalogue.settings(), cancel="old")

    states = ledger.tracks.states("stemsplit", history.recipe, [first.track_id, second.track_id])
    assert states == {first.track_id: State.SUBMITTING, second.track_id: State.PUBLISHED}


def test_what_is_finished_is_not_steered(steer, history):
    history.ledger.backfills.move("old", BackfillState.FINISHED)
    for option in ("pause", "resume", "cancel"):
        assert refusal(steer, **{option: "old"}) == "Backfill old is finished."


def test_a_name_that_is_not_there_names_those_that_are(steer):
    for asked in ({"pause": "new"}, {"change": "new", "ceiling": 5}):
        assert refusal(steer, **asked) == "The ledger knows no backfill new; there are: old."


def test_order_ceiling_and_share_are_changed(steer, catalogue):
    assert catalogue.frozen() == ["t02", "t01", "t00"]
    (told,) = steer(change="old", order="oldest", ceiling=1_200, share="25%")
    assert told == "Backfill old: oldest first, a ceiling of 1,200 credits, 25% of rate and day."
    assert catalogue.frozen() == ["t00", "t01", "t02"]


def test_a_change_of_nothing_and_a_change_for_nobody_are_refused(steer):
    for asked in ({"change": "old"}, {"share": "50%"}, {"pause": "old", "order": "oldest"}):
        assert refusal(steer, **asked) == "--change NAME goes with --order, --credits or --share."
    assert "is no share" in refusal(steer, change="old", share="0%")
    assert "is not known" in refusal(steer, change="old", order="cheapest")


def test_what_is_refused_changes_nothing(steer, history):
    refusal(steer, pause="old", cancel="new")
    refusal(steer, change="old", ceiling=5, share="0%")
    found = history.ledger.backfills.get("old")
    assert (found.state, found.ceiling) == (BackfillState.OPEN, None)


def test_nothing_to_steer_makes_no_ledger(catalogue):
    assert steer_backfill(catalogue.settings()) == []
    assert list_backfills(catalogue.settings()) == []
    with pytest.raises(UsageError, match="Nothing has run"):
        steer_backfill(catalogue.settings(), pause="old")
    assert not (catalogue.folder / "nightly.db").exists()


@pytest.mark.usefixtures("steer")
def test_each_is_listed_with_its_progress_newest_first(catalogue, history):
    catalogue.freeze("newer", since="2017", ceiling=90, share=0.5)
    history.bring(2, State.PUBLISHED)
    newer, old = list_backfills(catalogue.settings())
    assert [each["backfill"]["name"] for each in (newer, old)] == ["newer", "old"]
    assert (newer["backfill"]["credits"]["ceiling"], newer["backfill"]["share"]) == (90, 0.5)
    assert newer["backfill"]["tracks"] == {"published": 1}
    assert old["backfill"]["tracks"] == {"published": 1, "waiting": 2}
    assert [each["slice"] for each in old["slices"]] == ["2017-01", "2016-01", "2015-01"]


def test_all_that_is_asked_for_at_once_is_done_or_nothing(steer, catalogue, history):
    catalogue.freeze("over", since="2017")
    history.ledger.backfills.move("over", BackfillState.CANCELLED)
    assert "is no share" in refusal(steer, pause="old", change="old", share="500%")
    assert "is no ceiling" in refusal(steer, pause="old", change="old", ceiling=10**30)
    assert "is not known" in refusal(steer, pause="old", change="old", order="cheapest")
    assert "cannot become open" in refusal(steer, pause="old", resume="over")
    assert "is cancelled" in refusal(steer, pause="old", change="over", share="50%")
    assert "is cancelled" in refusal(steer, cancel="old", change="old", share="50%")
    assert history.ledger.backfills.get("old").state is BackfillState.OPEN
    assert steer(pause="old", change="old", share="0.1%")[-1].endswith("0.1% of rate and day.")


@pytest.mark.parametrize("option", ["pause", "resume", "cancel", "change"])
def test_an_empty_name_is_refused(steer, option):
    """A shell gives it for a variable that is not set: the list was shown, and nothing was paused."""
    more = {"share": "50%"} if option == "change" else {}
    assert refusal(steer, **{option: ""}, **more) == f"--{option} is empty."


@pytest.mark.parametrize("width", [60, 80])
def test_on_a_narrow_terminal_no_word_of_the_list_is_cut_off(width):
    about = {
        "name": "catalogue.2015-01-01.2016-01-01.bf7990",
        "state": "cancelled",
        "made_at": "2026-11-29T20:13:00+00:00",
        "tracks": {"published": 1_234, "held": 10_000},
        "credits": {"charged": 123_456, "reserved": 4_567, "ceiling": 36_000},
    }
    out = StringIO()
    Console(file=out, width=width).print(backfills_table([{"backfill": about}]))
    shown = out.getvalue()
    assert "…" not in shown
    for word in (
        "cancelled",
        "published",
        "1,234 of",
        "11,234",
        "123,456",
        "reserved",
        "36,000",
        "2026-11-29",
        "20:13",
    ):
        assert re.search(rf"(?<!\S){word}(?!\S)", shown), (word, shown)
