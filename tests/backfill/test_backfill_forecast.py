"""What a backfill's forecast says of tracks that nothing makes room for: which limit it is, and what it would take."""

from __future__ import annotations

import pytest

from stemline.cli.backfill_tables import show_forecast
from stemline.cli.console import Screen

TRACKS = 4


@pytest.mark.parametrize(
    ("ceiling", "overrides", "told"),
    [
        (
            60,
            ["budget.day=1000"],
            [
                "held     3 tracks: its ceiling has no room for them",
                "Raise its ceiling to 240 (--credits 240) for the 3 tracks that are held.",
            ],
        ),
        (
            60,
            ["budget.day=60"],
            [
                "held     3 tracks: its ceiling has no room for them",
                "Raise its ceiling to 240 (--credits 240) for the 3 tracks that are held.",
            ],
        ),
        (
            None,
            ["budget.day=59"],
            ["held     4 tracks: no day or month has room for them", "Raise budget.day to"],
        ),
    ],
    ids=["ceiling", "ceiling and day", "day"],
)
def test_tracks_without_room_are_told_with_the_limit_that_it_is(catalogue, capsys, ceiling, overrides, told):
    catalogue.write(["2015-01-01"] * TRACKS)
    catalogue.overrides = overrides
    with catalogue.planned(ceiling=ceiling) as plan:
        show_forecast(Screen(is_json=False), plan.forecast, None)
    shown = " ".join(capsys.readouterr().out.split())
    for sentence in told:
        assert " ".join(sentence.split()) in shown
