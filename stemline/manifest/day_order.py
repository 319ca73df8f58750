"""Days as spreadsheets write them, `31.12.2006` and `12/31/2006`: read where the whole column tells their order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

import duckdb

from stemline.manifest.lines import PROBLEM, ROW
from stemline.manifest.manifest_source import ManifestSource
from stemline.manifest.value_forms import literal, quoted

RELEASED_ON = "released_on"
_WRITTEN = re.compile(r"([0-9]{1,2})([./-])([0-9]{1,2})\2([0-9]{4})")
_WRITTEN_SQL = " OR ".join(
    f"regexp_full_match({{x}}, '[0-9]{{{{1,2}}}}[{mark}][0-9]{{{{1,2}}}}[{mark}][0-9]{{{{4}}}}')"
    for mark in "./-"
)
_ISO = re.compile(r"[0-9]{4}([.]0|-[0-9]{2}(-[0-9]{2}([T ].*)?)?)?|[0-9]{8}")
"""A day as we write it; a year or a month alone, and an instant, are compared rightly as text too."""
_MOST_TEXTS = 100_000
"""Of days, three centuries have no more; a column of more texts than that holds none."""


@dataclass(frozen=True, slots=True)
class DayOrder:
    """In which order days are written, with one that tells."""

    is_month_first: bool
    text: str
    day: date

    @property
    def words(self) -> str:
        """Say how they are read."""
        return f"{'month' if self.is_month_first else 'day'} first: {self.text} is {self.day.isoformat()}"


def find_order(texts: Iterable[str]) -> DayOrder | None:
    """Give the one order in which all texts of this kind are days; None: there are none, or it does not show.

    A `.` stands between day, month and year alone; of the other marks, a day above 12 tells. What is written otherwise
    tells nothing.
    """
    found = [match for text in texts if (match := _WRITTEN.fullmatch(text))]
    days = [(match[0], [_day(match, is_month_first=order) for order in (False, True)]) for match in found]
    possible = [order for order in (False, True) if all(each[order] for _, each in days)]
    if len(possible) != 1:  # of no texts both are
        return None
    (order,) = possible
    return next(
        DayOrder(order, text, day) for text, each in days if not each[not order] and (day := each[order])
    )


def is_written_day(text: str) -> bool:
    """Tell whether text has the form of a day that an order has to be found for."""
    return _WRITTEN.fullmatch(text) is not None


def _day(found: re.Match[str], *, is_month_first: bool) -> date | None:
    first, mark, second, year = found.groups()
    if is_month_first and mark == ".":
        return None
    day, month = (second, first) if is_month_first else (first, second)
    with suppress(ValueError):
        return date(int(year), int(month), int(day))
    return None


def rewrite_days(
    database: duckdb.DuckDBPyConnection, names: Iterable[str], source: ManifestSource
) -> Iterator[str]:
    """Have the table `raw` show days of `released_on` in ISO form where their order shows; say what was done.

    `names` are its columns by our names. Where the order does not show the texts stay, and it is said when a filter or
    an order would compare them.
    """
    name = next((name for name in names if name.strip().lower() == RELEASED_ON), None)
    if name is None or (texts := _texts(database, name)) is None:
        return
    others = {text: row for text, row in texts.items() if not _ISO.fullmatch(text)}
    if (order := find_order(texts)) is not None:
        _show_iso(database, name, order)
        yield f"{RELEASED_ON} is read {order.words}."
        others = {text: row for text, row in others.items() if not is_written_day(text)}
    asked = {"The filter (catalogue.where or --where)": source.where, "catalogue.order_by": source.order_by}
    known_as = [RELEASED_ON, source.columns.get(RELEASED_ON, RELEASED_ON)]
    for key, expression in asked.items():
        if others and any(each.lower() in (expression or "").lower() for each in known_as):
            text, row = min(others.items(), key=lambda each: each[1])
            yield (
                f'{key} compares {RELEASED_ON} as text: row {row} has "{text[:40]}". '
                "Write its days as 2006-12-31 to have them compared as days."
            )


def _texts(database: duckdb.DuckDBPyConnection, name: str) -> dict[str, int] | None:
    """Give the different texts of a column, each with its first row; None where it is not of text, or has too many."""
    if str(database.sql(f"SELECT {quoted(name)} FROM raw LIMIT 0").types[0]) != "VARCHAR":
        return None
    x = f"trim({quoted(name)})"
    found = database.execute(
        f"SELECT left({x}, 64) AS text, min({ROW}) FROM raw WHERE {x} <> '' AND {PROBLEM} IS NULL "
        f"GROUP BY 1 LIMIT {_MOST_TEXTS + 1}"
    ).fetchall()
    return None if len(found) > _MOST_TEXTS else dict(sorted(found, key=lambda each: each[1]))


def _show_iso(database: duckdb.DuckDBPyConnection, name: str, order: DayOrder) -> None:
    ((kind,),) = database.execute(
        "SELECT table_type FROM information_schema.tables WHERE table_name = 'raw'"
    ).fetchall()
    x = f"trim({quoted(name)})"
    form = literal("%m/%d/%Y" if order.is_month_first else "%d/%m/%Y")
    day = f"try_strptime(regexp_replace({x}, '[.-]', '/', 'g'), {form})::DATE::VARCHAR"
    shown = f"CASE WHEN {_WRITTEN_SQL.format(x=x)} THEN {day} ELSE {quoted(name)} END AS {quoted(name)}"
    database.execute(f"ALTER {'VIEW' if kind == 'VIEW' else 'TABLE'} raw RENAME TO as_dated")
    database.execute(f"CREATE VIEW raw AS SELECT * REPLACE ({shown}) FROM as_dated")
