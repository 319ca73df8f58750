"""Recovery: the reads of what an earlier run, or another one, left under way."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Select, and_, func, select

from stemline.ledger.database import LedgerDatabase
from stemline.ledger.membership import of_run
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import attempt_from_row, attempts_with_tracks, job_from_row
from stemline.ledger.run import find_run
from stemline.ledger.tables import SAME_TRACK, attempts, events, leases, tracks
from stemline.records import Attempt, ReadyTrack, State

UNDER_WAY = (State.SUBMITTING, State.UNKNOWN, State.PROCESSING, State.READY)
"""The states of attempts that the reads below give."""
_WITH_A_RUN = (State.SUBMITTING, State.PROCESSING, State.READY, State.COLLECTED)


@repeating_verbs
class Recovery:
    """What a run finds under way when it starts; `key_id` None means any key's."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def has_any(self, provider: str) -> bool:
        """Tell whether anything at all is under way, whichever key it was made with."""
        query = select(attempts.c.token).where(
            attempts.c.provider == provider, attempts.c.state.in_(UNDER_WAY)
        )
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def never_sent(self, provider: str, key_id: str | None = None) -> list[Attempt]:
        """Give intents whose paid request never left: safe to release."""
        return self._attempts(provider, key_id, State.SUBMITTING, attempts.c.sent_at.is_(None))

    def unanswered(self, provider: str, key_id: str | None = None) -> list[Attempt]:
        """Give attempts that were sent and have no job: the provider must be asked before anything else."""
        return self._attempts(provider, key_id, State.SUBMITTING, attempts.c.sent_at.is_not(None))

    def unknown(self, provider: str, key_id: str | None = None) -> list[Attempt]:
        """Give attempts whose submit could not be resolved."""
        return self._attempts(provider, key_id, State.UNKNOWN)

    def in_flight(self, provider: str, key_id: str | None = None) -> list[Attempt]:
        """Give attempts whose job the provider is working on, oldest first."""
        return self._attempts(provider, key_id, State.PROCESSING)

    def ready(self, provider: str, key_id: str | None = None) -> list[ReadyTrack]:
        """Give what is paid and not collected, soonest-expiring first; its jobs carry no links."""
        query = (
            attempts_with_tracks()
            .where(*_chosen(provider, key_id, State.READY))
            .order_by(attempts.c.ready_at, attempts.c.token)
        )
        with self._database.read() as connection:
            return [
                ReadyTrack(attempt_from_row(row), job_from_row(row))
                for row in connection.execute(query).mappings()
            ]

    def orphans(self, provider: str, key_ids: Collection[str]) -> list[Attempt]:
        """Give attempts under way that were made with another API key than these, which no run holds: a key replaced.

        They are in flight, ready, sent without an answer, or never sent.
        """
        query = (
            attempts_with_tracks()
            .where(attempts.c.provider == provider)
            .where(attempts.c.state.in_([State.SUBMITTING, State.PROCESSING, State.READY]))
            .order_by(attempts.c.reserved_at, attempts.c.token)
        )
        with self._database.read() as connection:
            now = self._database.shared_now(connection)
            held = select(leases.c.key_id).where(leases.c.expires_at > now)
            query = query.where(attempts.c.key_id.not_in(list(key_ids)), attempts.c.key_id.not_in(held))
            return [attempt_from_row(row) for row in connection.execute(query).mappings()]

    def under_way_elsewhere(self, run_id: str, key_ids: Collection[str]) -> int:
        """Give how many of a run's tracks another run is at: with an API key that is held and is none of these."""
        ours = attempts.c.key_id.not_in(list(key_ids))
        with self._database.read() as connection:
            now = self._database.shared_now(connection)
            held = select(leases.c.key_id).where(leases.c.expires_at > now)
            query = (
                select(func.count())
                .select_from(attempts.join(tracks, SAME_TRACK))
                .where(of_run(find_run(connection, run_id)), attempts.c.state.in_(_WITH_A_RUN))
                .where(ours, attempts.c.key_id.in_(held))
            )
            return connection.execute(query).scalar_one()

    def is_answered_before(self, provider: str, job_id: str, token: str) -> bool:
        """Tell whether a job was known before an attempt's paid request left; False where that is kept no more.

        By the order in which the ledger's only writer wrote both down, which no clock is needed for.
        """
        answered = _first_event("record_submission").where(
            attempts.c.provider == provider, attempts.c.job_id == job_id
        )
        sent = _first_event("mark_sending").where(attempts.c.token == token)
        with self._database.read() as connection:
            first, second = connection.scalar(answered), connection.scalar(sent)
        return first is not None and second is not None and first < second

    def _attempts(
        self, provider: str, key_id: str | None, state: State, *further: ColumnElement[bool]
    ) -> list[Attempt]:
        query = (
            attempts_with_tracks()
            .where(*_chosen(provider, key_id, state), *further)
            .order_by(attempts.c.reserved_at, attempts.c.token)
        )
        with self._database.read() as connection:
            return [attempt_from_row(row) for row in connection.execute(query).mappings()]


def _chosen(provider: str, key_id: str | None, state: State) -> tuple[ColumnElement[bool], ...]:
    chosen = (attempts.c.provider == provider, attempts.c.state == state)
    return chosen if key_id is None else (*chosen, attempts.c.key_id == key_id)


def _first_event(verb: str) -> Select[tuple[int | None]]:
    """Give the query for the place of an attempt's first event of a kind, which of them is still to be said."""
    same = and_(events.c.track_id == attempts.c.track_id, events.c.token == attempts.c.token)
    return (
        select(func.min(events.c.event_id))
        .select_from(attempts.join(events, same))
        .where(events.c.verb == verb)
    )
