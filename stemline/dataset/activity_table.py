"""What each second of stems holds, as the activity table has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stemline.activity import HOP_SECONDS, TENTHS, unpack
from stemline.dataset.cell_value import column_array

STEMS_AT_ONCE = 1_000
"""Of an hour each, they take a hundred megabytes."""


def activity_tables(stems: Sequence[Mapping[str, Any]], schema: pa.Schema) -> Iterator[pa.Table]:
    """Give rows of the stems table, with `activity` as it was packed, as row groups of the activity table."""
    for start in range(0, len(stems), STEMS_AT_ONCE):
        some = stems[start : start + STEMS_AT_ONCE]
        measured = _measured_columns([stem["activity"] for stem in some])
        columns = [
            measured[field.name].cast(field.type)
            if field.name in measured
            else column_array([stem[field.name] for stem in some], field.type)
            for field in schema
        ]
        yield pa.Table.from_arrays(columns, schema=schema)


def _measured_columns(packed: Sequence[bytes]) -> dict[str, pa.Array]:
    found = [unpack(each) for each in packed]
    return {
        "hop_seconds": pa.array([HOP_SECONDS] * len(found)),
        "rms_dbfs": _lists([(each.tenths / TENTHS).astype(np.float32) for each in found]),
        "byte_offset": _lists([each.byte_offset for each in found]),
        "first_frame": _lists([each.first_frame for each in found]),
        "header_bytes": pa.array([each.header_bytes for each in found], pa.int64()),
    }


def _lists(columns: Sequence[NDArray[Any] | None]) -> pa.ListArray:
    """Give arrays as the lists of one column, whose values are made in one go."""
    lengths = [0 if column is None else len(column) for column in columns]
    values = [np.empty(0, np.int64), *(column for column in columns if column is not None)]
    return pa.ListArray.from_arrays(
        pa.array(np.cumsum([0, *lengths]), pa.int32()),
        pa.array(np.concatenate(values[1:] or values)),
        mask=pa.array([column is None for column in columns]),
    )
