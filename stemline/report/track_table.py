"""A table of all tracks: plain markup that is read as it is, and that a script makes sortable and filterable."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stemline.report.markup import Html, clipped, element, joined, text, without_secrets
from stemline.storage import disk_guarded
from stemline.wording import counted

SHOWN_TRACKS = 5_000
"""So many are in a page; a file beside it has all of them."""
_LONGEST = 60
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class TrackColumn:
    """A column: what it is called, and how its cells are shown and sorted."""

    heading: str
    kind: str = "text"
    """`text`, `number`, `clock` (seconds, shown as 3:07), or `state` (shown with its colour)."""

    @property
    def is_measure(self) -> bool:
        """Whether its cells stand at the right, as a class of the table says: one of each cell would take too much."""
        return self.kind in {"number", "clock"}


@dataclass(frozen=True, slots=True)
class TrackTable:
    """Tracks, a row each."""

    columns: Sequence[TrackColumn]
    rows: Sequence[Sequence[Cell]]
    """At most SHOWN_TRACKS."""
    total: int


@dataclass(frozen=True, slots=True)
class TrackFile:
    """The file that has the tracks a page has no room for."""

    name: str
    link: str | None
    """None: a page cannot reach it."""


def track_table(table: TrackTable, file: TrackFile | None, note: str = "") -> Html:
    """Give the table with its filter, without the columns that are empty; nothing for no tracks."""
    if not table.rows:
        return Html()
    used = [
        place
        for place in range(len(table.columns))
        if any(row[place] not in {None, ""} for row in table.rows)
    ]
    columns = [table.columns[place] for place in used]
    head = (element("th", each.heading, scope="col", data_kind=each.kind) for each in columns)
    shown = element(
        "table",
        element("thead", element("tr", *head)),
        element("tbody", *(_row(columns, [row[place] for place in used]) for row in table.rows)),
        class_=" ".join(
            ["tracks", *(f"n{place}" for place, each in enumerate(columns, 1) if each.is_measure)]
        ),
    )
    label = "All tracks"
    tools = element(
        "p",
        element("input", type="search", placeholder="Filter by any words", aria_label="Filter the tracks"),
        element("output", counted(len(table.rows)), role="status"),
        class_="tools",
    )
    scrolled = element("div", shown, class_="scroll", tabindex="0", role="region", aria_label=label)
    notes = joined(*(element("p", each, class_="note") for each in (_rest(table, file), note) if each))
    return element(
        "section", element("h2", label), tools, scrolled, notes, class_="panel all-tracks", id="tracks"
    )


def write_track_file(path: Path, columns: Sequence[TrackColumn], rows: Iterable[Sequence[Cell]]) -> None:
    """Write tracks as CSV, in bounded memory; lengths are in seconds.

    A text that a spreadsheet would take for a formula has a quote before it.
    """
    with disk_guarded(path.parent), path.open("w", encoding="utf-8", newline="", errors="replace") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(each.heading for each in columns)
        table.writerows([_csv_cell(cell) for cell in row] for row in rows)


def _rest(table: TrackTable, file: TrackFile | None) -> Html | str:
    if table.total <= len(table.rows) or file is None:
        return ""
    where = element("code", file.name) if file.link is None else element("a", file.name, href=file.link)
    return joined(f"The first {len(table.rows):,} of {counted(table.total)}; ", where, " has all of them.")


def _row(columns: Sequence[TrackColumn], cells: Sequence[Cell]) -> Html:
    # Written at once: thousands of rows of `element` take seconds.
    written = "".join(f"<td>{_shown(column, cell)}</td>" for column, cell in zip(columns, cells, strict=True))
    return Html(f"<tr>{written}</tr>")


def _shown(column: TrackColumn, cell: Cell) -> Html:
    if cell is None:
        return Html()
    if isinstance(cell, str):
        told = text(clipped(without_secrets(cell), _LONGEST))
        return Html(f'<i class="s-{told}"></i>{told}') if column.kind == "state" else told
    if column.kind == "clock":
        minutes, rest = divmod(round(cell), 60)
        return Html(f"{minutes}:{rest:02d}")
    return Html(f"{cell:,}" if isinstance(cell, int) else f"{cell:,.1f}")


def _csv_cell(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return cell
    told = without_secrets(cell).replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return f"'{told}" if told.startswith(_FORMULA) else told
