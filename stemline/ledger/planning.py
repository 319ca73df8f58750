"""Planning's bulk upsert: manifest rows become planned tracks, or refresh the ones that are there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    bindparam,
    case,
    func,
    literal,
    select,
    update,
)

from stemline.errors import TombstonesAdded
from stemline.ledger.failure import is_for_good
from stemline.ledger.lookup import these_tracks
from stemline.ledger.membership import join_run, of_provider
from stemline.ledger.remake import IDLE, IS_REMADE, begin, leave, newest_numbers
from stemline.ledger.retention import hand_over
from stemline.ledger.row_mapping import track_cells
from stemline.ledger.tables import UtcDateTime, events, tombstones, tracks
from stemline.ledger.transition import TrackTransition, move_tracks
from stemline.records import BAD_ENDS, Code, State, Track

FOLLOWING = ("position", "priority", "columns")
"""What follows the manifest until the track is published."""
MEASURED = ("location", "duration_seconds", "size_bytes", "credits")
"""What stays as it is while an attempt is under way."""


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """What planning did: tracks never seen before, tracks known, and how many of these are planned again."""

    new: int
    known: int
    revived: int


@dataclass(frozen=True, slots=True)
class PlanChunk:
    """Some of a run's manifest rows, as many as one statement takes."""

    run: RowMapping
    rows: Mapping[str, Track]
    max_attempts: int
    away: Mapping[str, str] = field(default_factory=dict)
    """Of those whose source cannot be reached now, why."""
    again: Mapping[str, int] = field(default_factory=dict)
    """Of those that are made again whatever became of them, the number of the newest attempt there may be."""
    shared_now: datetime | None = None
    """Now, by the clock of the leases."""

    def clause(self, track_ids: list[str]) -> ColumnElement[bool]:
        """Give the clause for these tracks of the run's recipe and provider."""
        return these_tracks(self.run, track_ids)


def plan_chunk(connection: Connection, now: datetime, chunk: PlanChunk) -> dict[str, int]:
    """Insert and refresh a chunk's tracks; give how many were `new`, `known` and `revived`."""
    found, standing, begun = _read_states(connection, now, chunk)
    members = [track_id for track_id in chunk.rows if track_id not in standing]
    hand_over(connection, chunk.run, members)
    known = _read_known(connection, chunk, [track_id for track_id in found if track_id not in standing])
    last = _last_attempts(connection, chunk, known)
    new = [row for track_id, row in chunk.rows.items() if track_id not in found]
    revived = [
        track_id
        for track_id, row in known.items()
        if track_id not in chunk.away
        and (_returns(row, chunk) or _is_made_again(row, chunk, last.get(track_id, 0)))
    ]
    _insert(connection, now, chunk, new)
    _refresh(connection, now, chunk, known)
    if revived:
        again = TrackTransition("plan", State.PLANNED, run_id=chunk.run["run_id"])
        move_tracks(connection, now, chunk.clause(revived), again)
    _set_aside(connection, now, chunk)
    join_run(connection, chunk.run["run_id"], members, standing)
    return {"new": len(new), "known": len(found), "revived": len(revived) + len(begun)}


def _read_states(
    connection: Connection, now: datetime, chunk: PlanChunk
) -> tuple[set[str], set[str], set[str]]:
    """Give the tracks that are known, those of them that stand as published, and those made again from now on."""
    states = select(tracks.c.track_id, tracks.c.state, IS_REMADE).where(chunk.clause(list(chunk.rows)))
    rows = connection.execute(states).all()
    published = {track_id for track_id, state, _ in rows if state == State.PUBLISHED}
    wanted = {each: chunk.again[each] for each in published & chunk.again.keys() - chunk.away.keys()}
    begun = begin(connection, now, chunk.run, wanted)
    unwanted = [
        each for each, state, is_remade in rows if is_remade and state in IDLE and each not in chunk.again
    ]
    left = leave(connection, (now, chunk.shared_now or now), chunk.run, unwanted)
    return {track_id for track_id, _, _ in rows}, published - begun | left, begun


def require_tombstones(connection: Connection, known: int | None) -> None:
    """Raise TombstonesAdded where the ledger has others than the rows were held against."""
    if known is None:
        return
    if connection.execute(select(func.count()).select_from(tombstones)).scalar_one() != known:
        message = "Tracks were forgotten since the rows were read."
        raise TombstonesAdded(message)


def _read_known(connection: Connection, chunk: PlanChunk, track_ids: list[str]) -> dict[str, RowMapping]:
    """Give what may change of known tracks: of published ones nothing does, and most of a catalogue is published."""
    if not track_ids:
        return {}
    names = ("track_id", "state", "code", "is_retryable", "failures", "updated_at", *FOLLOWING, *MEASURED)
    query = select(*(tracks.c[name] for name in names)).where(chunk.clause(track_ids))
    return {row["track_id"]: row for row in connection.execute(query).mappings()}


