"""Whether a backfill can be done by a day: each remedy is tried by doing what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.dated_catalogue import SECONDS, Catalogue, History

from stemline.backfill import forecast
from stemline.backfill.beginning import LEAST_SHARE
from stemline.backfill.deadline import DeadlineAnswer, DeadlineQuestion
from stemline.backfill.forecast import BackfillForecast, forecast_backfill
from stemline.backfill.instant import read_bound
from stemline.budget import Limits
from stemline.plan.forecast import Forecast
from stemline.plan.ledger_view import open_ledger_view
from stemline.records import Track
from stemline.settings import load_facts

TRACKS = 40
MORNING = datetime(2026, 3, 10, 9, tzinfo=UTC)
"""It is then, whenever it is: how many days and months an interval touches depends on the hour."""


@pytest.fixture(autouse=True)
def _morning(monkeypatch):
    monkeypatch.setattr(forecast, "utc_now", lambda: MORNING)


@pytest.fixture
def forty(catalogue: Catalogue) -> Catalogue:
    """Forty tracks of a minute each."""
    catalogue.write(["2015-01-01"] * TRACKS)
    return catalogue


@contextmanager
def asking(catalogue: Catalogue, days: float, **asked) -> Iterator[DeadlineQuestion]:
    with catalogue.planned(**asked) as plan, open_ledger_view(catalogue.settings()) as view:
        rows, order = plan.choice.rows, plan.choice.request.order
        if view.ledger is not None:
            view.ledger.database.clock = lambda: MORNING
        at = MORNING + timedelta(days=days)
        facts = load_facts("stemsplit")
        yield DeadlineQuestion(
            catalogue.settings(), facts, view.ledger, plan.backfill, lambda: rows.to_pay(order), at
        )


def do(question: DeadlineQuestion, remedy: str) -> DeadlineAnswer:
    """Do what a remedy says, and ask again."""
    settings, backfill, rest = question.settings, question.backfill, remedy
    limits = {name: int(limit) for name, limit in re.findall(r"budget\.(\w+): (\d+)", remedy)}
    settings = settings.model_copy(update={"budget": settings.budget.model_copy(update=limits)})
    rest = re.sub(r"budget\.\w+: \d+", "", rest)
    if "--share 100%" in remedy:
        backfill, rest = replace(backfill, share=1.0), rest.replace("--share 100%", "")
    if found := re.search(r"--credits (\d+)", remedy):
        backfill, rest = replace(backfill, ceiling=int(found[1])), rest.replace(found[0], "")
    if found := re.search(r"(\d+) API keys \(provider\.keys\)", remedy):
        keys = tuple(f"key-{number}" for number in range(int(found[1])))
        provider = type(settings.provider).model_validate({"kind": "stemsplit", "keys": keys})
        settings, rest = settings.model_copy(update={"provider": provider}), rest.replace(found[0], "")
    assert rest.replace("and", "").strip() == "", f"{remedy!r} says something that cannot be done"
    return replace(question, settings=settings, backfill=backfill).answer()


def assert_helps(question: DeadlineQuestion, *kinds: str) -> None:
    answer = question.answer()
    assert answer.can_be != "yes"
    assert answer.remedies
    for kind in kinds:
        assert any(kind in remedy for remedy in answer.remedies), answer.remedies
    for remedy in answer.remedies:
        assert do(question, remedy).can_be == "yes", remedy
        assert remedy in answer.sentence


def test_what_is_in_time_is_a_yes_without_remedies(forty):
    with asking(forty, 1) as question:
        answer = question.answer()
    assert (answer.can_be, answer.remedies) == ("yes", ())
    assert answer.sentence.startswith("It is done by ")


def test_between_the_earliest_and_the_latest_end_it_is_a_maybe(forty):
    with asking(forty, 1) as question:
        found = forecast_backfill(
            question.settings, question.facts, None, question.backfill, (), to_pay=question.to_pay()
        )
        first, last = found.ends_at
        assert first < last
        between = replace(question, deadline=first + (last - first) / 2)
        assert between.answer().can_be == "maybe"
        assert between.answer().sentence.startswith("It may be done by ")
        assert replace(question, deadline=first - timedelta(seconds=1)).answer().can_be == "no"


@pytest.mark.parametrize("day", [100, 200, 250, 599])
@pytest.mark.parametrize("days", [2.5, 3.6, 5])
@pytest.mark.long
def test_a_higher_day_is_named_where_the_day_is_too_low(forty, day, days):
    forty.overrides = [f"budget.day={day}"]
    with asking(forty, days) as question:
        if question.answer().can_be != "yes":
            assert_helps(question, "budget.day: ")


def test_a_share_is_given_up_where_that_is_enough(forty):
    forty.overrides = ["budget.day=1300"]
    with asking(forty, 2.5, share=0.5) as question:
        assert_helps(question, "--share 100%", "budget.day: ")


def test_a_month_that_is_too_low_is_named(forty):
    forty.overrides = ["budget.month=600"]
    with asking(forty, 1.5) as question:
        assert_helps(question, "budget.month: 2400")


def test_a_ceiling_that_is_too_low_is_named(forty):
    with asking(forty, 1.5, ceiling=600) as question:
        assert_helps(question, "--credits 2400")


def test_what_helps_only_together_is_named_together(forty):
    forty.overrides = ["budget.day=300", "budget.month=900"]
    with asking(forty, 2.5, ceiling=600, share=0.5) as question:
        assert_helps(question, "--credits 2400")
        assert len(question.answer().remedies) == 1


def test_more_keys_are_named_where_the_rate_is_what_holds_it(catalogue):
    catalogue.write(["2015-01-01"] * 400)
    catalogue.overrides = ["provider.requests_per_minute=10"]
    with asking(catalogue, 0.02) as question:
        answer = question.answer()
        assert any("API keys" in each for each in answer.remedies), answer
        keys = int(re.search(r"(\d+) API keys", answer.sentence)[1])
        for count, is_enough in ((keys, True), (keys - 1, False)):
            found = forecast_backfill(
                question.settings,
                question.facts,
                None,
                question.backfill,
                (),
                to_pay=question.to_pay(),
                keys=count,
            )
            assert (found.ends_at[1] <= question.deadline) is is_enough


def test_what_was_spent_today_is_reckoned_with(forty):
    forty.overrides = ["budget.day=600", "budget.month=2500"]
    with forty.ledger() as ledger:
        ledger.database.clock = lambda: MORNING
        history = History(ledger, forty.settings())
        track = Track("other", "https://x.example/other.mp3", 1, duration_seconds=500.0)
        ledger.tracks.plan(history.run_id, [track])
        ledger.attempts.reserve(history.run_id, track, "token-other", 500, Limits())
    with asking(forty, 2.5) as question:
        assert_helps(question)


def test_where_nothing_helps_that_is_said(forty):
    with asking(forty, 0) as question:
        answer = question.answer()
    assert (answer.can_be, answer.remedies) == ("no", ())
    assert answer.sentence.endswith("Neither keys nor limits nor budget would make it so.")


def test_nothing_to_pay_is_in_time_at_once(catalogue):
    catalogue.write(["2015-01-01"])
    with asking(catalogue, 0.1, since="2030") as question:
        assert question.answer().can_be == "yes"


def test_the_forecast_has_the_share_of_the_rate_and_of_the_day(forty):
    forty.overrides = ["budget.day=1200"]

    def seconds(share: float) -> float:
        with asking(forty, 1, share=share) as question:
            return forecast_backfill(
                question.settings, question.facts, None, question.backfill, (), to_pay=question.to_pay()
            ).forecast.seconds_low

    # 1200 credits a day are 20 tracks a day: the whole share begins the last in a day, half of it in three.
    assert seconds(1.0) < 86_400 < seconds(0.5)
    assert 2 * 86_400 < seconds(0.5) < 3 * 86_400 + SECONDS * TRACKS


@pytest.mark.parametrize("day", ["0001-01-01", "1970-01-01"])
@pytest.mark.parametrize("share", [1.0, LEAST_SHARE])
def test_any_day_that_is_past_is_a_no(forty, day, share):
    """The first of all days ended in a traceback: six hours before it there is none."""
    forty.overrides = ["budget.day=60"]
    with asking(forty, 0, share=share) as question:
        answer = replace(question, deadline=read_bound(day, "--deadline")).answer()
    assert answer.can_be == "no"


def test_an_end_beyond_all_dates_is_the_last_of_them():
    found = BackfillForecast((), forecast=Forecast(seconds_low=60.0, seconds_high=1e12))
    first, last = found.ends_at
    assert (first < last, last.year) == (True, 9999)
