"""Tracks that are made again: published, and paid for once more because somebody asks for just that.

The attempt whose stems are in the tables stays published until those of the new one are: only then it is superseded.
What the tables have of a track stands in `tracks.published_as` meanwhile, so that it can go back to that.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, not_, select, update

from stemline.ledger.database import LedgerDatabase
from stemline.ledger.dataset_registry import discount_track, lies_in
from stemline.ledger.holdings import HeldAttempt, is_superseded
from stemline.ledger.lookup import one_of, these_tracks
from stemline.ledger.membership import of_living_runs, of_run
from stemline.ledger.part import merged_batches
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.run import find_run
from stemline.ledger.tables import SAME_TRACK, TRACK_KEY, Cells, attempts, tracks
from stemline.ledger.transition import (
    RELEASED,
    LedgerEvent,
    TrackTransition,
    move_tracks,
    write_event,
)
from stemline.records import Code, Recipe, State

KEPT = ("location", "duration_seconds", "size_bytes", "credits", "columns")
"""What is kept of a track as the tables have it."""
ASKED = (
    "It is in the dataset, and made again because that was asked for; until then its stems stay as they are."
)
LEFT = "It was to be made again, and nobody asks for that any more."
IN_VAIN = (State.FAILED, State.REJECTED, State.QUARANTINED, State.EXPIRED)
"""Where making a track again may end without new stems."""
WAITING = (State.PLANNED, State.HELD)
IDLE = frozenset({*WAITING, State.FAILED, State.REJECTED})
TRACKS_A_SLICE = 1_000
IS_REMADE = tracks.c.published_as.is_not(None)
"""The clause for tracks that are made again."""


@dataclass(frozen=True, slots=True)
class ReplacedRows:
    """Whose older rows a batch replaces, and the names of the parts in which these should lie."""

    track_ids: frozenset[str]
    batch_ids: frozenset[str]


@repeating_verbs
class Remakes:
    """The verbs about tracks that are made again, beside those that any track goes through."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def numbers(self, provider: str, recipe: Recipe, track_ids: Collection[str]) -> dict[str, int]:
        """Give the number of each track's newest attempt (of at most 10,000), as `tracks.plan` takes it for `again`."""
        with self._database.read() as connection:
            return newest_numbers(connection, {"provider": provider, "recipe": recipe.name}, track_ids)

    def idle(self, provider: str, recipe: Recipe, track_ids: Collection[str]) -> set[str]:
        """Give which of these tracks (at most 10,000) are to be made again and not under way: a run lets them stand."""
        some = these_tracks({"provider": provider, "recipe": recipe.name}, track_ids)
        query = select(tracks.c.track_id).where(some, IS_REMADE, tracks.c.state.in_(IDLE))
        with self._database.read() as connection:
            return set(connection.scalars(query))

    def among(self, tokens: Collection[str]) -> set[str]:
        """Give which of these attempts make a track again."""
        query = select(attempts.c.token).join(tracks, SAME_TRACK)
        with self._database.read() as connection:
            return set(connection.scalars(query.where(one_of(attempts.c.token, tokens), IS_REMADE)))

    def end_in_vain(self, run_id: str) -> int:
        """Let those of a run's tracks count as published again that could not be made again; give how many."""
        stood = 0
        while True:
            with self._database.write() as connection:
                mine = of_run(find_run(connection, run_id))
                some = self._stand(connection, and_(mine, IS_REMADE, tracks.c.state.in_(IN_VAIN)))
            stood += some
            if some < TRACKS_A_SLICE:
                return stood

    def give_up(self, provider: str, recipe: Recipe, track_ids: Collection[str], run_id: str = "") -> int:
        """Let tracks count as published again that were to be made again and are not under way; give how many.

        What is under way is paid, and takes its course. What a living run other than `run_id` is about is left to that.
        """
        key = {"provider": provider, "recipe": recipe.name}
        wanted, given_up = sorted(track_ids), 0
        for start in range(0, len(wanted), TRACKS_A_SLICE):
            some = these_tracks(key, wanted[start : start + TRACKS_A_SLICE])
            with self._database.write() as connection:
                others = of_living_runs(run_id, self._database.shared_now(connection))
                idle = and_(IS_REMADE, tracks.c.state.in_([*WAITING, *IN_VAIN]), not_(others))
                given_up += self._stand(connection, and_(some, idle), LEFT)
        return given_up

    def waiting(self, provider: str, recipe: Recipe, limit: int) -> tuple[list[str], list[str]]:
        """Give what was collected to replace older stems: batches that were opened, and the next tokens in none."""
        mine = and_(
            attempts.c.provider == provider,
            attempts.c.recipe == recipe.name,
            attempts.c.state == State.COLLECTED,
            IS_REMADE,
            lies_in(self._database.destination),
        )
        opened = select(attempts.c.batch_id).join(tracks, SAME_TRACK).where(mine).distinct()
        free = select(attempts.c.token).join(tracks, SAME_TRACK).where(mine, attempts.c.batch_id.is_(None))
        with self._database.read() as connection:
            found = connection.scalars(opened.where(attempts.c.batch_id.is_not(None)))
            order = (attempts.c.reserved_at, attempts.c.token)
            return sorted(found), list(connection.scalars(free.order_by(*order).limit(limit)))

    def replaced(self, batch_id: str) -> ReplacedRows:
        """Give whose rows a batch replaces, and where these should lie: another ledger may have merged them since."""
        new = attempts.alias("new")
        same = and_(*(new.c[name] == attempts.c[name] for name in TRACK_KEY))
        theirs = select(new.c.token).where(same, new.c.batch_id == batch_id).correlate(attempts).exists()
        old = select(attempts.c.batch_id).where(theirs, attempts.c.state == State.PUBLISHED)
        members = select(attempts.c.track_id).where(attempts.c.batch_id == batch_id)
        with self._database.read() as connection:
            names = {name for name in connection.scalars(old.distinct()) if name is not None}
            merged = merged_batches(connection, names)
            ids = frozenset(connection.scalars(members))
        return ReplacedRows(ids, frozenset(merged.get(name, name) for name in names))

    def superseded(self) -> Iterator[Sequence[HeldAttempt]]:
        """Give the attempts whose stems were replaced and whose audio may still be there, some at a time."""
        columns = [attempts.c[name] for name in HeldAttempt.__slots__]
        mine = and_(is_superseded(), lies_in(self._database.destination))
        after = ""
        while True:
            query = select(*columns).where(mine, attempts.c.token > after).order_by(attempts.c.token)
            with self._database.read() as connection:
                some = [HeldAttempt(*row) for row in connection.execute(query.limit(TRACKS_A_SLICE))]
            if not some:
                return
            yield some
            after = some[-1].token

    def book_removed(self, tokens: Collection[str]) -> None:
        """Note that the audio of superseded attempts is gone, or is left to the releases that name it."""
        mine = and_(one_of(attempts.c.token, tokens), is_superseded())
        with self._database.write() as connection:
            connection.execute(attempts.update().where(mine).values(result=None))

    def _stand(self, connection: Connection, chosen: ColumnElement[bool], sentence: str = "") -> int:
        """Let the first of the chosen tracks stand, as many as one transaction takes; give how many."""
        query = select(tracks).where(chosen).limit(TRACKS_A_SLICE)
        rows = connection.execute(query).mappings().all()
        stand(connection, self._database.clock(), rows, sentence)
        return len(rows)


