"""What was measured of stems, as distributions; and the stems that are silent or clipped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stemline.report.figure_tables import FigureTables
from stemline.report.player import shown_order

SHOWN_ROWS = 10
"""So many stems, or providers with recipes, get a row of their own: those with most rows."""
SHOWN_STEMS = 20
_BINS = 36
_LOUDEST, _QUIETEST = 20.0, -120.0
"""Beyond these, decibels count as these."""
_SHARE_BINS = 20
CLIPPED_LIMITS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
"""Up to which clipped share a stem counts in each column; those with more count in a last one."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of the stems table, and how it is shown."""

    column: str
    title: str
    unit: str
    groups: str
    """What has a row of its own, in SQL."""
    heading: str
    """What these are called."""
    note: str


@dataclass(frozen=True, slots=True)
class DistributionRow:
    """How often which values occur."""

    name: str
    counts: tuple[int, ...]
    """By bins from the lower to the upper end of the axis."""
    low: float
    """A twentieth of the values is lower."""
    median: float
    high: float
    """A twentieth of the values is higher."""
    measured: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """A metric's values by stem, over one axis."""

    metric: Metric
    low: float
    high: float
    """The axis' ends; of a clipped share, the bins are those of CLIPPED_LIMITS instead."""
    rows: tuple[DistributionRow, ...]
    more: int
    """Rows that are not shown."""

    def as_tree(self) -> dict[str, Any]:
        """Give it for `--json`."""
        rows = {
            row.name: {"p05": row.low, "median": row.median, "p95": row.high, "measured": row.measured}
            for row in self.rows
        }
        return {"axis": [self.low, self.high], "rows": rows}


METRICS = (
    Metric("rms_dbfs", "Loudness", "dBFS", "stem", "Stem", "RMS over the whole stem."),
    Metric("peak_dbfs", "Peak", "dBFS", "stem", "Stem", "The loudest sample; 0 dBFS is full scale."),
    Metric(
        "silent_share",
        "Silence",
        "% of seconds",
        "stem",
        "Stem",
        "The share of a stem's seconds below -60 dBFS.",
    ),
    Metric(
        "clipped_share",
        "Clipping",
        "% of samples",
        "stem",
        "Stem",
        "The share of a stem's samples at full scale.",
    ),
    Metric(
        "residual_db",
        "Residual",
        "dB",
        "concat_ws(' · ', provider, recipe, residual_of)",
        "Provider · recipe · compared with",
        "What the sum of all stems leaves of what was separated: the lower the better.",
    ),
)


@dataclass(frozen=True, slots=True)
class DoubtfulStem:
    """A stem that is silent or clipped."""

    track_id: str
    artist: str | None
    title: str | None
    stem: str
    made_by: str
    silent_share: float | None
    clipped_share: float | None
    rms_dbfs: float | None
    peak_dbfs: float | None


@dataclass(frozen=True, slots=True)
class DoubtfulStems:
    """The stems that verifying found silent, or clipped."""

    by_stem: Mapping[str, int]
    """Most frequent first."""
    worst: tuple[DoubtfulStem, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.by_stem.values())


def read_distributions(tables: FigureTables) -> list[Distribution]:
    """Give every metric that was measured of any stem."""
    found = [_distribution(tables, metric) for metric in METRICS]
    return [each for each in found if each is not None]


def _distribution(tables: FigureTables, metric: Metric) -> Distribution | None:
    """Give a metric's distribution, from its values rounded finely; None where nothing was measured."""
    column = metric.column
    is_level = metric.unit.startswith("dB")
    digits = 1 if is_level else 6 if column == "clipped_share" else 3
    ends = (_QUIETEST, _LOUDEST) if is_level else (0, 1)
    fine = f"round(least(greatest({column}, {ends[0]}), {ends[1]}), {digits})"
    counted = tables.rows(
        f"""
        WITH values AS (
            SELECT {metric.groups} AS name, {fine} AS value, count(*) AS stems
            FROM stems WHERE isfinite({column}) GROUP BY ALL
        ), names AS (
            SELECT name, row_number() OVER (ORDER BY sum(stems) DESC, name) AS place, count(*) OVER () AS all_names
            FROM values GROUP BY name
        )
        SELECT place, all_names, name, value, stems FROM values JOIN names USING (name)
        WHERE place <= {SHOWN_ROWS} ORDER BY place, value
        """
    )
    if not counted:
        return None
    by_name: dict[str, list[tuple[float, int]]] = {}
    for _, _, name, value, stems in counted:
        by_name.setdefault(name or "unknown", []).append((value, stems))
    low, high = _axis([row[3] for row in counted]) if is_level else (0.0, 1.0)
    names = sorted(by_name, key=shown_order)
    rows = tuple(_row(name, by_name[name], metric, (low, high)) for name in names)
    return Distribution(metric, low, high, rows, counted[0][1] - len(rows))


