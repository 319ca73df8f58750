"""A column of any type may be named by --by: its rows have dates, or are listed; none ends in a traceback."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline.errors import ManifestError

DAY = datetime(2015, 1, 1, 12)  # noqa: DTZ001 - as Parquet holds it
COLUMNS = {
    "boolean": pa.array([True, None]),
    "byte": pa.array([7, None], pa.int8()),
    "number": pa.array([2015, None], pa.uint64()),
    "fraction": pa.array([2015.0, float("nan")]),
    "decimal": pa.array([Decimal("2015.00"), None]),
    "date": pa.array([date(2015, 1, 1), None]),
    "seconds": pa.array([DAY, None], pa.timestamp("s")),
    "nanoseconds": pa.array([DAY, None], pa.timestamp("ns", tz="UTC")),
    "time": pa.array([time(12, 30), None]),
    "text": pa.array(["2015-01-01", ""], pa.large_string()),
    "coded": pa.array(["2015", None]).dictionary_encode(),
    "list": pa.array([[date(2015, 1, 1)], []]),
    "struct": pa.array([{"year": 2015}, None]),
    "nothing": pa.nulls(2),
}
DATED = {"number", "fraction", "decimal", "date", "seconds", "nanoseconds", "text", "coded"}


@pytest.fixture
def parquet(catalogue):
    """Write a manifest with these columns besides, as Parquet."""
    catalogue.manifest = catalogue.folder / "manifest.parquet"

    def write(**columns: pa.Array) -> None:
        count = max(len(each) for each in columns.values())
        fixed = {
            "track_id": [f"t{number:02d}" for number in range(count)],
            "uri": [f"https://x.example/{number}.mp3" for number in range(count)],
            "duration_seconds": [60.0] * count,
        }
        pq.write_table(pa.table({**fixed, **columns}), catalogue.manifest)

    return write


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.long
def test_a_column_of_this_type_has_dates_or_its_rows_are_listed(catalogue, parquet, name):
    parquet(**{name: COLUMNS[name]})
    with catalogue.planned(by=name, since="2015", until="2016") as plan:
        assert plan.forecast.tracks == (name in DATED)
        assert plan.choice.undated == 2 - (name in DATED)
    catalogue.freeze(by=name)
    assert len(catalogue.frozen()) == 2


CELLS = st.one_of(
    st.lists(st.none() | st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), min_size=1, max_size=4),  # noqa: DTZ001
    st.lists(st.none() | st.dates(), min_size=1, max_size=4),
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4),
    st.lists(st.none() | st.floats(), min_size=1, max_size=4),
    st.lists(st.none() | st.text(), min_size=1, max_size=4),
    st.lists(st.none() | st.times(), min_size=1, max_size=4),
    st.lists(st.none() | st.timedeltas(timedelta(-9_000), timedelta(9_000)), min_size=1, max_size=4),
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(10)
)
@given(cells=CELLS)
def test_any_cells_are_taken_listed_or_outside_and_freeze_as_they_are(catalogue, parquet, cells):
    with suppress(pa.ArrowInvalid):
        parquet(when=pa.array(cells))
        with suppress(ManifestError), catalogue.planned(by="when", since="0001") as plan:
            assert plan.forecast.tracks + len(plan.choice.rejected) + plan.choice.outside == len(cells)
            instants = [row.dated for row in plan.choice.rows.rows()]
            assert None not in instants
