"""What always holds of a ledger, whatever was done to it: checked after every step."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis.stateful import invariant
from ledger_model import KEYS, LIVE, PROVIDER, LedgerModel, ModelLease
from sqlalchemy import select, text

from stemline.ledger import Ledger
from stemline.ledger.charge_totals import charged_since
from stemline.ledger.tables import entries
from stemline.records import State


class LedgerInvariants:
    """What must hold; a machine says which ledger is read, and keeps the model."""

    ledger: Ledger
    model: LedgerModel
    turn: int

    def ask(self, query: str) -> list[tuple]:
        with self.ledger.database.read() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    @invariant()
    def no_track_has_two_live_attempts(self) -> None:
        live = [one for one in self.model.attempts if one.state in LIVE]
        published = Counter(id(one.row) for one in live if one.state == "published")
        under_way = Counter(id(one.row) for one in live if one.state != "published")
        assert all(count == 1 for count in [*published.values(), *under_way.values()])
        assert all(one.row.is_remade for one in live if id(one.row) in published.keys() & under_way.keys())
        rows = self.ask("SELECT token, state, key_id, is_disputed FROM attempts")
        assert {row[:3] for row in rows} == {
            (one.token, one.state, one.key_id) for one in self.model.attempts
        }
        assert {row[0] for row in rows if row[3]} == {
            one.token for one in self.model.attempts if one.is_disputed
        }

    @invariant()
    def every_attempt_is_charged_once_at_most(self) -> None:
        rows = self.ask("SELECT token, amount FROM credit_entries WHERE kind = 'charge'")
        assert sorted(rows) == sorted(
            (one.token, one.charged) for one in self.model.attempts if one.charged is not None
        )

    @invariant()
    def no_limit_is_passed_and_the_sums_agree(self) -> None:
        model = self.model
        for run_id in model.present_runs:
            seen = self.ledger.credits.spending(run_id, model.limits)
            periods = {"run": f"run:{run_id}", "day": f"day:{model.day}", "month": f"month:{model.day[:7]}"}
            for name, period in periods.items():
                assert getattr(seen, name) == model.spent(period)
                assert model.spent(period).total <= model.rooms[period]
            assert seen.not_in_balance == model.not_in_balance

    @invariant()
    def the_totals_are_the_sums_of_the_entries(self) -> None:
        sums: Counter[tuple[str, str]] = Counter()
        for kind, amount, run, day, month in self.ask(
            "SELECT kind, amount, run_id, day, month FROM credit_entries"
        ):
            column = "charged" if kind == "charge" else "reserved"
            for period in (f"run:{run}", f"day:{day}", f"month:{month}", "all"):
                sums[period, column] += amount
        rows = self.ask("SELECT period, reserved, charged FROM credit_totals")
        kept = {
            (row[0], name): row[place] for row in rows for place, name in ((1, "reserved"), (2, "charged"))
        }
        assert Counter(kept) == sums

    @invariant()
    def what_was_charged_since_any_instant_is_the_sum_of_its_entries(self) -> None:
        query = select(entries.c.at, entries.c.amount).where(entries.c.kind == "charge")
        with self.ledger.database.read() as connection:
            booked = [(row.at, row.amount) for row in connection.execute(query)]
            ends = {at.replace(second=0, microsecond=0) + timedelta(minutes=1) for at, _ in booked}
            for instant in {self.model.now, *(at for at, _ in booked), *ends}:
                expected = sum(amount for at, amount in booked if at >= instant)
                assert charged_since(connection, PROVIDER, instant) == expected

    @invariant()
    def every_row_is_in_exactly_one_state(self) -> None:
        model = self.model
        rows = self.ask("SELECT track_id, recipe, run_id, state, code, is_retryable, failures FROM tracks")
        assert sorted((*row[:5], bool(row[5]), row[6]) for row in rows) == sorted(
            (row.track_id, row.recipe.name, row.run_id, row.state, row.code, row.is_retryable, row.failures)
            for row in model.rows.values()
        )
        for run_id in model.present_runs:
            expected = Counter(row.state for row in model.of_run(run_id))
            expected[State.REJECTED] += model.rejected[run_id]
            expected[State.PUBLISHED] += model.standing[run_id]
            assert Counter(self.ledger.queries.counts(run_id)) == expected
            assert sum(self.ledger.queries.codes(run_id).values()) == expected.total()

    @invariant()
    def what_is_published_is_stored(self) -> None:
        published = {one.token for one in self.model.in_state("published")}
        results = self.ledger.queries.results(published)
        assert {row.attempt.token for row in results} == published
        assert all(row.collected.stems for row in results)
        unpublished = "SELECT batch_id FROM batches WHERE published_at IS NULL"
        assert not self.ask(
            f"SELECT 1 FROM attempts WHERE state = 'published' AND batch_id IN ({unpublished})"
        )

    @invariant()
    def what_is_made_again_has_its_older_stems(self) -> None:
        published = {id(one.row) for one in self.model.in_state("published")}
        remade = [row for row in self.model.rows.values() if row.is_remade]
        assert all(id(row) in published for row in remade)
        assert all(id(row) in published for row in self.model.rows.values() if row.state is State.PUBLISHED)
        rows = self.ask("SELECT track_id, recipe FROM tracks WHERE published_as IS NOT NULL")
        assert sorted(rows) == sorted((row.track_id, row.recipe.name) for row in remade)

    @invariant()
    def what_is_paid_and_not_collected_is_known(self) -> None:
        ended = {"collected", "published", "quarantined", "expired", "failed"}
        owed = {
            one.token for one in self.model.attempts if one.charged is not None and one.state not in ended
        }
        assert {ready.attempt.token for ready in self.ledger.recovery.ready(PROVIDER)} == owed

    @invariant()
    def what_is_under_way_is_known_to_recovery(self) -> None:
        ledger, model = self.ledger, self.model
        for key_id in (None, KEYS[self.turn]):
            begun = model.in_state("submitting", key_id)
            reads = [
                (ledger.recovery.never_sent, [one for one in begun if not one.is_sent]),
                (ledger.recovery.unanswered, [one for one in begun if one.is_sent]),
                (ledger.recovery.unknown, model.in_state("unknown", key_id)),
                (ledger.recovery.in_flight, model.in_state("processing", key_id)),
            ]
            for read, expected in reads:
                assert {one.token for one in read(PROVIDER, key_id)} == {one.token for one in expected}
        states = ("submitting", "unknown", "processing", "ready")
        assert ledger.recovery.has_any(PROVIDER) == any(model.in_state(state) for state in states)

    @invariant()
    def orphans_are_what_nobody_holds_a_key_of(self) -> None:
        model = self.model
        under_way = [one for state in ("submitting", "processing", "ready") for one in model.in_state(state)]
        held = {key for key, lease in model.leases.items() if lease.expires_at > model.now}
        for mine in (KEYS[:1], KEYS[: 2 * self.turn]):
            expected = {one.token for one in under_way if one.key_id not in {*mine, *held}}
            assert {one.token for one in self.ledger.recovery.orphans(PROVIDER, mine)} == expected

    @invariant()
    def leases_and_disputes_are_kept(self) -> None:
        model = self.model
        for key_id in KEYS:
            lease = self.ledger.leases.get(key_id)
            kept = lease and ModelLease(lease.holder, lease.fence, lease.expires_at)
            assert kept == model.leases.get(key_id)
        disputed: Counter[str] = Counter()
        for one in model.attempts:
            if one.is_disputed:
                disputed[one.run_id] += one.reserved
        assert self.ledger.credits.disputed(PROVIDER) == disputed