def newest_numbers(
    connection: Connection, key: Cells, track_ids: Collection[str], *, with_released: bool = False
) -> dict[str, int]:
    """Give the number of each track's newest attempt; what was released was never accepted, and seldom counts."""
    query = (
        select(attempts.c.track_id, func.max(attempts.c.number))
        .where(attempts.c.provider == key["provider"], attempts.c.recipe == key["recipe"])
        .where(one_of(attempts.c.track_id, track_ids))
        .group_by(attempts.c.track_id)
    )
    if not with_released:
        query = query.where(attempts.c.state != RELEASED)
    return {track_id: int(number) for track_id, number in connection.execute(query)}


def token_replaced(connection: Connection, key: Cells) -> str | None:
    """Give the published attempt whose stems a new one of a track is to replace; None where that is not made again."""
    mine = (attempts.c.state == State.PUBLISHED, *(attempts.c[name] == key[name] for name in TRACK_KEY))
    query = select(attempts.c.token).join(tracks, SAME_TRACK).where(*mine, IS_REMADE)
    return connection.execute(query).scalar_one_or_none()


def begin(connection: Connection, now: datetime, run: Cells, wanted: Mapping[str, int]) -> set[str]:
    """Plan published tracks again whose newest attempt still has the number that is said; give which."""
    if not wanted:
        return set()
    numbers = newest_numbers(connection, run, wanted)
    asked = [track_id for track_id, number in wanted.items() if numbers.get(track_id) == number]
    chosen = and_(these_tracks(run, asked), tracks.c.state == State.PUBLISHED)
    query = select(tracks.c.track_id, *(tracks.c[name] for name in KEPT)).where(chosen)
    rows = connection.execute(query).mappings().all()
    if not rows:
        return set()
    again = TrackTransition("make_again", State.PLANNED, sentence=ASKED, run_id=run["run_id"])
    move_tracks(connection, now, and_(these_tracks(run, [row["track_id"] for row in rows]), chosen), again)
    cells = [
        {"the_track": row["track_id"], "kept": json.dumps({name: row[name] for name in KEPT})} for row in rows
    ]
    one = and_(
        *(tracks.c[name] == run[name] for name in TRACK_KEY[1:]), tracks.c.track_id == bindparam("the_track")
    )
    connection.execute(update(tracks).where(one).values(published_as=bindparam("kept"), failures=0), cells)
    return {row["track_id"] for row in rows}


