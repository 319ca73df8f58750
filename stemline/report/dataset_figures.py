"""How much is in a dataset, by what it is made of, as figures of bounded size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from stemline.report.digest import FASTEST, SLOWEST, TEMPO_STEP, MusicTally
from stemline.report.figure_tables import FigureTables
from stemline.report.shares import SHOWN_VALUES, Breakdown, ValueShare

GROWTH_STEPS = (1, 2, 7, 14, 28, 91, 182, 365)
"""Lengths in days that one column of the growth chart may stand for."""
GROWTH_COLUMNS = 60
_BREAKDOWNS = {
    "split": "split",
    "license": "coalesce(license_spdx, license)",
    "ai_training": "nullif(ai_training, 'unknown')",
    "provider_recipe": "concat_ws(' · ', provider, recipe)",
    "artist": "artist",
    "album": "concat_ws(' · ', nullif(album, ''), CASE WHEN album <> '' THEN artist END)",
}
_SECONDS = "round(coalesce(sum(duration_seconds) FILTER (isfinite(duration_seconds)), 0), 3)"
_CREDITS = "coalesce(sum(credits_charged), 0)::BIGINT"
_STORED = "NOT list_contains(string_split(coalesce(verification, ''), ','), 'linked')"


@dataclass(frozen=True, slots=True)
class Growth:
    """What came when, in columns of some days each."""

    first: date
    last: date
    step_days: int
    tracks: tuple[int, ...]
    seconds: tuple[float, ...]
    credits: tuple[int, ...]

    def day(self, column: int) -> date:
        """Give the first day of a column."""
        return self.first + timedelta(days=column * self.step_days)


@dataclass(frozen=True, slots=True)
class DatasetTotals:
    """How much there is."""

    tracks: int
    """By their ids."""
    separations: int
    """Rows of the tracks table: a track counts as often as it was separated."""
    artists: int
    seconds: float
    """Of all separations."""
    stems: int
    bytes: int
    """Of the audio in the dataset."""
    unsplit: int
    """Separations in no split."""
    credits: int
    """Charged for all separations, as far as the tables tell."""


@dataclass(frozen=True, slots=True)
class SoundShare:
    """How many stems are of one format, sample rate and number of channels."""

    format: str | None
    sample_rate: int | None
    channels: int | None
    stems: int


def read_totals(tables: FigureTables) -> DatasetTotals:
    """Give how much there is."""
    tracks, rows, artists, seconds, unsplit, charged = tables.rows(
        "SELECT count(DISTINCT track_id), count(*), count(DISTINCT artist), "
        f"{_SECONDS}, "
        f"count(*) FILTER (split IS NULL), {_CREDITS} FROM tracks"
    )[0]
    stems, size = tables.rows(
        f"SELECT count(*), coalesce(sum(size_bytes) FILTER ({_STORED}), 0)::BIGINT FROM stems"
    )[0]
    return DatasetTotals(tracks, rows, artists, seconds, stems, size, unsplit, charged)


def read_breakdowns(tables: FigureTables) -> dict[str, Breakdown]:
    """Give the dataset by split, licence, whether training is allowed, provider and recipe."""
    return {name: _breakdown(tables, expression) for name, expression in _BREAKDOWNS.items()}


def _breakdown(tables: FigureTables, expression: str) -> Breakdown:
    found = tables.rows(
        f"""
        WITH shares AS (
            SELECT nullif({expression}, '') AS value, count(*) AS tracks,
                {_SECONDS} AS seconds, {_CREDITS} AS credits
            FROM tracks GROUP BY 1
        ), placed AS (
            SELECT *, row_number() OVER (ORDER BY seconds DESC, tracks DESC, value NULLS LAST) AS place FROM shares
        )
        SELECT CASE WHEN place <= {SHOWN_VALUES} THEN place END AS shown, any_value(value), sum(tracks)::BIGINT,
            round(sum(seconds), 3), sum(credits)::BIGINT, count(*)
        FROM placed GROUP BY shown ORDER BY shown NULLS LAST
        """
    )
    shares = tuple(ValueShare(*share) for shown, *share, _ in found if shown is not None)
    rest = next((ValueShare(None, *row[2:5]) for row in found if row[0] is None), None)
    return Breakdown(shares, sum(row[5] for row in found), rest)


def read_growth(tables: FigureTables) -> Growth | None:
    """Give what came when; None for an empty dataset."""
    days = tables.rows(
        f"SELECT collected_on, count(*), {_SECONDS}, {_CREDITS} "
        "FROM tracks WHERE isfinite(collected_on) GROUP BY 1 ORDER BY 1"
    )
    if not days:
        return None
    first, last = days[0][0], days[-1][0]
    span = (last - first).days + 1
    step = next((step for step in GROWTH_STEPS if span <= step * GROWTH_COLUMNS), -(-span // GROWTH_COLUMNS))
    columns = -(-span // step)
    tracks, seconds, charged = [0] * columns, [0.0] * columns, [0] * columns
    for day, count, length, credits_ in days:
        place = (day - first).days // step
        tracks[place] += count
        seconds[place] += length
        charged[place] += credits_
    return Growth(first, last, step, tuple(tracks), tuple(seconds), tuple(charged))


def read_sounds(tables: FigureTables) -> tuple[SoundShare, ...]:
    """Give the most frequent formats, sample rates and numbers of channels of stems in the dataset."""
    found = tables.rows(
        f"SELECT format, sample_rate, channels, count(*) FROM stems WHERE {_STORED} "
        f"GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3 LIMIT {SHOWN_VALUES}"
    )
    return tuple(SoundShare(*row) for row in found)


def read_verification(tables: FigureTables) -> dict[str, int]:
    """Give how many stems each word of `verification` is said of."""
    found = tables.rows(
        "SELECT word, count(*) FROM (SELECT unnest(string_split(verification, ',')) AS word FROM stems) "
        "WHERE word <> '' GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    return dict(found)


def read_music(tables: FigureTables) -> MusicTally:
    """Give tempo and key of all tracks, counted."""
    music = MusicTally()
    bands = tables.rows(
        f"SELECT least(greatest(floor(bpm / {TEMPO_STEP}) * {TEMPO_STEP}, {SLOWEST}), {FASTEST}), bpm_source, count(*) "
        "FROM tracks WHERE isfinite(bpm) GROUP BY 1, 2 ORDER BY 1, 2"
    )
    for bpm, source, tracks in bands:
        music.add_tempo(bpm, source, tracks)
    keys = tables.rows(
        "SELECT key, key_source, count(*) FROM tracks WHERE key <> '' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    for key, source, tracks in keys:
        music.add_key(key, source, tracks)
    return music


def breakdown_tree(breakdown: Breakdown) -> dict[str, Any]:
    """Give a breakdown for `--json`."""
    shares: Sequence[Mapping[str, Any]] = [asdict(share) for share in breakdown.shares]
    rest = None if breakdown.rest is None else asdict(breakdown.rest)
    return {"shares": shares, "values": breakdown.values, "rest": rest}
