"""The manifest of a night: what a catalogue's owner writes down that evening."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from year_plan import Night, name_of


def write_manifest(night: Night, folder: Path) -> None:
    """Write it in its format."""
    rows = [_row(number, night) for number in night.rows]
    path = folder / f"catalogue.{night.manifest}"
    if night.manifest == "jsonl":
        path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    elif night.manifest == "parquet":
        table = {name: [row[name] for row in rows] for name in rows[0]}
        pq.write_table(pa.table({name: _column(values) for name, values in table.items()}), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def _column(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    return pa.array([str(value) for value in values]) if len(kinds) > 1 else pa.array(values)


def _row(number: int, night: Night) -> dict[str, Any]:
    corrected = night.version // 100 if number <= night.version % 100 else 0
    row: dict[str, Any] = {
        "track_id": name_of(number),
        "uri": f"http://music.test/{name_of(number)}.mp3",
        "duration_seconds": 10 + number,
    }
    return row | {name: _value(kind, number, corrected) for name, kind in night.columns}


def _value(kind: str, number: int, corrected: int) -> Any:
    return {
        "text": f"word {number} {corrected}",
        "integer": number * 10 + corrected,
        "number": number + 0.5 + corrected,
        "boolean": (number + corrected) % 2 == 0,
        "date": dt.date(2020, 1, 1 + (number + corrected) % 28).isoformat(),
        "list": f"a{corrected};b{number}",
        "codes": f"00{number}{corrected}",
        "empty": None,
        "odd": "n/a" if number % 5 == 0 else number,
    }[kind]
