"""What a plan says of the rows' own columns: published tracks whose metadata changed, dates and ISRCs that are none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stemline.dataset.cell_value import cell_value
from stemline.dataset.table_row import read_day
from stemline.ledger.cell import load_cells
from stemline.records import Track

_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")


@dataclass
class MetadataCheck:
    """Counts of rows whose columns want a look."""

    carried: pa.Schema | None = None
    """The columns the dataset keeps: what was planned under other types is compared as the dataset has it."""
    changed: int = 0
    """Published tracks of which the dataset says something else than the manifest does now."""
    bad_dates: int = 0
    """Values of `released_on` that are no day."""
    bad_isrcs: int = 0

    def add(self, tracks: Sequence[Track], published: Mapping[str, str]) -> None:
        """Look at rows; `published` are the columns that published tracks have in the ledger, as it writes them."""
        for track in tracks:
            columns = track.columns
            self.bad_dates += _is_given(columns, "released_on") and read_day(columns["released_on"]) is None
            self.bad_isrcs += _is_given(columns, "isrc") and not _is_isrc(str(columns["isrc"]))
            before = published.get(track.track_id)
            self.changed += before is not None and self._differs(columns, before)

    def _differs(self, columns: Mapping[str, Any], written: str) -> bool:
        before = load_cells(written)
        # A track that was taken over from the tables has no columns in the ledger.
        return bool(before) and any(
            self._kept(name, value) != self._kept(name, before.get(name)) for name, value in columns.items()
        )

    def _kept(self, name: str, value: Any) -> Any:  # noqa: ANN401 - cells are of any type
        """Give a cell as the dataset has it, as it is where it has none of the sort."""
        if value is None or self.carried is None or name not in self.carried.names:
            return value
        try:
            return cell_value(value, self.carried.field(name).type)
        except ValueError:
            return value


def _is_given(columns: Mapping[str, Any], name: str) -> bool:
    value = columns.get(name)
    return value is not None and str(value).strip() != ""


def _is_isrc(text: str) -> bool:
    """Tell whether text is an ISRC (ISO 3901): two letters, three characters, seven digits; hyphens do not matter."""
    return _ISRC.fullmatch(text.strip().replace("-", "").replace(" ", "").upper()) is not None
