"""The order of a backfill's rows: numbered by one statement, when it is frozen and whenever a person changes it."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from stemline.ledger.backfill_record import BackfillOrder
from stemline.ledger.tables import backfill_tracks


def put_in_order(connection: Connection, name: str, order: BackfillOrder) -> None:
    """Number a backfill's rows by who goes first; rows without a date go last, equals by date and as they came."""
    dated, position = backfill_tracks.c.dated, backfill_tracks.c.position
    newest = (dated.is_(None), dated.desc())
    keys = {
        BackfillOrder.NEWEST: newest,
        BackfillOrder.OLDEST: (dated.is_(None), dated),
        BackfillOrder.PRIORITY: (backfill_tracks.c.priority.desc(), *newest),
        BackfillOrder.SHORTEST: (
            backfill_tracks.c.duration_seconds.is_(None),
            backfill_tracks.c.duration_seconds,
            *newest,
        ),
    }[order]
    place = func.row_number().over(order_by=[*keys, position, backfill_tracks.c.track_id])
    numbered = (
        select(backfill_tracks.c.track_id, place.label("place"))
        .where(backfill_tracks.c.backfill == name)
        .subquery()
    )
    connection.execute(
        backfill_tracks.update()
        .where(backfill_tracks.c.backfill == name, backfill_tracks.c.track_id == numbered.c.track_id)
        .values(position=numbered.c.place)
    )
