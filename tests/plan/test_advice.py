"""The one change that helps most, by name and with how much."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time

import pytest

from stemline.plan import ledger_view
from stemline.plan.capacity import count_workers
from stemline.plan.preview import preview_run
from stemline.settings import load_facts
from stemline.wording import about
from stemline_local import DEFAULT_WORKERS


def advice_of(catalogue, *overrides):
    return preview_run(catalogue.settings(*overrides), catalogue.source, catalogue.facts).forecast


@pytest.fixture
def urls(catalogue):
    """Two thousand tracks of three minutes that are given by URL."""
    for number in range(2000):
        catalogue.row(f"t{number}", f"https://x.example/{number}.mp3", 180)
    return catalogue


def test_at_the_rate_limit_it_is_a_second_key(urls):
    found = advice_of(urls)

    assert found.bottleneck == "rate limit"
    assert (
        found.advice
        == "A second API key (provider.keys) would bring it from about 1 h 17 min to about 41 min."
    )


def test_with_keys_there_already_it_is_one_more(urls):
    found = advice_of(urls, "provider.keys=[one, two]")

    assert found.advice.startswith("One more API key (provider.keys) would bring it from about ")


def test_where_few_jobs_are_in_flight_it_is_more_of_them_and_how_many(urls):
    found = advice_of(urls, "provider.max_in_flight=10")

    assert found.bottleneck == "jobs in flight"
    said = re.fullmatch(r"provider\.max_in_flight: (\d+) would bring it from (.+) to (.+)\.", found.advice)
    assert said
    raised = advice_of(urls, f"provider.max_in_flight={said[1]}")
    assert raised.bottleneck == "rate limit"
    assert (about(found.seconds_low), about(raised.seconds_low)) == (said[2], said[3])


def test_a_rate_below_the_vendors_is_put_right(urls):
    found = advice_of(urls, "provider.requests_per_minute=6")

    assert found.advice.startswith("provider.requests_per_minute: 60 would bring it from about ")


@pytest.mark.parametrize(("time_of_day", "low"), [(time(9), "2 d 15 h"), (time(23, 40), "2 d")])
def test_a_budget_by_the_day_is_raised_to_what_all_of_it_takes(urls, monkeypatch, time_of_day, low):
    now = datetime.combine(date(2026, 3, 10), time_of_day, UTC)
    monkeypatch.setattr(ledger_view, "utc_now", lambda: now)
    found = advice_of(urls, "budget.day=100000", "budget.on_limit=wait")

    assert found.bottleneck == "budget"
    assert found.seconds_low > 2 * 86_400
    assert found.advice == f"budget.day: 360000 would bring it from about {low} to about 1 h 17 min."
    assert advice_of(urls, "budget.day=360000", "budget.on_limit=wait").bottleneck == "rate limit"


def test_for_held_tracks_it_names_the_limits_and_what_to_raise_them_to(catalogue):
    for number in range(6):
        catalogue.row(f"t{number}", f"https://x.example/{number}.mp3", 6.5)
    found = advice_of(catalogue, "budget.run=20", "budget.day=40")

    assert found.advice == "Raise budget.run to 42 and budget.day to 42 for the 4 tracks that are held."
    assert advice_of(catalogue, "budget.run=42", "budget.day=42").advice == ""


def test_one_track_leaves_nothing_to_change(catalogue):
    catalogue.row("a", "https://x.example/a.mp3", 180)

    assert advice_of(catalogue).advice == ""


def test_the_service_of_the_run_itself_gets_no_second_key(catalogue):
    for number in range(300):
        catalogue.row(f"t{number}", f"https://x.example/{number}.mp3", 180)
    settings = catalogue.settings("provider.kind=local", "provider.workers=2")
    found = preview_run(settings, catalogue.source, load_facts("local")).forecast

    assert found.bottleneck == "provider speed"
    assert (
        found.advice
        == "One more worker (provider.workers: 3) would bring it from about 48 min to about 32 min."
    )


def test_the_service_of_the_run_itself_is_taken_to_have_the_workers_it_will_have(catalogue):
    settings = catalogue.settings("provider.kind=local")
    facts = load_facts("local")
    assert count_workers(settings, facts) == DEFAULT_WORKERS
    assert count_workers(catalogue.settings("provider.kind=local", "provider.workers=7"), facts) == 7
    elsewhere = catalogue.settings("provider.kind=local", "provider.base_url=http://music.test/api")
    assert count_workers(elsewhere, facts) == facts.jobs_at_once
    assert count_workers(settings, load_facts("stemsplit")) is None
