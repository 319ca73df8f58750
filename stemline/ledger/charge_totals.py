"""What was charged since an instant, from running totals: the same few rows are read after ten charges or ten million.

Each charge is added, in the transaction that books it, to the UTC day, hour and minute of its entry. Since an instant
there are the entries of the rest of its minute, the minutes of the rest of its hour, the hours of the rest of its day,
and the days after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Select, func, select, text, union_all

from stemline.ledger.tables import charge_totals, entries

SPANS = {"day": "%Y-%m-%d", "hour": "%Y-%m-%d %H", "minute": "%Y-%m-%d %H:%M"}
_ADD = text(
    "INSERT INTO charge_totals (provider, span, starts, charged) VALUES (:provider, :span, :starts, :charged) "
    "ON CONFLICT (provider, span, starts) DO UPDATE SET charged = charge_totals.charged + excluded.charged"
)


def add_charges(connection: Connection, charges: Iterable[tuple[str, datetime, int]]) -> None:
    """Add charges, each with its provider and the instant of its entry, to the totals."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for provider, at, charged in charges:
        if charged:
            sums.update({(provider, span, _start(span, at)): charged for span in SPANS})
    rows = [
        {"provider": provider, "span": span, "starts": starts, "charged": charged}
        for (provider, span, starts), charged in sums.items()
    ]
    if rows:
        connection.execute(_ADD, rows)


def charged_since(connection: Connection, provider: str, instant: datetime) -> int:
    """Give the sum of a provider's charges whose entries are of this instant or later."""
    minute = instant.astimezone(UTC).replace(second=0, microsecond=0)
    begun = select(func.coalesce(func.sum(entries.c.amount), 0)).where(
        entries.c.provider == provider,
        entries.c.kind == "charge",
        entries.c.at >= instant,
        entries.c.at < minute + timedelta(minutes=1),
    )
    whole = [
        _charged_in("minute", provider, minute, minute.replace(minute=59)),
        _charged_in("hour", provider, minute, minute.replace(hour=23)),
        _charged_in("day", provider, minute, None),
    ]
    # Each is a range of the table's key by itself; joined by OR they are not.
    return sum(map(int, connection.scalars(union_all(begun, *whole))))


def _charged_in(span: str, provider: str, begun: datetime, last: datetime | None) -> Select[tuple[int]]:
    """Give the query for what was charged in the spans of a kind behind one that has begun, up to a last one."""
    starts = charge_totals.c.starts
    upper = [] if last is None else [starts <= _start(span, last)]
    return select(func.coalesce(func.sum(charge_totals.c.charged), 0)).where(
        charge_totals.c.provider == provider,
        charge_totals.c.span == span,
        starts > _start(span, begun),
        *upper,
    )


def _start(span: str, instant: datetime) -> str:
    return instant.astimezone(UTC).strftime(SPANS[span])
