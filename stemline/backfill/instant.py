"""When a row is from: instants read from dates, times and ISO text, and the slices they lie in."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum

from stemline.dataset.table_row import first_day
from stemline.errors import UsageError

NUMBERS = (1_000, 9_999), (1_000_01_01, 9_999_12_31)
"""A number between the first two is a year, one between the others a day without its hyphens."""


class SliceLength(StrEnum):
    """How long one slice is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


def read_instant(value: object) -> datetime | None:
    """Give the UTC instant of a date, a time or ISO text; None for what is none.

    A day is its first moment, a bare year or month its first day; a time without a zone is in UTC. Of numbers, years
    are taken and days such as 20240501, which a csv or a table of figures makes of just such text.
    """
    try:
        return _read(value)
    except (ValueError, OverflowError):
        return None


def _read(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, (int, float)):
        is_known = any(first <= value < last + 1 for first, last in NUMBERS) and value == int(value)
        return _read(str(int(value))) if is_known else None
    return _read(datetime.fromisoformat(first_day(str(value).strip())))


def read_bound(text: str | None, option: str) -> datetime | None:
    """Give the instant of an option such as `--since`; raises UsageError, naming it, for what is no date."""
    if text is None:
        return None
    found = read_instant(text)
    if found is None:
        raise UsageError(
            f"{option} {text!r} is no date.", fix="Write it as 2024-05-01, 2024-05 or 2024-05-01T12:00:00Z."
        )
    return found


def slice_of(instant: datetime, length: SliceLength) -> str:
    """Give the name of the slice an instant lies in, such as `2024-05`; a week is the ISO week, `2024-W18`."""
    match length:
        case SliceLength.DAY:
            return f"{instant.date().isoformat()}"
        case SliceLength.WEEK:
            year, week, _ = instant.isocalendar()
            return f"{year:04d}-W{week:02d}"
        case SliceLength.MONTH:
            return f"{instant.year:04d}-{instant.month:02d}"
        case SliceLength.YEAR:
            return f"{instant.year:04d}"