def leave(
    connection: Connection, times: tuple[datetime, datetime], run: Cells, track_ids: Collection[str]
) -> set[str]:
    """Give which of these tracks count as published for a run that does not ask for them to be made again.

    What nobody is at any more stands as published from now on; what another living run is to make again is left to
    that. `times` are now, and now by the clock of the leases.
    """
    if not track_ids:
        return set()
    now, shared_now = times
    others = of_living_runs(run["run_id"], shared_now)
    mine = and_(these_tracks(run, track_ids), IS_REMADE, tracks.c.state.in_(IDLE))
    rows = connection.execute(select(tracks, others.label("is_others")).where(mine)).mappings().all()
    stand(connection, now, [row for row in rows if not row["is_others"]], LEFT)
    return {row["track_id"] for row in rows}


def stand(connection: Connection, now: datetime, rows: Sequence[Cells], sentence: str = "") -> None:
    """Let tracks that were to be made again count as published as they are; where one failed, it says itself why."""
    by_sentence: dict[tuple[str, str, str], list[Cells]] = {}
    for row in rows:
        why = row["sentence"] if row["state"] in IN_VAIN and row["sentence"] else sentence
        told = f"It could not be made again, and its stems are those from before. {why}".strip()
        by_sentence.setdefault((row["recipe"], row["provider"], told), []).append(row)
    for (recipe, provider, told), some in by_sentence.items():
        key = {"recipe": recipe, "provider": provider}
        stood = TrackTransition("stand", State.PUBLISHED, Code.NOT_MADE_AGAIN, told)
        move_tracks(connection, now, these_tracks(key, [row["track_id"] for row in some]), stood)
        _restore(connection, key, some)


def _restore(connection: Connection, key: Cells, rows: Iterable[Cells]) -> None:
    """Have tracks be again what the tables have of them."""
    cells = [
        {
            "the_track": row["track_id"],
            **{f"kept_{name}": value for name, value in json.loads(row["published_as"]).items()},
        }
        for row in rows
    ]
    one = and_(
        tracks.c.provider == key["provider"],
        tracks.c.recipe == key["recipe"],
        tracks.c.track_id == bindparam("the_track"),
    )
    values: dict[str, Any] = {name: bindparam(f"kept_{name}") for name in KEPT}
    connection.execute(update(tracks).where(one).values(**values, published_as=None), cells)


def keep_standing(connection: Connection, attempt: Cells) -> None:
    """Note that a track's stems in the tables stay until those of an attempt, which somebody accepts, replace them."""
    mine = and_(*(tracks.c[name] == attempt[name] for name in TRACK_KEY), tracks.c.state == State.PUBLISHED)
    row = connection.execute(select(tracks).where(mine)).mappings().first()
    if row is not None:
        kept = json.dumps({name: row[name] for name in KEPT})
        connection.execute(update(tracks).where(mine).values(published_as=kept))


def supersede(connection: Connection, now: datetime, database: LedgerDatabase, batch_id: str) -> None:
    """End the attempts whose stems those of a batch have replaced in the tables: what was paid stays booked."""
    new = attempts.alias("new")
    same: ColumnElement[bool] = and_(*(new.c[name] == attempts.c[name] for name in TRACK_KEY))
    theirs = select(new.c.token).where(same, new.c.batch_id == batch_id, new.c.state == State.COLLECTED)
    old = select(attempts).where(theirs.correlate(attempts).exists(), attempts.c.state == State.PUBLISHED)
    rows = connection.execute(old).mappings().all()
    ended = {
        "state": State.EXPIRED,
        "code": Code.SUPERSEDED,
        "sentence": "",
        "batch_id": None,
        "updated_at": now,
    }
    for row in rows:
        connection.execute(attempts.update().where(attempts.c.token == row["token"]).values(**ended))
        discount_track(connection, database.destination, row)
        write_event(connection, now, row, LedgerEvent("supersede", State.PUBLISHED, State.EXPIRED))
        mine = and_(*(tracks.c[name] == row[name] for name in TRACK_KEY))
        connection.execute(tracks.update().where(mine).values(published_as=None))
    replaced = attempts.update().where(attempts.c.batch_id == batch_id, attempts.c.replaces.is_not(None))
    connection.execute(replaced.values(replaces=None))
