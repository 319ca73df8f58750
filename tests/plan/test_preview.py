"""The plan of a run: what is new, done, under way, rejected and held, told without writing anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stemline.cli.planning import plan_tree
from stemline.errors import ConfigError
from stemline.plan.preview import preview_run
from stemline.records import Code as Why
from stemline.records import State
from stemline.settings import load_facts


def plan_of(catalogue, *overrides):
    return preview_run(catalogue.settings(*overrides), catalogue.source, catalogue.facts)


@pytest.fixture
def tones(catalogue):
    """Six tones of 6.5 seconds."""
    for name in "abcdef":
        catalogue.tone(name, 6.5)
    return catalogue


def test_a_first_plan_counts_every_row_and_what_it_costs(tones):
    tones.tone("short", 1)
    tones.row("gone", "gone.wav")
    tones.row("web", "https://x.example/a.mp3", 60)
    plan = plan_of(tones)

    assert (plan.new, plan.done, plan.under_way, plan.failed, plan.rejected, plan.held) == (7, 0, 0, 0, 2, 0)
    assert (plan.workload.credits_low, plan.workload.credits_high) == (6 * 6 + 60, 6 * 7 + 60)
    assert plan.workload.uploads == 6
    assert {reject.track_id: reject.code for reject in plan.rejects} == {
        "short": Why.TOO_SHORT,
        "gone": Why.MISSING_FILE,
    }
    assert plan.forecast.seconds_low > 0


def test_a_plan_writes_nothing(tones):
    settings, source = tones.settings("budget.run=20"), tones.source
    before = sorted(tones.folder.rglob("*"))
    preview_run(settings, source, tones.facts)

    assert sorted(tones.folder.rglob("*")) == before


@pytest.mark.parametrize("scheme", ["sqlite:///", "sqlite+pysqlite:///"])
def test_a_ledger_that_does_not_exist_is_not_made(tones, scheme):
    plan_of(tones, f"ledger.url={scheme}{tones.folder}/other/l.db")

    assert not (tones.folder / "other").exists()


def test_every_track_is_counted_where_the_ledger_has_it(tones, history):
    for name, state in zip(
        "abcde",
        [State.PUBLISHED, State.PROCESSING, State.UNKNOWN, State.QUARANTINED, State.PLANNED],
        strict=True,
    ):
        history.bring(name, state)
    plan = plan_of(tones)

    assert (plan.done, plan.under_way, plan.failed, plan.new) == (
        1,
        3,
        0,
        2,
    )  # what is quarantined is paid, too
    assert plan.workload.credits_high == 14


def test_new_tracks_whose_files_are_published_under_other_ids_are_named(catalogue, history):
    for name in ("a", "b", "c"):
        catalogue.tone(name, 6.5)
    catalogue.row("d", "https://x.example/d.mp3", 60)
    for name, file in (("old-a", "a"), ("old-c", "c")):
        history.bring(name, State.PUBLISHED, str(catalogue.folder / f"{file}.wav"))
    history.bring("old-b", State.PLANNED, str(catalogue.folder / "b.wav"))
    history.bring("d", State.PUBLISHED, "https://x.example/d.mp3")
    plan = plan_of(catalogue)
    assert plan_tree(plan)["odd"]["published_under_other_ids"] == {"tracks": 2, "rows": [1, 3]}
    assert plan.paid_files.sentence() == (
        "2 new tracks name files that are published already under other ids, and will be paid for again: rows 1, 3"
    )


def test_of_files_published_under_other_ids_nothing_is_said_where_there_are_none(tones, history):
    history.bring("a", State.PUBLISHED)
    plan = plan_of(tones)
    assert plan.paid_files.sentence() == ""
    assert plan_tree(plan)["odd"]["published_under_other_ids"] == {"tracks": 0, "rows": []}


def test_a_track_that_failed_for_good_is_not_to_do(tones, history):
    history.bring("a", State.FAILED)
    history.bring("b", State.EXPIRED)
    plan = plan_of(tones)

    assert (plan.failed, plan.new) == (2, 4)


def test_another_recipe_is_another_matter(tones, history):
    history.bring("a", State.PUBLISHED)

    assert plan_of(tones, "recipe.stems=both").new == 6


def test_the_budget_of_a_run_is_filled_and_the_rest_held(tones):
    plan = plan_of(tones, "budget.run=20")

    assert (plan.new, plan.held, plan.workload.credits_high) == (2, 4, 14)


def test_a_budget_of_nothing_holds_everything(tones):
    plan = plan_of(tones, "budget.run=0")

    assert (plan.new, plan.held, plan.forecast.bottleneck) == (0, 6, "budget")


def test_the_budget_goes_to_the_highest_priority_first(catalogue):
    catalogue.row("cheap", "https://x.example/1.mp3", 10)
    catalogue.row("urgent", "https://x.example/2.mp3", 100, priority=5)
    catalogue.row("next", "https://x.example/3.mp3", 50, priority=1)
    plan = plan_of(catalogue, "budget.run=150")

    assert (plan.new, plan.held, plan.workload.credits_high) == (2, 1, 150)


def test_a_shorter_track_behind_one_that_does_not_fit_is_held_too(catalogue):
    for number, seconds in enumerate((10, 100, 20)):
        catalogue.row(f"t{number}", f"https://x.example/{number}.mp3", seconds)
    plan = plan_of(catalogue, "budget.run=50")

    assert (plan.new, plan.held, plan.workload.credits_high) == (1, 2, 10)


def test_an_order_decides_who_fits_the_budget_in_place_of_priority(catalogue):
    catalogue.row("long", "https://x.example/1.mp3", 100, priority=9)
    catalogue.row("short", "https://x.example/2.mp3", 10)
    catalogue.row("middle", "https://x.example/3.mp3", 50)
    settings = catalogue.settings("budget.run=100")
    by_length = replace(catalogue.source, order_by="duration_seconds")

    assert preview_run(settings, catalogue.source, catalogue.facts).new == 1
    plan = preview_run(settings, by_length, catalogue.facts)
    assert (plan.new, plan.held, plan.workload.credits_high) == (2, 1, 60)


@pytest.mark.parametrize("window", ["day", "month"])
def test_what_was_spent_in_a_window_is_not_there_to_spend(tones, history, window):
    history.bring("a", State.PUBLISHED)
    history.bring("b", State.PROCESSING)
    plan = plan_of(tones, f"budget.{window}=28")

    assert (plan.new, plan.held) == (2, 2)


def test_a_new_run_has_its_whole_budget(tones, history):
    history.bring("a", State.PUBLISHED)

    assert plan_of(tones, "budget.run=14").new == 2


def test_only_the_first_rejects_are_kept_and_all_are_counted(catalogue):
    for number in range(30):
        catalogue.row(f"t{number}", f"gone{number}.wav")
    plan = plan_of(catalogue)

    assert (plan.rejected, len(plan.rejects)) == (30, 20)


def test_an_unknown_recipe_is_refused_before_anything_is_read(tones):
    facts = tones.facts.model_copy(update={"stems": ("both",)})

    with pytest.raises(ConfigError, match=r"does not make recipe\.stems 'four'"):
        preview_run(tones.settings(), tones.source, facts)


def test_the_settings_set_the_capacity_of_the_forecast(catalogue):
    for number in range(100):
        catalogue.row(f"t{number}", f"https://x.example/{number}.mp3", 60)

    assert plan_of(catalogue, "provider.requests_per_minute=6").forecast.bottleneck == "rate limit"
    assert plan_of(catalogue, "provider.max_in_flight=1").forecast.bottleneck == "jobs in flight"


class TestPilot:
    def test_a_plan_says_how_many_go_first_and_counts_their_time(self, tones):
        plan, without = plan_of(tones), plan_of(tones, "provider.pilot=0")

        assert (plan.pilot, without.pilot) == (3, 0)
        assert plan.forecast.seconds_low > without.forecast.seconds_low
        assert plan.forecast.seconds_high > without.forecast.seconds_high

    def test_one_that_others_wait_for_in_vain_is_none(self, tones):
        plan = plan_of(tones, "provider.pilot=6")

        assert plan.pilot == 6
        assert plan.forecast == plan_of(tones, "provider.pilot=0").forecast

    def test_published_tracks_are_a_pilot_that_has_passed(self, tones, history):
        for name in "abc":
            history.bring(name, State.PUBLISHED)

        assert plan_of(tones).pilot == 0

    def test_one_that_failed_is_said_to_have_failed(self, tones, history):
        for name in "abc":
            history.bring(name, State.QUARANTINED)
        plan = plan_of(tones)

        assert plan.is_pilot_failed
        assert plan.under_way == 3

    def test_the_local_service_needs_none(self, tones):
        settings = tones.settings("provider.kind=local")

        assert preview_run(settings, tones.source, load_facts("local")).pilot == 0
