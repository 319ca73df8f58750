"""Chosen rows go in the order in which the ledger numbers them once they are frozen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemline.backfill.chosen_rows import ChosenRows
from stemline.ledger import Backfill, BackfillOrder, FrozenRow, Ledger, open_ledger
from stemline.records import Recipe, Track

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


class Drawn(NamedTuple):
    """What the order of a row depends on."""

    day: int | None
    priority: int
    seconds: float | None


DRAWN = st.lists(
    st.builds(
        Drawn,
        st.none() | st.integers(0, 70),
        st.integers(-2, 2),
        st.none() | st.sampled_from([1.0, 2.5, 60.0]),
    ),
    max_size=12,
)


def row_of(place: int, drawn: Drawn) -> FrozenRow:
    dated = None if drawn.day is None else BEGIN + timedelta(days=drawn.day)
    track = Track(
        f"t{place:02d}",
        f"https://x.example/{place}",
        place + 1,
        drawn.priority,
        drawn.seconds,
        None,
        {"no": place},
    )
    return FrozenRow(
        "no date" if dated is None else f"{dated:%Y-%m}",
        track,
        f"digest-{place}",
        (place * 7) % 5,
        dated,
        place or None,
    )


def freeze(ledger: Ledger, rows: list[FrozenRow], order: BackfillOrder, name: str = "old") -> None:
    backfill = Backfill(
        name, "stemsplit", Recipe("four", "best", "flac"), "c", "m", "1.0", {}, {"order": str(order)}, BEGIN
    )
    ledger.backfills.freeze(backfill, rows)


@pytest.fixture
def new_ledger(tmp_path_factory):
    """Open a fresh ledger for each example."""

    def opened() -> Ledger:
        return open_ledger(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db")

    return opened


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(drawn=DRAWN)
@pytest.mark.long
def test_what_is_planned_in_an_order_is_sent_in_it(tmp_path, new_ledger, drawn):
    rows = [row_of(place, each) for place, each in enumerate(drawn)]
    chosen = ChosenRows(tmp_path)
    for row in rows:
        chosen.add(row, is_upload=False)
    with new_ledger() as ledger:
        for order in BackfillOrder:
            freeze(ledger, rows, order, name := f"by-{order}")
            sent = [row for _, row in ledger.backfills.to_do(name, -1, 100)]
            assert sorted(row.track.track_id for row in sent) == [row.track.track_id for row in rows]
            slices = [(each.slice, each.tracks, each.credits) for each in ledger.backfills.progress(name)]
            assert [(each.slice, each.tracks, each.credits) for each in chosen.slices(order)] == slices
            lengths = [row.track.duration_seconds for row in sent if row.credits]
            assert [each.seconds for each in chosen.to_pay(order)] == lengths
    assert list(chosen.rows()) == rows


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ("newest", ["t02", "t00", "t03", "t01"]),
        ("oldest", ["t03", "t00", "t02", "t01"]),
        ("priority", ["t01", "t02", "t00", "t03"]),
        ("shortest", ["t03", "t02", "t00", "t01"]),
    ],
)
def test_an_order_says_who_goes_first_and_those_without_a_date_or_length_go_last(new_ledger, order, wanted):
    drawn = [Drawn(10, 0, 5.0), Drawn(None, 3, None), Drawn(40, 1, 5.0), Drawn(5, 0, 1.0)]
    with new_ledger() as ledger:
        freeze(ledger, [row_of(place, each) for place, each in enumerate(drawn)], BackfillOrder(order))
        assert [row.track.track_id for _, row in ledger.backfills.to_do("old", -1, 10)] == wanted


def test_rows_that_are_equal_go_as_the_manifest_has_them(new_ledger):
    rows = [row_of(place, Drawn(1, 0, 1.0)) for place in (3, 1, 2)]
    with new_ledger() as ledger:
        freeze(ledger, rows, BackfillOrder.NEWEST)
        assert [row.track.track_id for _, row in ledger.backfills.to_do("old", -1, 10)] == [
            "t03",
            "t01",
            "t02",
        ]


def test_no_rows_are_no_slices(tmp_path):
    chosen = ChosenRows(tmp_path)
    assert (len(chosen), list(chosen.rows())) == (0, [])
    for order in BackfillOrder:
        assert (chosen.slices(order), list(chosen.to_pay(order))) == ([], [])
