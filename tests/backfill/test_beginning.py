"""A backfill begun as the flow begins it: frozen once, gone on with after that."""

from __future__ import annotations

import logging

import pytest

from stemline.backfill.beginning import begin_backfill
from stemline.backfill.freezing import freeze_choice
from stemline.errors import AllLeftOut, UsageError
from stemline.ledger import BackfillState
from stemline.records import State

WORDS = {"since": "2015", "until": "2020"}


@pytest.fixture
def two(catalogue):
    catalogue.write(["2015-01-01", "2016-01-01"])
    return catalogue


def test_it_is_frozen_once_and_goes_on_after_that(two):
    assert begin_backfill(two.settings(), "old", WORDS, ceiling=500, share="50%") == "old"
    two.write(["2015-01-01", "2016-01-01", "2017-01-01"])
    assert begin_backfill(two.settings(), "old", WORDS) == "old"
    assert begin_backfill(two.settings(), "old", {}) == "old"
    assert two.frozen() == ["t01", "t00"]
    with two.ledger() as ledger:
        found = ledger.backfills.get("old")
    assert (found.ceiling, found.share) == (500, 0.5)


def test_without_a_name_the_same_request_is_the_same_backfill(two):
    named = begin_backfill(two.settings(), None, WORDS)
    assert begin_backfill(two.settings(), None, WORDS) == named
    assert begin_backfill(two.settings(), None, {**WORDS, "order": "oldest"}) != named


@pytest.mark.parametrize(
    "other", [{"since": "2016"}, {"mode": "all"}, {"slice": "year"}, {"where": "true"}, {"by": "x"}]
)
def test_other_rows_under_the_same_name_are_refused(two, other):
    begin_backfill(two.settings(), "old", WORDS)
    with pytest.raises(UsageError, match=f"was frozen with --{next(iter(other))} "):
        begin_backfill(two.settings(), "old", {**WORDS, **other})


def test_another_order_ceiling_and_share_are_what_a_person_has_made_of_them(two):
    begin_backfill(two.settings(), "old", WORDS, ceiling=500)
    with two.ledger() as ledger:
        ledger.backfills.change("old", ceiling=900)
    begin_backfill(two.settings(), "old", {**WORDS, "order": "oldest"}, ceiling=500, share="10%")
    with two.ledger() as ledger:
        found = ledger.backfills.get("old")
    assert (found.ceiling, found.share, found.order) == (900, 1.0, "newest")


def test_what_is_paid_again_needs_somebody_who_agreed_to_that_sum(two, history):
    history.bring(0, State.PUBLISHED)
    for agreed in (None, 59):
        with pytest.raises(UsageError, match="up to 60 credits for tracks that were paid for before"):
            begin_backfill(two.settings(), "old", {"mode": "all"}, pay_again=agreed)
    assert history.ledger.backfills.every() == []
    assert begin_backfill(two.settings(), "old", {"mode": "all"}, pay_again=60) == "old"


def test_one_frozen_by_somebody_else_meanwhile_is_left_as_it_is(two):
    with two.planned(**WORDS) as plan:
        begin_backfill(two.settings(), "old", {"since": "2016"})
        with pytest.raises(UsageError, match="There is a backfill old already"):
            freeze_choice(two.settings(), plan.backfill, plan.choice)
    assert two.frozen() == ["t01"]


def test_what_is_otherwise_by_now_is_told(two, caplog):
    begin_backfill(two.settings(), "old", WORDS)
    two.overrides = ["failures.tolerate=3%"]
    with caplog.at_level(logging.WARNING):
        begin_backfill(two.settings(), "old", WORDS)
    assert "The configuration is another one than when it was frozen." in caplog.text


def test_an_empty_name_is_none_of_the_default(two):
    with pytest.raises(UsageError, match="is no name for a backfill"):
        begin_backfill(two.settings(), "", WORDS)


def test_a_ceiling_that_cannot_be_kept_is_refused_before_anything_is_frozen(two):
    with pytest.raises(UsageError, match="is no ceiling"):
        begin_backfill(two.settings(), "old", WORDS, ceiling=10**30)


def test_rows_that_are_left_out_are_told_when_it_is_frozen(two, caplog):
    """With --json nothing said so: every row could be without a date, and the exit code was 0."""
    two.write(["2015-01-01", "soon", ""])
    with caplog.at_level(logging.WARNING):
        begin_backfill(two.settings(), "old", WORDS)
    assert "leaves out 2 rows (2 no_date)" in caplog.text
    assert "_stemline/rejects/backfill-old.csv" in caplog.text


@pytest.mark.parametrize("name", ["odl", "Old", "old2", "oldd"])
def test_a_name_like_one_there_is_begins_nothing_where_it_stands_alone(two, name):
    """`--name odl --yes` took the whole catalogue for a new backfill, and paid for it."""
    begin_backfill(two.settings(), "old", WORDS)
    with pytest.raises(UsageError, match=r"there is one called old\. Go on with it by `--name old`"):
        begin_backfill(two.settings(), name, {"order": "oldest"})
    with two.ledger() as ledger:
        assert [each.name for each in ledger.backfills.every()] == ["old"]


def test_a_name_like_one_there_is_is_refused_about_the_same_rows(two):
    begin_backfill(two.settings(), "old", WORDS)
    with pytest.raises(UsageError, match="there is one called old, about the same rows"):
        begin_backfill(two.settings(), "odl", {**WORDS, "order": "oldest"})


@pytest.mark.parametrize(
    ("name", "words"),
    [("odl", {**WORDS, "since": "2016"}), ("odl", {"mode": "missing"}), ("everything", {}), ("old", WORDS)],
)
@pytest.mark.long
def test_a_new_name_with_rows_of_its_own_or_unlike_all_begins_a_backfill(two, name, words):
    begin_backfill(two.settings(), "old", WORDS)
    assert begin_backfill(two.settings(), name, words) == name


def test_a_cancelled_backfill_gives_its_rest_to_one_of_a_name_like_its_own(two):
    begin_backfill(two.settings(), "old", WORDS)
    with two.ledger() as ledger:
        ledger.backfills.move("old", BackfillState.CANCELLED)
    assert begin_backfill(two.settings(), "old2", WORDS) == "old2"


def test_one_of_which_every_row_is_left_out_is_not_begun(two):
    """It was frozen empty, ended with exit code 0, and kept its name from the rows once they were mended."""
    two.write(["soon", ""])
    with pytest.raises(AllLeftOut, match=r"it would leave out 2 rows \(2 no_date\) and has no other") as told:
        begin_backfill(two.settings(), "old", WORDS)
    assert told.value.exit_code == 3
    assert "no_date" in (two.folder / "dataset/_stemline/rejects/backfill-old.csv").read_text()
    two.write(["2015-01-01", "2016-01-01"])
    begin_backfill(two.settings(), "old", WORDS)
    assert two.frozen() == ["t01", "t00"]


def test_what_is_done_already_is_not_left_out(two, history):
    """The bad row is told, and nothing is wrong with the rest."""
    history.bring(0, State.PUBLISHED)
    two.write(["2015-01-01", "soon"])
    assert begin_backfill(two.settings(), "old", WORDS) == "old"