def _axis(values: Sequence[float]) -> tuple[float, float]:
    """Give round ends between which all values lie."""
    low, high = math.floor(min(values) / 10) * 10.0, math.ceil(max(values) / 10) * 10.0
    return low, high if high > low else low + 10.0


def _row(
    name: str, values: Sequence[tuple[float, int]], metric: Metric, ends: tuple[float, float]
) -> DistributionRow:
    counts = [0] * _bin_count(metric)
    for value, stems in values:
        counts[_bin(value, metric, ends)] += stems
    total = sum(stems for _, stems in values)
    low, median, high = (_quantile(values, share * total) for share in (0.05, 0.5, 0.95))
    return DistributionRow(name, tuple(counts), low, median, high, total)


def _bin_count(metric: Metric) -> int:
    if metric.column == "clipped_share":
        return len(CLIPPED_LIMITS) + 1
    return _SHARE_BINS if metric.column == "silent_share" else _BINS


def _bin(value: float, metric: Metric, ends: tuple[float, float]) -> int:
    if metric.column == "clipped_share":
        return sum(value > limit for limit in CLIPPED_LIMITS)
    count = _bin_count(metric)
    low, high = ends
    return min(max(int((value - low) / (high - low) * count), 0), count - 1)


def _quantile(values: Iterable[tuple[float, int]], rank: float) -> float:
    """Give the value of a rank among values that rise, each with how often it occurs."""
    passed = 0
    value = math.nan
    for value, stems in values:  # noqa: B007 - the last one, where none is reached
        passed += stems
        if passed >= rank:
            break
    return value


def read_silent(tables: FigureTables) -> DoubtfulStems:
    """Give the stems that are silent as a whole."""
    return _doubtful(tables, "silent", "silent_share DESC NULLS LAST, rms_dbfs NULLS FIRST")


def read_clipped(tables: FigureTables) -> DoubtfulStems:
    """Give the stems that are clipped."""
    return _doubtful(tables, "clipped", "clipped_share DESC NULLS LAST, peak_dbfs DESC NULLS LAST")


def _doubtful(tables: FigureTables, word: str, order: str) -> DoubtfulStems:
    has_word = "list_contains(string_split(coalesce(verification, ''), ','), $1)"
    counts = tables.rows(
        f"SELECT stem, count(*) FROM stems WHERE {has_word} GROUP BY 1 ORDER BY 2 DESC, 1", word
    )
    if not counts:
        return DoubtfulStems({}, ())
    worst = tables.rows(
        f"""
        WITH worst AS (
            SELECT * FROM stems WHERE {has_word}
            ORDER BY {order}, track_id, stem, provider, recipe LIMIT {SHOWN_STEMS}
        ), named AS (
            SELECT track_id, any_value(artist ORDER BY artist) AS artist, any_value(title ORDER BY title) AS title
            FROM tracks WHERE track_id IN (SELECT track_id FROM worst) GROUP BY 1
        )
        SELECT track_id, artist, title, stem, concat_ws(' · ', provider, recipe), silent_share, clipped_share,
            rms_dbfs, peak_dbfs
        FROM worst LEFT JOIN named USING (track_id) ORDER BY {order}, track_id, stem, provider, recipe
        """,
        word,
    )
    return DoubtfulStems(dict(counts), tuple(DoubtfulStem(*row) for row in worst))
