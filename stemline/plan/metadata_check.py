"""What a plan says of the rows' own columns: published tracks whose metadata changed, dates and ISRCs that are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from stemline.dataset.cell_value import cell_value
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.rights_columns import LICENSE_SPDX, rights_cells, said_of_training
from stemline.dataset.table_row import read_day
from stemline.dataset.table_schemas import MANIFEST_COLUMNS, carried_columns
from stemline.ledger import WrittenRow
from stemline.ledger.cell import are_as_written, dump_cells, load_cells
from stemline.plan.oddities import ManifestOddities, read_isrc
from stemline.plan.relocation import Relocations
from stemline.records import Misstatement, Track
from stemline.rights import is_ai_training_clear

_ROWS_AT_ONCE = 1_000
"""Nearly always none of so many differs."""


class ColumnComparison:
    """Tells whether a dataset has a track's columns as its manifest has them now."""

    def __init__(self, layout: DatasetLayout) -> None:
        """Compare as this layout has them: what was planned under other types is no change."""
        self._carried = layout.carried
        columns = carried_columns(layout.carried, layout.partition_by)
        by_table = {name: columns.get(name, name) for name in (*columns, *MANIFEST_COLUMNS)}
        self._fixed = {name for name, column in by_table.items() if column in layout.partition_by}
        """What partitions the table: a row stays in the folder it was published in."""

    def changed(self, tracks: Sequence[Track], written: Mapping[str, WrittenRow]) -> Iterator[Track]:
        """Give those of some rows that say anything else than the ledger wrote, by their ids, for them."""
        known = [track for track in tracks if track.track_id in written]
        for start in range(0, len(known), _ROWS_AT_ONCE):
            some = known[start : start + _ROWS_AT_ONCE]
            before = [written[track.track_id].columns for track in some]
            if not are_as_written([track.columns for track in some], before):
                yield from (
                    track
                    for track, text in zip(some, before, strict=True)
                    if self.is_changed(track.columns, text)
                )

    def is_changed(self, columns: Mapping[str, Any], written: str) -> bool:
        """Tell whether a row says anything else than the ledger wrote; columns that it lacks are left as they are."""
        if dump_cells(columns) == written:
            return False
        before = load_cells(written)
        return any(
            self._kept(name, value) != self._kept(name, before.get(name))
            for name, value in columns.items()
            if name not in self._fixed
        )

    def merged(self, columns: Mapping[str, Any], written: str) -> dict[str, Any]:
        """Give the columns that the row has from now on."""
        before = load_cells(written)
        now = {name: before.get(name) if name in self._fixed else value for name, value in columns.items()}
        return {**now, **{name: value for name, value in before.items() if name not in now}}

    def _kept(self, name: str, value: Any) -> str:  # noqa: ANN401 - cells are of any type
        """Give a cell as the dataset has it, as text: NaN is no change. One of another sort stays as it is."""
        if value is not None and name in self._carried.names:
            with suppress(ValueError):
                value = cell_value(value, self._carried.field(name).type)
        return dump_cells({"": value})


@dataclass
class MetadataCheck:
    """Counts of rows whose columns want a look."""

    comparison: ColumnComparison = field(default_factory=lambda: ColumnComparison(DatasetLayout()))
    changed: int = 0
    """Published tracks of which the dataset says something else than the manifest does now."""
    bad_dates: int = 0
    """Values of `released_on` that are no day."""
    bad_isrcs: int = 0
    unknown_licenses: int = 0
    """Values of `license` that are none as SPDX knows them."""
    unclear_training: int = 0
    """Values of `ai_training` that are none of its words: they count as unknown."""
    wrong_lengths: int = 0
    """Values of `duration_seconds` that are not the length of the file."""
    relocations: Relocations = field(default_factory=Relocations)
    odd: ManifestOddities = field(default_factory=ManifestOddities)

    def add(self, tracks: Sequence[Track], published: Mapping[str, WrittenRow]) -> None:
        """Look at rows; `published` is what the ledger has of those of published tracks."""
        for track in tracks:
            columns = track.columns
            if _is_given(columns, "released_on") and read_day(columns["released_on"]) is None:
                self.bad_dates += 1
                self.odd.note("released_on", track)
            if _is_given(columns, "isrc") and read_isrc(columns["isrc"]) is None:
                self.bad_isrcs += 1
                self.odd.note("isrc", track)
            self.unknown_licenses += (
                _is_given(columns, "license") and rights_cells(columns)[LICENSE_SPDX] is None
            )
        self.unclear_training += count_unclear(tracks)
        self.odd.add(tracks)
        self.changed += sum(1 for _ in self.comparison.changed(tracks, published))
        self.relocations.note(tracks, published)

    def add_lengths(self, misstated: Sequence[Misstatement]) -> None:
        """Count lengths that are not their files'."""
        self.wrong_lengths += len(misstated)
        for each in misstated:
            self.odd.note_length(each)


def count_unclear(tracks: Sequence[Track]) -> int:
    """Count the tracks of which the manifest says nothing clear about AI training, though it says something."""
    return sum(not is_ai_training_clear(said_of_training(track.columns)) for track in tracks)


def _is_given(columns: Mapping[str, Any], name: str) -> bool:
    value = columns.get(name)
    return value is not None and str(value).strip() != ""
