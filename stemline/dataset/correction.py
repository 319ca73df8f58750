"""Rows of published tracks brought to what the manifest says of them now, in the parts that hold them and no others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stemline.dataset.cell_value import column_array
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import part_keys
from stemline.dataset.parts import put_part
from stemline.dataset.renewal import opened_part, renewed_tables
from stemline.dataset.stored_tracks import batch_of_part
from stemline.dataset.table_row import manifest_cells
from stemline.errors import StorageError
from stemline.records import Attempt, Job
from stemline.storage import Store


@dataclass(frozen=True, slots=True)
class CorrectedRow:
    """A published track with the columns it has now; its stems and what was paid for them stay as they are."""

    attempt: Attempt
    job: Job
    split_given_before: bool = False
    """Whether the split that the row has is the manifest's."""
    find_split: Callable[[Mapping[str, Any]], str | None] | None = None
    """Gives the split of a row by its cells; None: nobody decides splits but the manifest."""

    def cells(self, row: Mapping[str, Any], layout: DatasetLayout) -> dict[str, Any]:
        """Give the cells of a row that change; a split that was decided is not taken away. `row` has its texts."""
        given = manifest_cells(self.attempt, self.job, layout)
        if self.find_split is not None:
            given["split"] = self.find_split({**row, **given})
        elif given["split"] is None and not self.split_given_before:
            del given["split"]
        return given


def keys_by_batch(store: Store) -> Mapping[str, list[str]]:
    """Give the keys of the tracks table's parts by the batch their names tell."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for key in part_keys(store, "tracks"):
        found[batch_of_part(key)].append(key)
    return found


def parts_holding(store: Store, keys: Iterable[str], tokens: Collection[str]) -> list[str]:
    """Give those of these parts of the tracks table that hold a row of these attempts; one that cannot be read may."""
    found = []
    for key in keys:
        try:
            with opened_part(store, key) as part:
                is_holding = not set(tokens).isdisjoint(part.read(["attempt_token"]).column(0).to_pylist())
        except StorageError:
            is_holding = True
        if is_holding:
            found.append(key)
    return found


def correct_parts(
    store: Store,
    keys: Iterable[str],
    layout: DatasetLayout,
    rows: Mapping[str, CorrectedRow],
    require_hold: Callable[[], None],
) -> set[str]:
    """Write those of these parts anew that hold some of the rows, by their tokens; give the tokens that were found.

    Each is replaced whole under its own name. A column that partitions the table keeps its value: the row stays
    where it is. Raises StorageError for a part that cannot be read, ValueError for a cell its column cannot hold.
    """
    found: set[str] = set()
    for key in keys:
        with opened_part(store, key) as part:
            tokens = set(part.read(["attempt_token"]).column(0).to_pylist()) & rows.keys()
            if tokens:
                tables = (
                    _corrected(each, layout, rows) for each in renewed_tables(part, layout.tracks, layout)
                )
                put_part(store, key, layout.tracks, _held(tables, require_hold))
        found |= tokens
    return found


def _held(tables: Iterator[pa.Table], require_hold: Callable[[], None]) -> Iterator[pa.Table]:
    yield from tables
    require_hold()  # the last thing before the part is put


def _corrected(table: pa.Table, layout: DatasetLayout, rows: Mapping[str, CorrectedRow]) -> pa.Table:
    tokens = table.column("attempt_token").to_pylist()
    texts = table.select([each.name for each in table.schema if pa.types.is_string(each.type)])
    cells = {
        place: rows[token].cells(texts.slice(place, 1).to_pylist()[0], layout)
        for place, token in enumerate(tokens)
        if token in rows
    }
    for place, field in enumerate(layout.tracks):
        if not any(field.name in each for each in cells.values()) or field.name in layout.partition_by:
            continue
        values = table.column(field.name).to_pylist()
        for row, each in cells.items():
            values[row] = each.get(field.name, values[row])
        table = table.set_column(place, field, column_array(values, field.type))
    return table
