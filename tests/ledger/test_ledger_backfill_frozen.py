"""Backfills in the ledger: frozen whole or not at all, every move a person may make, whose credits they are."""

from __future__ import annotations

import pytest

from stemline.errors import LedgerConflict
from stemline.ledger import Backfill, BackfillOrder, BackfillState, FrozenRow
from stemline.records import State
from stemline.tombstone import Tombstone, digest

SALT = "ab" * 16

MOVES = {
    ("open", "paused"),
    ("open", "cancelled"),
    ("open", "finished"),
    ("paused", "open"),
    ("paused", "cancelled"),
    ("finished", "open"),
}
"""As docs/backfill.md draws them."""


def backfill_of(case, name: str = "old", **changes) -> Backfill:
    facts = {"requests_per_minute": 60}
    cells = {
        "provider": case.provider,
        "recipe": case.recipe,
        "request": {"order": "newest"},
        "made_at": case.clock(),
    }
    fixed = {"config_digest": "config", "manifest_digest": "rows", "code_version": "1.0", "facts": facts}
    return Backfill(name, **fixed, **{**cells, **changes})


def rows(case, *numbers: int, **cells) -> list[FrozenRow]:
    """Rows of which each ten are a slice."""
    return [FrozenRow(f"s{n // 10}", case.track(n), f"d{n}", 10, **cells) for n in numbers]


@pytest.fixture
def old(case):
    """A backfill of tracks 1, 2, 11 and 12."""
    case.ledger.backfills.freeze(backfill_of(case), rows(case, 1, 2, 11, 12))
    return case.ledger.backfills


def test_a_frozen_backfill_reads_back_as_it_was(case, old):
    assert old.get("old") == backfill_of(case)
    assert [row for _, row in old.to_do("old", -1, 10)] == rows(case, 1, 2, 11, 12)
    assert old.rows_of("old", "t1", 10) == rows(case, 11, 12, 2)
    assert (old.get("other"), old.every()) == (None, [backfill_of(case)])
    assert case.ledger.queries.counts(case.run_id) == {}


def test_a_backfill_is_frozen_whole_or_not_at_all(case, ledger):
    def breaking():
        yield from rows(case, *range(1, 3_000))
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - ours
        ledger.backfills.freeze(backfill_of(case), breaking())
    assert ledger.backfills.every() == []
    ledger.backfills.freeze(backfill_of(case), rows(case, *range(1, 3_000)))
    places = [place for place, _ in ledger.backfills.to_do("old", -1, 10_000)]
    assert places == sorted(set(places))
    assert len(places) == 2_999


@pytest.mark.parametrize("state", BackfillState)
@pytest.mark.parametrize("to", BackfillState)
def test_it_moves_as_the_page_draws_it(old, state, to):
    for step in {"open": (), "paused": ("paused",)}.get(state, (state,)):
        old.move("old", BackfillState(step))
    if state is to or (state, to) in MOVES:
        moved = old.move("old", to)
        assert old.get("old") == moved
        assert moved.state is to
        assert (moved.finished_at is None) is (to in {"open", "paused"})
    else:
        with pytest.raises(LedgerConflict, match=f"is {state}: it cannot become {to}"):
            old.move("old", to)
        assert old.get("old").state is state


def test_every_move_is_an_event(old, ledger):
    old.move("old", BackfillState.PAUSED)
    old.change("old", share=0.25)
    old.move("old", BackfillState.CANCELLED)
    with ledger.database.read() as connection:
        verbs = connection.exec_driver_sql(
            "SELECT verb, from_state, to_state FROM events "
            "WHERE verb IN ('freeze_backfill', 'change_backfill') ORDER BY event_id"
        ).all()
    assert [tuple(each) for each in verbs] == [
        ("freeze_backfill", None, None),
        ("change_backfill", "open", "paused"),
        ("change_backfill", "paused", "paused"),
        ("change_backfill", "paused", "cancelled"),
    ]


