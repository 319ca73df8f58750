"""What a run finds half done when it starts: the reads that recovery works through."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, select

from stemline.ledger.lease import Leases
from stemline.ledger.row import attempt_from_row, attempts_with_tracks, job_from_row
from stemline.ledger.schema import attempts, leases
from stemline.records import Attempt, ReadyTrack, State


class Recovery(Leases):
    """The reads of what is under way; `key_id` None means any key's."""

    def never_sent(self, provider: str, key_id: str | None = None) -> list[Attempt]:
        """Give intents whose paid request never left: safe to release."""
        return self._attempts(provider, key_id, State.SUBMITTING, attempts.c.sent_at.is_(None))

    def ambiguous(self, provider: str, key_id: str | None = None) -> list[Attempt]:
        """Give attempts that were sent and have no job: the provider must be asked before anything else."""
        return self._attempts(provider, key_id, State.SUBMITTING, attempts.c.sent_at.is_not(None))

    def unknown(self, provider: str, key_id: str | None = None) -> list[Attempt]:
        """Give attempts whose submit could not be settled."""
        return self._attempts(provider, key_id, State.UNKNOWN)

    def in_flight(self, provider: str, key_id: str | None = None) -> list[Attempt]:
        """Give attempts whose job the provider is working on, oldest first."""
        return self._attempts(provider, key_id, State.PROCESSING)

    def ready_uncollected(self, provider: str, key_id: str | None = None) -> list[ReadyTrack]:
        """Give what is paid and not collected, soonest-expiring first; its jobs carry no links."""
        query = (
            attempts_with_tracks()
            .where(*_chosen(provider, key_id, State.READY))
            .order_by(attempts.c.ready_at, attempts.c.token)
        )
        with self.read() as connection:
            return [
                ReadyTrack(attempt_from_row(row), job_from_row(row))
                for row in connection.execute(query).mappings()
            ]

    def strays(self, provider: str, key_ids: Collection[str]) -> list[Attempt]:
        """Give attempts under way that were made with another API key than these, which no run holds: a key replaced.

        They are in flight, ready, sent without an answer, or never sent.
        """
        now = self.clock()
        held = select(leases.c.key_id).where(leases.c.expires_at > now)
        query = (
            attempts_with_tracks()
            .where(attempts.c.provider == provider)
            .where(attempts.c.state.in_([State.SUBMITTING, State.PROCESSING, State.READY]))
            .where(attempts.c.key_id.not_in(list(key_ids)), attempts.c.key_id.not_in(held))
            .order_by(attempts.c.reserved_at, attempts.c.token)
        )
        with self.read() as connection:
            return [attempt_from_row(row) for row in connection.execute(query).mappings()]

    def find_by_job(self, provider: str, job_id: str) -> Attempt | None:
        """Give the attempt a job belongs to."""
        query = attempts_with_tracks().where(attempts.c.provider == provider, attempts.c.job_id == job_id)
        with self.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else attempt_from_row(row)

    def attempts_of(self, provider: str, track_id: str) -> list[Attempt]:
        """Give every attempt of a track, first to last."""
        query = (
            attempts_with_tracks()
            .where(attempts.c.provider == provider, attempts.c.track_id == track_id)
            .order_by(attempts.c.recipe, attempts.c.number)
        )
        with self.read() as connection:
            return [attempt_from_row(row) for row in connection.execute(query).mappings()]

    def key_of(self, token: str) -> str | None:
        """Give the fingerprint of the API key an attempt was made with; None where none was noted."""
        with self.read() as connection:
            return connection.execute(
                select(attempts.c.key_id).where(attempts.c.token == token)
            ).scalar_one_or_none()

    def attempt_state(self, token: str) -> str | None:
        """Give an attempt's state (a State's word or `released`); None for an unknown token."""
        with self.read() as connection:
            return connection.execute(
                select(attempts.c.state).where(attempts.c.token == token)
            ).scalar_one_or_none()

    def _attempts(
        self, provider: str, key_id: str | None, state: State, *further: ColumnElement[bool]
    ) -> list[Attempt]:
        query = (
            attempts_with_tracks()
            .where(*_chosen(provider, key_id, state), *further)
            .order_by(attempts.c.reserved_at, attempts.c.token)
        )
        with self.read() as connection:
            return [attempt_from_row(row) for row in connection.execute(query).mappings()]


def _chosen(provider: str, key_id: str | None, state: State) -> tuple[ColumnElement[bool], ...]:
    chosen = (attempts.c.provider == provider, attempts.c.state == state)
    return chosen if key_id is None else (*chosen, attempts.c.key_id == key_id)
