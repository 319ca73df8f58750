"""The page of a run that is part of a backfill shows how far that is, slice by slice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from support.html_page import Page

from stemline.ledger import Backfill, FrozenRow
from stemline.records import Track
from stemline.report import write_report
from stemline.report.backfill_section import SHOWN_SLICES


@pytest.fixture
def begin(night):
    """Begin a run of a backfill of one track in each of some years."""

    def begun(*years: int, ceiling: int | None = None) -> list[Track]:
        run = night.ledger.runs.get(night.run_id)
        made = [Track(f"y{year}", f"/music/{year}.mp3", place, 0, 180.0) for place, year in enumerate(years)]
        rows = [
            FrozenRow(f"{year:04d}", track, "digest", 180, datetime(year, 1, 1, tzinfo=UTC))
            for track, year in zip(made, years, strict=True)
        ]
        request = {"order": "newest"}
        backfill = Backfill(
            "old", run.provider, run.recipe, "c", "m", "1", {}, request, night.now, ceiling=ceiling
        )
        night.ledger.backfills.freeze(backfill, rows)
        night.run_id = night.ledger.runs.start(
            "nightly", run.provider, run.recipe, "digest", "key-1", backfill="old"
        )
        night.ledger.tracks.plan(night.run_id, made)
        return made

    return begun


def read(night) -> Page:
    key = write_report(night.ledger, night.store, night.run_id)
    return Page(night.store.read_bytes(key).decode())


def headings(page: Page) -> list[str]:
    return [each.text for each in page.named("h2")]


def test_each_slice_has_its_published_tracks_and_where_the_others_stand(night, begin):
    first, second, _ = begin(2015, 2016, 2017, ceiling=1_000)
    night.publish(first)
    night.fail(second)
    night.finish(3)
    page = read(night)
    assert "Backfill old" in headings(page)
    told = "1 of 3 tracks published, 180 credits of at most 1,000 charged in all its runs. "
    assert told in [each.text for each in page.of_class("note")]
    cells = [tuple(row.values()) for row in page.table("slices")]
    assert cells == [("2017", "0 of 1", "1 planned"), ("2016", "0 of 1", "1 failed"), ("2015", "1 of 1", "")]


def test_more_slices_than_a_page_holds_are_counted(night, begin):
    begin(*range(1000, 1000 + SHOWN_SLICES + 5))
    night.finish()
    told = f"The first {SHOWN_SLICES} of {SHOWN_SLICES + 5} slices"
    assert any(told in each.text for each in read(night).of_class("note"))


def test_a_run_of_its_own_says_nothing_of_backfills(night):
    night.publish(night.plan())
    night.finish()
    assert not any("Backfill" in each for each in headings(read(night)))