def test_ceiling_share_and_order_change_and_nothing_of_one_that_is_cancelled(old):
    changed = old.change("old", ceiling=500, share=0.5, order=BackfillOrder.OLDEST)
    assert (changed.ceiling, changed.share, changed.order) == (500, 0.5, "oldest")
    assert old.change("old") == changed == old.get("old")
    old.move("old", BackfillState.CANCELLED)
    with pytest.raises(LedgerConflict, match="is cancelled"):
        old.change("old", ceiling=1_000)
    with pytest.raises(LedgerConflict, match="knows no backfill other"):
        old.change("other", ceiling=1_000)


def test_progress_counts_no_track_of_another_recipe_or_provider(case, ledger):
    ledger.backfills.freeze(backfill_of(case, provider="aistemsplitter"), rows(case, 1))
    case.published(1)
    (slice_,) = ledger.backfills.progress("old")
    assert slice_.states == {"waiting": 1}


def test_what_is_to_be_made_again_is_done_with_a_later_attempt_alone(case, ledger):
    case.published(1)
    ledger.backfills.freeze(backfill_of(case), rows(case, 1, last_attempt=1))
    ledger.backfills.freeze(backfill_of(case, "before"), rows(case, 1, last_attempt=0))
    assert ledger.backfills.progress("old")[0].states == {"waiting": 1}
    assert len(ledger.backfills.to_do("old", -1, 10)) == 1
    assert ledger.backfills.progress("before")[0].states == {"published": 1}
    assert ledger.backfills.to_do("before", -1, 10) == []


def test_the_credits_of_a_backfill_are_those_of_its_runs(case, old, ledger):
    assert old.spent("old") == {"reserved": 0, "charged": 0}
    case.published(11)
    run_id = ledger.runs.start("nightly", case.provider, case.recipe, "digest", "key-1", backfill="old")
    case.run_id = run_id
    case.published(1)
    case.processing(2)
    assert old.spent("old") == {"reserved": 10, "charged": 10}
    assert old.runs_of("old") == [run_id]
    assert old.of_run(run_id).name == "old"
    assert old.of_run(case.start()) is None


def test_where_tracks_stand_is_told_for_one_recipe_and_provider(case, ledger):
    case.published(1)
    case.processing(2)
    standings = ledger.backfills.standings(case.provider, case.recipe, ["t1", "t2", "t3"], 3)
    assert {name: (each.state, each.last_attempt) for name, each in standings.items()} == {
        "t1": (State.PUBLISHED, 1),
        "t2": (State.PROCESSING, 1),
    }
    others = ledger.backfills.standings("aistemsplitter", case.recipe, ["t1", "t2", "t3"], 3)
    assert {name: each.is_published_otherwise for name, each in others.items()} == {"t1": True}
    assert others["t1"].state is State.PLANNED


def forget(case, *track_ids: str) -> dict[str, State]:
    names = tuple(digest(SALT, "track", track_id) for track_id in track_ids)
    stone = Tombstone("stone-1", case.clock(), "track", "", "me", SALT, names)
    case.ledger.forgetting.keep(stone)
    return case.ledger.forgetting.forget(stone, track_ids)


def test_tracks_that_only_a_backfill_knows_are_found_and_forgotten(case, old):
    case.plan(1, 3)
    known = {track.track_id: track for track in case.ledger.forgetting.every_track()}
    assert known.keys() == {"t1", "t2", "t3", "t11", "t12"}
    assert (known["t11"].state, known["t11"].location) == (State.PLANNED, "/music/11.mp3")
    assert case.ledger.forgetting.count(["t1", "t11"]) > 0
    assert forget(case, "t1", "t11") == {}
    assert case.ledger.forgetting.count(["t1", "t11"]) == 0
    assert [row.track.track_id for _, row in old.to_do("old", -1, 10)] == ["t2", "t12"]
    assert [(each.slice, each.tracks) for each in old.progress("old")] == [("s0", 1), ("s1", 1)]


def test_what_somebody_is_at_stays_frozen(case, old):
    case.processing(2)
    assert forget(case, "t2", "t12") == {"t2": State.PROCESSING}
    assert [row.track.track_id for _, row in old.to_do("old", -1, 10)] == ["t1", "t2", "t11"]
