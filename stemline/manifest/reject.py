"""The rejects table: one row for each manifest row that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from stemline.records import Reject

REJECTS_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("track_id", pa.string()),
        pa.field("location", pa.string()),
        pa.field("code", pa.string(), nullable=False),
        pa.field("sentence", pa.string(), nullable=False),
    ]
)


def rejects_table(rejects: Iterable[Reject]) -> pa.Table:
    """Give the rejects as one table in `REJECTS_SCHEMA`, in the order they come."""
    rows = [
        {
            "row": reject.row,
            "track_id": reject.track_id,
            "location": reject.location,
            "code": reject.code.value,
            "sentence": reject.sentence,
        }
        for reject in rejects
    ]
    return pa.Table.from_pylist(rows, schema=REJECTS_SCHEMA)
