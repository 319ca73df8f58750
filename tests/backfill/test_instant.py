"""Dates, times and ISO text as instants, and the slices they lie in."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.backfill.instant import SliceLength, read_bound, read_instant, slice_of
from stemline.errors import UsageError

EAST = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2024", datetime(2024, 1, 1, tzinfo=UTC)),
        (2024, datetime(2024, 1, 1, tzinfo=UTC)),
        (2024.0, datetime(2024, 1, 1, tzinfo=UTC)),
        (Decimal("2024.00"), datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024.0", datetime(2024, 1, 1, tzinfo=UTC)),
        (20240502, datetime(2024, 5, 2, tzinfo=UTC)),
        ("20240502", datetime(2024, 5, 2, tzinfo=UTC)),
        ("2024-W05", datetime(2024, 1, 29, tzinfo=UTC)),
        ("2024-05", datetime(2024, 5, 1, tzinfo=UTC)),
        ("2024-05-02", datetime(2024, 5, 2, tzinfo=UTC)),
        (" 2024-05-02\n", datetime(2024, 5, 2, tzinfo=UTC)),
        ("2024-05-02T23:30:00", datetime(2024, 5, 2, 23, 30, tzinfo=UTC)),
        ("2024-05-02 23:30", datetime(2024, 5, 2, 23, 30, tzinfo=UTC)),
        ("2024-05-02T23:30:00Z", datetime(2024, 5, 2, 23, 30, tzinfo=UTC)),
        ("2024-05-02T03:30:00+05:30", datetime(2024, 5, 1, 22, 0, tzinfo=UTC)),
        (date(2024, 5, 2), datetime(2024, 5, 2, tzinfo=UTC)),
        (datetime(2024, 5, 2, 4), datetime(2024, 5, 2, 4, tzinfo=UTC)),  # noqa: DTZ001 - without a zone on purpose
        (datetime(2024, 5, 2, 3, 30, tzinfo=EAST), datetime(2024, 5, 1, 22, 0, tzinfo=UTC)),
    ],
)
def test_a_date_is_its_first_moment_in_utc(value, instant):
    assert read_instant(value) == instant


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "soon",
        "2024-13",
        "2024-02-30",
        "0000",
        "May 2024",
        "02/05/2024",
        True,
        12,
        999,
        10_000,
        20241301,
        45413,
        1_714_521_600,
        2024.5,
        "2024.5",
        1.5,
        math.nan,
        math.inf,
        -2024,
        Decimal("nan"),
        Decimal("snan"),
        Decimal("1e999"),
        time(12, 30),
        timedelta(days=3),
        b"2024",
        ["2024"],
        {"year": 2024},
        UUID(int=2024),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
    ],
    ids=repr,
)
def test_what_is_no_date_is_none(value):
    assert read_instant(value) is None


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(),
    st.binary(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.integers()),
    st.from_regex(r"[0-9]{4}(-[0-9]{2}){0,2}([T ][0-9:.+Z-]*)?", fullmatch=True),
)


@given(CELLS, st.sampled_from(SliceLength))
def test_any_cell_is_an_instant_in_a_named_slice_or_none(value, length):
    instant = read_instant(value)
    if instant is not None:
        assert instant.utcoffset() == timedelta()
        assert slice_of(instant, length)


@given(
    st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)), st.sampled_from(SliceLength)
)
def test_slices_by_name_are_in_the_order_of_time(one, other, length):
    first, last = sorted((one, other))
    assert slice_of(first, length) <= slice_of(last, length)


@pytest.mark.parametrize(
    ("length", "name"),
    [("day", "2024-12-30"), ("week", "2025-W01"), ("month", "2024-12"), ("year", "2024")],
)
def test_a_slice_is_named_by_its_day_iso_week_month_or_year(length, name):
    assert slice_of(datetime(2024, 12, 30, tzinfo=UTC), SliceLength(length)) == name


def test_a_bound_that_is_no_date_is_refused_naming_its_option():
    assert read_bound(None, "--since") is None
    with pytest.raises(UsageError, match="--since 'tomorrow' is no date"):
        read_bound("tomorrow", "--since")
