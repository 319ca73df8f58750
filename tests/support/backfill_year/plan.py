"""What happens in a year of a backfill, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from support.simulation.vendor import TRACK_SECONDS

from stemline.ledger import FrozenRow
from stemline.records import Track

Dialect = Literal["stemsplit", "aistemsplitter"]
SLACK = 1.35
"""The backfill is to be done in so much less than all days: pauses and a low ceiling take their part."""
OLD, SECOND = "old", "second"
AT_WORK = (16 * 3_600 + 30) / 86_400
"""When the backfill is at work, as a share of a day: a new one of the budget began 30 s ago, at 16 h."""


@dataclass(frozen=True)
class BackfillYear:
    """All that is particular about one."""

    seed: int
    dialect: Dialect
    tracks: int
    """Of the backfill."""
    days: int
    nightly: int
    """New tracks each night."""
    shared: int
    """Tracks of each night that the backfill has, too."""
    second_tracks: int
    """Of the second backfill, which is cancelled; a third of them are the first one's."""
    share: float
    second_share: float
    """Shares of several backfills add up: what is left of the day is for the nights."""
    day: int
    """`budget.day` in credits."""
    ceiling: int
    """Of the backfill at first: it has to be raised once."""
    pauses: tuple[tuple[float, float], ...]
    """From which day to which it is paused."""
    reordered: float
    raised_after: float
    """For so many days nobody notices that the ceiling was reached."""
    second_from: float
    second_until: float
    kills: tuple[tuple[float, str], ...]
    """On which day who is killed: nightly | backfill."""

    @property
    def all_credits(self) -> int:
        """What the whole backfill costs."""
        return self.tracks * TRACK_SECONDS


def draw_backfill_year(  # noqa: PLR0913 - its size
    seed: int,
    dialect: Dialect,
    *,
    tracks: int,
    days: int,
    nightly: int,
    kills: int,
) -> BackfillYear:
    """Give the year of a seed, the same each time; a second backfill and all else comes while the first goes on."""
    chance = random.Random(f"backfill year {seed}")  # noqa: S311 - repeatable, no secret
    share, second_share = 0.5, 0.25
    a_day = max(1, round(SLACK * tracks / days))
    day = round(max(a_day / share, (nightly + 10) / (1 - share - second_share))) * TRACK_SECONDS
    first = days * chance.uniform(0.1, 0.25)
    second = days * chance.uniform(0.55, 0.6)
    return BackfillYear(
        seed,
        dialect,
        tracks,
        days,
        nightly,
        shared=max(1, nightly // 10),
        second_tracks=max(30, tracks // 20),
        share=share,
        second_share=second_share,
        day=day,
        ceiling=round(tracks * TRACK_SECONDS * chance.uniform(0.3, 0.4)),
        pauses=(
            (first, first + days * chance.uniform(0.02, 0.08)),
            (second, second + days * chance.uniform(0.02, 0.08)),
        ),
        reordered=int(days * chance.uniform(0.45, 0.5)) + AT_WORK,
        raised_after=days * chance.uniform(0.005, 0.05),
        second_from=first * 0.8,
        second_until=first + days * chance.uniform(0.1, 0.2),
        kills=tuple(
            sorted(
                (chance.uniform(1, days * 0.8), chance.choice(["nightly", "backfill", "backfill"]))
                for _ in range(kills)
            )
        ),
    )


def frozen_rows(year: BackfillYear) -> Iterator[FrozenRow]:
    """Give the backfill's rows: in the manifest's order they are neither by date nor by priority."""
    chance = random.Random(f"rows {year.seed}")  # noqa: S311 - repeatable, no secret
    for number in range(year.tracks):
        yield _row(f"old{number:07}", number, chance)


def second_rows(year: BackfillYear) -> Iterator[FrozenRow]:
    """Give the second backfill's: a third of them are the first one's."""
    chance = random.Random(f"second {year.seed}")  # noqa: S311 - repeatable, no secret
    both = chance.sample(range(year.tracks), min(year.tracks, year.second_tracks // 3))
    names = [f"old{number:07}" for number in both]
    names += [f"more{number:06}" for number in range(year.second_tracks - len(both))]
    for number, name in enumerate(names):
        yield _row(name, number, chance)


def _row(track_id: str, number: int, chance: random.Random) -> FrozenRow:
    dated = datetime(2010, 1, 1, tzinfo=UTC) + timedelta(days=chance.randrange(3_650))
    track = Track(
        track_id,
        location_of(track_id),
        number,
        priority=chance.choice([0, 0, 0, 1]),
        duration_seconds=float(TRACK_SECONDS),
    )
    return FrozenRow(f"{dated:%Y-%m}", track, f"digest-{track_id}", TRACK_SECONDS, dated)


def location_of(track_id: str) -> str:
    """Give where a track's source is."""
    return f"https://music.test/{track_id}.flac"


def write_manifest(year: BackfillYear, night: int, folder: Path) -> None:
    """Write down what a night's catalogue holds."""
    rows = [f"{each},{location_of(each)},{TRACK_SECONDS}" for each in _night_rows(year, night)]
    text = "\n".join(["track_id,uri,duration_seconds", *rows]) + "\n"
    (folder / "catalogue.csv").write_text(text, encoding="utf-8")


def _night_rows(year: BackfillYear, night: int) -> list[str]:
    """Give the tracks of one night's manifest: new ones, and some that the backfill has."""
    chance = random.Random(f"night {year.seed} {night}")  # noqa: S311 - repeatable, no secret
    shared = chance.sample(range(year.tracks), min(year.tracks, year.shared))
    new = year.nightly - len(shared)
    return [f"new{night:04}-{number:04}" for number in range(new)] + [f"old{number:07}" for number in shared]
