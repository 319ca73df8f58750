"""The intent to pay, as it is written: the attempt, its credits, and the track that moves, in one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from stemline.errors import LedgerConflict
from stemline.ledger import credit
from stemline.ledger.membership import is_waiting
from stemline.ledger.planning import MEASURED
from stemline.ledger.remake import token_replaced
from stemline.ledger.row_mapping import track_cells
from stemline.ledger.run import find_run
from stemline.ledger.tables import TRACK_KEY, Cells, attempts, tracks
from stemline.ledger.transition import LedgerEvent, same_track, write_event
from stemline.records import Code, State, Track


def is_reserved(connection: Connection, token: str, run_id: str, track: Track) -> bool:
    """Tell whether this very intent is there, and its request has not left."""
    mine = (attempts.c.token == token, attempts.c.run_id == run_id, attempts.c.track_id == track.track_id)
    never_sent = (attempts.c.state == State.SUBMITTING, attempts.c.sent_at.is_(None))
    query = select(attempts.c.token).where(*mine, *never_sent)
    return connection.execute(query).first() is not None


def write_intent(connection: Connection, now: datetime, owner: Cells, track: Track, amount: int) -> None:
    """Write the attempt that `owner` names, with its credits; raises LedgerConflict for a track that is not planned."""
    before = _require_waiting(connection, owner)
    connection.execute(attempts.insert(), [_attempt_cells(connection, now, owner, amount)])
    credit.reserve(connection, now, owner, amount)
    _move_track(connection, now, owner, track)
    change = LedgerEvent("reserve", before, State.SUBMITTING, {"credits": amount})
    write_event(connection, now, owner, change)


def _require_waiting(connection: Connection, owner: Cells) -> str:
    """Give the state of a track that may be sent; raises LedgerConflict for one that may not."""
    query = select(tracks.c.state, is_waiting(find_run(connection, owner["run_id"]))).where(same_track(owner))
    state, may_be_sent = connection.execute(query).one_or_none() or (None, False)
    if not may_be_sent:
        message = f"Track {owner['track_id']} is {state or 'not in the ledger'}, not planned."
        raise LedgerConflict(message)
    return str(state)


def _attempt_cells(connection: Connection, now: datetime, owner: Cells, amount: int) -> dict[str, Any]:
    earlier = select(func.coalesce(func.max(attempts.c.number), 0)).where(
        *(attempts.c[name] == owner[name] for name in TRACK_KEY)
    )
    return {
        **owner,
        "number": connection.execute(earlier).scalar_one() + 1,
        "replaces": token_replaced(connection, owner),
        "state": State.SUBMITTING,
        "code": Code.OK,
        "sentence": "",
        "credits_reserved": amount,
        "is_disputed": False,
        "reserved_at": now,
        "updated_at": now,
    }


def _move_track(connection: Connection, now: datetime, owner: Cells, track: Track) -> None:
    """Move the track, and keep what probing measured of it."""
    measured = {name: value for name, value in track_cells(track).items() if name in MEASURED}
    values = {**measured, "state": State.SUBMITTING, "code": Code.OK, "sentence": "", "updated_at": now}
    connection.execute(tracks.update().where(same_track(owner)).values(**values))