def _last_attempts(connection: Connection, chunk: PlanChunk, known: Collection[str]) -> dict[str, int]:
    """Give the last attempt of each of those tracks that are to be made again; without those that have none."""
    track_ids = chunk.again.keys() & known
    return newest_numbers(connection, chunk.run, track_ids, with_released=True) if track_ids else {}


def _is_made_again(row: RowMapping, chunk: PlanChunk, last_attempt: int) -> bool:
    """Tell whether a person asked for a track that came to a bad end, and none has been made of it since."""
    asked = chunk.again.get(row["track_id"])
    is_over = row["state"] in BAD_ENDS
    return asked is not None and is_over and last_attempt <= asked


def _returns(row: RowMapping, chunk: PlanChunk) -> bool:
    """Tell whether a known track is planned again; what was held before the run began is in line as it stands."""
    if row["state"] == State.FAILED:
        return not is_for_good(
            row["code"],
            is_retryable=row["is_retryable"],
            failures=row["failures"],
            max_attempts=chunk.max_attempts,
        )
    if row["state"] == State.HELD:
        return bool(row["updated_at"] >= chunk.run["started_at"])
    return bool(row["state"] == State.REJECTED)


def _set_aside(connection: Connection, now: datetime, chunk: PlanChunk) -> None:
    """Let those whose source is away fail for this run alone: that is no attempt, and the next run asks again."""
    is_idle = tracks.c.state.in_([State.PLANNED, State.HELD, State.REJECTED])
    by_sentence: dict[str, list[str]] = {}
    for track_id in chunk.away.keys() & chunk.rows.keys():
        by_sentence.setdefault(chunk.away[track_id], []).append(track_id)
    for sentence, track_ids in by_sentence.items():
        failed = TrackTransition(
            "away",
            State.FAILED,
            Code.SOURCE_UNREACHABLE,
            sentence,
            is_retryable=True,
            run_id=chunk.run["run_id"],
        )
        move_tracks(connection, now, and_(chunk.clause(track_ids), is_idle), failed)


def _insert(connection: Connection, now: datetime, chunk: PlanChunk, new: Sequence[Track]) -> None:
    if not new:
        return
    fixed = {
        "recipe": chunk.run["recipe"],
        "provider": chunk.run["provider"],
        "state": State.PLANNED.value,
        "code": Code.OK.value,
        "sentence": "",
        "is_retryable": False,
        "failures": 0,
        "run_id": chunk.run["run_id"],
        "updated_at": now,
    }
    connection.execute(tracks.insert(), [{**track_cells(row), **fixed} for row in new])
    inserted = select(
        literal(now, UtcDateTime()), tracks.c.run_id, tracks.c.track_id, literal("plan"), tracks.c.state
    ).where(chunk.clause([row.track_id for row in new]))
    columns = ["at", "run_id", "track_id", "verb", "to_state"]
    connection.execute(events.insert().from_select(columns, inserted))


def _refresh(
    connection: Connection, now: datetime, chunk: PlanChunk, known: Mapping[str, RowMapping]
) -> None:
    if not known:
        return
    changed = [
        {"the_track": track_id, **{f"new_{name}": value for name, value in cells.items()}}
        for track_id, row in known.items()
        if (cells := _changed_cells(row, chunk.rows[track_id]))
    ]
    if not changed:
        return
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in (*FOLLOWING, *MEASURED)}
    one = and_(of_provider(chunk.run), tracks.c.track_id == bindparam("the_track"))
    since = case((tracks.c.state == State.HELD, tracks.c.updated_at), else_=literal(now, UtcDateTime()))
    connection.execute(update(tracks).where(one).values(**values, updated_at=since), changed)


def _changed_cells(row: RowMapping, track: Track) -> dict[str, Any]:
    """Give the cells a known track has after the manifest was read again; nothing when none differs.

    A manifest without a length does not erase a measured one.
    """
    if row["state"] == State.PUBLISHED:
        return {}
    cells = track_cells(track)
    kept: tuple[str, ...] = () if row["state"] in IDLE else MEASURED
    if row["state"] in IDLE and track.duration_seconds is None:
        kept = ("duration_seconds", "credits")
    if row["state"] in IDLE and track.size_bytes is None:
        kept = (*kept, "size_bytes")
    # The tags of a file that was not opened again; where the tables cannot hold what is kept, the manifest is right.
    if not track.columns and row["code"] != Code.UNPUBLISHABLE:
        kept = (*kept, "columns")
    after = {name: row[name] if name in kept else cells[name] for name in (*FOLLOWING, *MEASURED)}
    return {} if all(row[name] == value for name, value in after.items()) else after
