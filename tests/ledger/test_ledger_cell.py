"""Manifest cells survive the ledger."""

from __future__ import annotations

import math
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.ledger.cell import dump_cells, load_cells

zones = st.none() | st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.dates()
    | st.times()
    | st.datetimes(timezones=zones)
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.binary()
    | st.uuids()
)
keys = st.text() | st.sampled_from(["$date", "$map", "$"]) | st.integers() | st.dates()
cells = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=8)


def test_nan_survives() -> None:
    assert math.isnan(load_cells(dump_cells({"gain": math.nan}))["gain"])


@given(st.dictionaries(st.text(), cells))
def test_every_cell_comes_back_equal_and_of_its_type(row: dict[str, object]) -> None:
    back = load_cells(dump_cells(row))
    assert back == row
    assert {name: type(value) for name, value in back.items()} == {
        name: type(value) for name, value in row.items()
    }


def test_a_type_that_would_not_survive_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="complex"):
        dump_cells({"z": 1j})
