"""How much is in a release, counted from its parts as they are written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stemline.records import LINKED

UNKNOWN = "unknown"
"""Stands for a value that is not there."""
MOST_VALUES = 1_000
"""So many values of a column are told apart; what comes later is `other`, for a column may hold anything."""
OTHER = "other"
_LINKED = rf"(^|,){LINKED}(,|$)"
"""Audio that is not in the dataset."""
_ROWS_AT_ONCE = 50_000
_COUNTED = {
    "tracks": {
        "provider": "providers",
        "recipe": "recipes",
        "license": "licenses",
        "license_spdx": "licenses_spdx",
        "ai_training": "ai_training",
        "split": "splits",
    },
    "stems": {"stem": "stems_by_name", "verification": "verification"},
}
"""The columns whose values are counted, and what the counts are called."""


@dataclass
class ReleaseCounts:
    """Rows of each table, seconds of music, bytes of audio, and rows by value of a few columns."""

    rows: Counter[str] = field(default_factory=Counter)
    """By table."""
    seconds: float = 0.0
    """Of the tracks, each counted as often as it was separated."""
    values: dict[str, Counter[str]] = field(default_factory=dict)
    format_stems: Counter[str] = field(default_factory=Counter)
    format_bytes: Counter[str] = field(default_factory=Counter)

    def add(self, table: str, path: Path) -> None:
        """Count what is in a part."""
        with pq.ParquetFile(path) as part:
            self.rows[table] += part.metadata.num_rows
            if table not in _COUNTED:
                return
            more = ["duration_seconds"] if table == "tracks" else ["format", "size_bytes"]
            columns = [*_COUNTED[table], *more]
            for batch in part.iter_batches(_ROWS_AT_ONCE, columns=columns):
                self._add_rows(table, pa.Table.from_batches([batch]))

    def _add_rows(self, table: str, rows: pa.Table) -> None:
        for column, name in _COUNTED[table].items():
            if column not in rows.column_names:  # of a release that was made before there was one
                continue
            counter = self.values.setdefault(name, Counter())
            for value, count in _value_counts(rows.column(column)):
                is_new = value not in counter and len(counter) >= MOST_VALUES
                counter[OTHER if is_new else value] += count
        if table == "tracks":
            self.seconds += pc.sum(rows.column("duration_seconds")).as_py() or 0.0
            return
        stored = rows.filter(pc.invert(pc.match_substring_regex(rows.column("verification"), _LINKED)))
        sums = stored.group_by("format").aggregate([("size_bytes", "sum"), ("size_bytes", "count")])
        for each in sums.to_pylist():
            self.format_bytes[each["format"]] += each["size_bytes_sum"]
            self.format_stems[each["format"]] += each["size_bytes_count"]

    def as_tree(self) -> dict[str, Any]:
        """Give the counts as `release.json` has them, the most frequent values first."""
        formats = {
            name: {"stems": count, "bytes": self.format_bytes[name]}
            for name, count in self.format_stems.most_common()
        }
        values = {name: dict(_ordered(counter)) for name, counter in self.values.items()}
        return {
            **{table: self.rows[table] for table in sorted(self.rows, reverse=True)},
            "seconds": round(self.seconds, 3),
            "bytes": self.format_bytes.total(),
            "formats": formats,
            **values,
        }


def _value_counts(column: pa.ChunkedArray) -> list[tuple[str, int]]:
    found = pc.value_counts(column).to_pylist()
    return [(UNKNOWN if each["values"] is None else str(each["values"]), each["counts"]) for each in found]


def _ordered(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))
