"""A backfill of weeks beside nightly runs, on the virtual clock: with pauses, kills, limits, another order, a rival.

`support.backfill_year` raises for a limit that is passed, a track that is ordered twice, a minute with too many
requests, and for what is left under way at the end. The whole year is `benchmarks/bench_backfill.py`.
"""

from __future__ import annotations

from typing import Literal

import pytest
from support.backfill_year import YearFigures, YearRun, draw_backfill_year
from support.random_examples import seed_of

import stemline.run.planning

TRACKS, DAYS, NIGHTLY, KILLS = 1_500, 21, 15, 8
LONGEST_WAIT = 20.0
"""A backfill has let the key go by then: it looks each second, and collects for 15 s at most."""
LONGEST_NIGHT = 3_600.0
"""Fifteen tracks take some minutes: nobody has used up what they need of the day."""
DAY_SHARE = 0.02


@pytest.fixture(params=["stemsplit", "aistemsplitter"])
def figures(request, tmp_path, monkeypatch) -> YearFigures:
    monkeypatch.setattr(stemline.run.planning, "LEG_TRACKS", 200)  # several runs, though nobody stops them
    monkeypatch.setattr(stemline.run.planning, "FROZEN_ROWS", 50)
    dialect: Literal["stemsplit", "aistemsplitter"] = request.param
    year = draw_backfill_year(
        seed_of(request.config), dialect, tracks=TRACKS, days=DAYS, nightly=NIGHTLY, kills=KILLS
    )
    return YearRun(year, tmp_path).carry_out()


@pytest.mark.long
@pytest.mark.random
@pytest.mark.by_turns
def test_limits_order_and_the_nightly_run_are_kept_for_weeks(figures):
    assert figures.out_of_order == []
    assert figures.busiest_minute <= 60
    assert figures.refused == 0
    assert figures.rate_share <= 1
    assert max(figures.waits) <= LONGEST_WAIT
    assert figures.closest["ceiling"] > 0.9  # what is never near a limit would prove nothing
    assert figures.closest["share of old"] > 0.9
    assert max(figures.nights) <= LONGEST_NIGHT
    assert figures.killed > 0
    _, early, late, end = figures.forecasts[-1]
    assert early - DAY_SHARE <= end <= late + DAY_SHARE * DAYS
