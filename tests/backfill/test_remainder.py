"""What a frozen backfill has left, and what of catalogue and configuration is otherwise since."""

from __future__ import annotations

import json

import pytest
from support.dated_catalogue import SECONDS, Catalogue, History

from stemline.backfill.beginning import begin_backfill, find_backfill
from stemline.backfill.remainder import manifest_changes, read_remainder
from stemline.errors import UsageError
from stemline.plan.ledger_view import open_ledger_view
from stemline.records import State
from stemline.settings import load_facts


@pytest.fixture
def frozen(catalogue: Catalogue) -> Catalogue:
    """Four tracks of two years, frozen as `old`."""
    catalogue.write(["2015-01-01", "2015-02-01", "2016-01-01", "2016-02-01"])
    catalogue.freeze(since="2015", until="2020", slice="year")
    return catalogue


def changes(catalogue: Catalogue) -> list[str]:
    settings, facts = catalogue.settings(), load_facts("stemsplit")
    with open_ledger_view(settings) as view:
        backfill = view.ledger.backfills.get("old")
        return list(manifest_changes(settings, facts, view, backfill))


def left(catalogue: Catalogue):
    settings = catalogue.settings()
    with open_ledger_view(settings) as view:
        return read_remainder(settings, view.ledger, view.ledger.backfills.get("old"))


def test_a_catalogue_that_is_as_it_was_shows_no_change(frozen):
    assert changes(frozen) == []
    assert left(frozen).changes == []


def test_rows_that_came_went_or_changed_are_named_and_not_taken_in(frozen):
    frozen.write_rows(
        [
            {"released_on": "2015-01-01"},
            {"released_on": "2015-02-01", "duration_seconds": 90},
            {"released_on": "2021-01-01"},
            {"released_on": "2016-02-01", "track_id": "t99"},
        ]
    )
    new, gone, changed = changes(frozen)
    assert gone.startswith("2 tracks no longer in the manifest")
    assert gone.endswith("(t02, t03).")
    assert changed == "1 track with another location or length by now: made as frozen (t01)."
    assert new.endswith("(t99).")
    assert frozen.frozen() == ["t03", "t02", "t01", "t00"]
    assert left(frozen).forecast.workload.credits_high == 4 * SECONDS


def test_another_column_than_those_that_matter_is_no_change(frozen):
    frozen.write(["2015-01-01", "2015-02-01", "2016-01-01", "2016-02-01"], mood="blue")
    assert changes(frozen) == []


@pytest.mark.parametrize("text", ["", "track_id,uri,duration_seconds,released_on\n"])
def test_an_emptied_manifest_is_said_to_hold_nothing(frozen, text):
    frozen.manifest.write_text(text)
    (told,) = changes(frozen)
    assert told.startswith("The catalogue cannot be compared with what was frozen: ")


def test_a_manifest_that_has_lost_the_column_cannot_be_compared(frozen):
    frozen.manifest.write_text("track_id,uri\na,https://x.example/1.mp3\n")
    (told,) = changes(frozen)
    assert "has no such column" in told


def test_a_manifest_that_is_gone_is_said_to_be_and_does_not_keep_it_from_going_on(frozen):
    frozen.manifest.unlink()
    (told,) = changes(frozen)
    assert told.startswith("The catalogue cannot be compared with what was frozen: The manifest")
    assert left(frozen).forecast.tracks == 4
    assert begin_backfill(frozen.settings(), "old", {}) == "old"


def test_another_recipe_or_provider_is_refused(frozen):
    for override, what in (
        ("recipe.format=wav", "recipe"),
        ("provider.kind=aistemsplitter", "provider.kind"),
    ):
        frozen.overrides = [override]
        with pytest.raises(UsageError, match=f"was frozen with {what} ") as refused:
            left(frozen)
        assert "another --name" in refused.value.fix


def test_another_configuration_and_other_facts_are_told(frozen):
    with frozen.ledger() as ledger:
        facts = {**ledger.backfills.get("old").facts, "requests_per_minute": 7}
        with ledger.database.write() as connection:
            connection.exec_driver_sql(
                "UPDATE backfills SET facts = ?, code_version = '0.0'", (json.dumps(facts),)
            )
    frozen.overrides = ["failures.tolerate=3%"]
    told = left(frozen).changes
    assert told[0].startswith("It was frozen by stemline 0.0;")
    assert told[1] == "The configuration is another one than when it was frozen."
    assert told[2].startswith("The provider's requests_per_minute was 7 then and is ")


def test_what_others_have_made_meanwhile_is_not_left_and_what_is_paid_costs_nothing_more(frozen):
    with frozen.ledger() as ledger:
        history = History(ledger, frozen.settings())
        history.bring(0, State.PUBLISHED)
        history.bring(1, State.PROCESSING)
        history.bring(2, State.FAILED)
    found = left(frozen)
    assert [(each.slice, each.tracks, each.credits) for each in found.forecast.slices] == [
        ("2016", 2, 2 * SECONDS),
        ("2015", 1, 0),
    ]
    assert found.forecast.workload.credits_high == 2 * SECONDS
    assert [(each.slice, each.done, each.tracks) for each in found.progress] == [
        ("2016", 0, 2),
        ("2015", 1, 2),
    ]
    assert not found.is_nothing


def test_there_is_nothing_left_once_all_are_published(frozen):
    with frozen.ledger() as ledger:
        history = History(ledger, frozen.settings())
        for number in range(4):
            history.bring(number, State.PUBLISHED)
    found = left(frozen)
    assert found.is_nothing
    assert (found.forecast.tracks, found.forecast.workload.credits_high) == (0, 0)


def test_a_backfill_of_that_name_is_found_and_no_ledger_is_made_by_looking(catalogue):
    assert find_backfill(catalogue.settings(), "old") is None
    assert not (catalogue.folder / "nightly.db").exists()
