"""Random schedules over the ledger and its budget, checked after every step against a plain model.

The invariants: a track has at most one live attempt and no charge it did not earn; reserved plus charged
never passes a limit; every manifest row of a run is in exactly one state; nothing is published without
stored stems, and what is paid and not collected is known.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import text

from stemline.budget import Held, Limits, Spent, windows
from stemline.ledger import open_ledger
from stemline.records import (
    Code,
    CollectedTrack,
    Failure,
    Job,
    Phase,
    Recipe,
    Reject,
    State,
    StemFile,
    Submission,
    Track,
)

RECIPE = Recipe("four", "best", "flac")
STEM = StemFile("vocals", "v.flac", "flac", 44_100, 2, 1, 1.0, 1, "ab", None, None, "ok")
LIMITS = Limits(run=60, day=80, month=150)
ENDINGS = {State.QUARANTINED: Code.ALL_SILENT, State.EXPIRED: Code.OUTPUTS_EXPIRED}
LIVE = {"submitting", "processing", "ready", "collected", "published", "unknown"}


@dataclass
class Try:
    """What the model knows of one attempt."""

    token: str
    track_id: str
    run_id: str
    day: str
    reserved: int
    charged: int = 0
    state: str = "submitting"
    was_sent: bool = False
    is_disputed: bool = False
    batch: str | None = None


class LedgerMachine(RuleBasedStateMachine):
    """A dispatcher, a provider and a person, taking any step at any time."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.now = datetime(2026, 3, 30, 22, tzinfo=UTC)
        self.ledger = open_ledger(f"sqlite:///{self.folder}/ledger.db", clock=lambda: self.now)
        self.tries: list[Try] = []
        self.tracks: dict[str, State] = {}
        self.batches = 0
        self.start_run([0, 1, 2, 3, 4, 5])

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            shutil.rmtree(self.folder)

    # the steps that are taken: few rules, so that schedules get far

    @rule(data=st.data(), moves=st.integers(1, 6))
    def work(self, data: st.DataObject, moves: int) -> None:
        for _ in range(moves):
            can_reserve = bool(self.in_state(State.PLANNED) & self.manifest)
            if can_reserve and (not self.open_tries() or data.draw(st.booleans())):
                self.reserve(data.draw, data.draw(st.integers(0, 30)))
            elif self.open_tries():
                one = data.draw(st.sampled_from(self.open_tries()))
                self.proceed(one, data.draw(st.integers(0, 5)))

    @precondition(lambda self: self.open_tries())
    @rule(data=st.data())
    def go_wrong(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.open_tries()))
        if one.state == "ready":
            self.collect(one, data.draw(st.sampled_from([State.FAILED, *ENDINGS])))
        elif one.state == "processing":
            self.fail(one, is_free=data.draw(st.booleans()), is_retryable=data.draw(st.booleans()))
        elif one.state == "submitting" and one.was_sent and data.draw(st.booleans()):
            self.lose_the_answer(one)
        elif one.state == "submitting":
            self.release(one)

    @rule(data=st.data(), numbers=st.lists(st.integers(0, 5), min_size=1))
    def plan_again(self, data: st.DataObject, numbers: list[int]) -> None:
        plan = data.draw(st.sampled_from([self.plan, self.plan, self.plan, self.start_run]))
        plan(numbers)

    @rule(data=st.data())
    def disturb(self, data: st.DataObject) -> None:
        steps = [
            self.crash,
            self.hold,
            self.reject_row,
            self.wait,
            self.release_disputed,
            self.charge_disputed,
        ]
        data.draw(st.sampled_from(steps))()

    # the run

    def start_run(self, numbers: list[int]) -> None:
        self.run_id = self.ledger.start_run("nightly", "local", RECIPE, "d", "key")
        self.manifest: set[str] = set()
        self.rejected: set[int] = set()
        self.plan(numbers)

    def plan(self, numbers: list[int]) -> None:
        rows = [Track(f"t{number}", f"/{number}.mp3", number, duration_seconds=9.5) for number in numbers]
        self.ledger.plan(self.run_id, rows, max_attempts=2)
        found = self.ledger.track_status(self.run_id, [row.track_id for row in rows])
        for row in rows:
            before, after = self.tracks.get(row.track_id), found[row.track_id].state
            if before in {None, State.HELD, State.REJECTED}:
                assert after is State.PLANNED
            else:
                assert after in ({before, State.PLANNED} if before is State.FAILED else {before})
            self.tracks[row.track_id] = after
            self.manifest.add(row.track_id)

    def reject_row(self) -> None:
        row = 10 + len(self.rejected)
        self.ledger.reject(self.run_id, [Reject(row, None, None, Code.NO_LOCATION, "No location.")])
        self.rejected.add(row)

    def hold(self) -> None:
        self.ledger.hold(self.run_id, Code.RUN_STOPPED, "Stopped.")
        for track_id in self.manifest:
            if self.tracks[track_id] is State.PLANNED:
                self.tracks[track_id] = State.HELD

    def wait(self) -> None:
        self.now += timedelta(hours=13)

    def crash(self) -> None:
        self.ledger.close()
        self.ledger = open_ledger(f"sqlite:///{self.folder}/ledger.db", clock=lambda: self.now)

    # an attempt

    def reserve(self, draw: st.DrawFn, amount: int) -> None:
        planned = self.ledger.next_planned(self.run_id, 10)
        assert {track.track_id for track in planned} == self.in_state(State.PLANNED) & self.manifest
        track = draw(st.sampled_from(planned))
        token = f"a{len(self.tries)}"
        outcome = self.ledger.reserve(self.run_id, track, token, amount, LIMITS)
        fits = all(
            cap is None or self.spent(window).total + amount <= cap
            for window, cap in (("run", LIMITS.run), ("day", LIMITS.day), ("month", LIMITS.month))
        )
        assert isinstance(outcome, Held) is not fits
        if fits:
            day = windows(self.now).day
            self.tries.append(Try(token, track.track_id, self.run_id, day, amount))
            self.tracks[track.track_id] = State.SUBMITTING

    def proceed(self, one: Try, lower: int) -> None:
        """Take an attempt one step further on the good way."""
        if one.state == "submitting" and not one.was_sent:
            self.ledger.mark_sending(one.token)
            one.was_sent = True
        elif one.state in {"submitting", "unknown"}:
            self.accept(one, lower)
        elif one.state == "processing":
            self.finish(one, lower)
        elif one.state == "ready":
            self.collect(one, State.COLLECTED)
        else:
            self.publish()

    def accept(self, one: Try, lower: int) -> None:
        one.reserved = max(0, one.reserved - lower)
        for _ in range(2):
            self.ledger.record_submission(one.token, Submission(f"j{one.token}", one.reserved))
        self.move(one, State.PROCESSING)

    def finish(self, one: Try, lower: int) -> None:
        charged = max(0, one.reserved - lower)
        job = Job(f"j{one.token}", Phase.DONE, credits_charged=charged)
        assert [self.ledger.record_ready(one.token, job) for _ in range(2)] == [True, False]
        one.reserved, one.charged = 0, charged
        self.move(one, State.READY)

    def collect(self, one: Try, state: State) -> None:
        if state is State.COLLECTED:
            collected = CollectedTrack(one.token, (STEM,), 120.0, "Am", None, None, self.now)
            self.ledger.record_collected(collected)
        else:
            code = ENDINGS.get(state, Code.DOWNLOAD_FAILED)
            state = self.ledger.fail(Failure(one.token, state, code, "Broke."))
            assert state is not State.FAILED
        self.move(one, state)

    def publish(self) -> None:
        if tokens := self.ledger.collected_unbatched("local", RECIPE):
            self.batches += 1
            self.ledger.open_batch(self.run_id, f"b{self.batches}", tokens)
        for batch in self.ledger.unpublished_batches("local", RECIPE):
            rows = self.ledger.batch_rows(batch)
            assert self.ledger.publish_batch(batch) == len(rows)
            assert all(row.collected.stems for row in rows)
            published = {row.attempt.token for row in rows}
            for one in self.tries:
                if one.token in published:
                    self.move(one, State.PUBLISHED)

    def lose_the_answer(self, one: Try) -> None:
        self.ledger.mark_unknown(one.token, "No answer.")
        self.move(one, State.UNKNOWN)

    def release(self, one: Try) -> None:
        self.ledger.release(one.token)
        self.move(one, State.PLANNED)
        one.state, one.reserved = "released", 0

    def fail(self, one: Try, *, is_free: bool, is_retryable: bool) -> None:
        failure = Failure(one.token, State.FAILED, Code.JOB_FAILED, "Broke.", is_retryable)
        self.ledger.fail(failure, credits_charged=0 if is_free else None)
        self.move(one, State.FAILED)
        one.is_disputed = not is_free
        one.reserved = 0 if is_free else one.reserved

    def release_disputed(self) -> None:
        disputed = [one for one in self.tries if one.is_disputed and one.run_id == self.run_id]
        assert self.ledger.release_disputed(self.run_id) == sum(one.reserved for one in disputed)
        for one in disputed:
            one.reserved, one.is_disputed = 0, False

    def charge_disputed(self) -> None:
        disputed = [one for one in self.tries if one.is_disputed and one.run_id == self.run_id]
        assert self.ledger.charge_disputed(self.run_id) == sum(one.reserved for one in disputed)
        for one in disputed:
            one.charged, one.reserved, one.is_disputed = one.reserved, 0, False

    # what always holds

    @invariant()
    def no_track_has_two_live_attempts(self) -> None:
        live = Counter(one.track_id for one in self.tries if one.state in LIVE)
        assert all(count == 1 for count in live.values())
        with self.ledger.read() as connection:
            rows = connection.execute(text("SELECT token, state FROM attempts")).all()
        assert dict(rows) == {one.token: one.state for one in self.tries}

    @invariant()
    def no_limit_is_passed_and_the_books_agree(self) -> None:
        seen = self.ledger.credits(self.run_id)
        for window, cap in (("run", LIMITS.run), ("day", LIMITS.day), ("month", LIMITS.month)):
            assert getattr(seen, window) == self.spent(window)
            assert cap is None or self.spent(window).total <= cap
        with self.ledger.read() as connection:
            query = "SELECT coalesce(sum(amount), 0) FROM credit_entries WHERE kind = 'charge'"
            assert connection.execute(text(query)).scalar_one() == sum(one.charged for one in self.tries)

    @invariant()
    def every_row_is_in_exactly_one_state(self) -> None:
        expected = Counter(self.tracks[track_id] for track_id in self.manifest)
        if self.rejected:
            expected[State.REJECTED] += len(self.rejected)
        assert self.ledger.counts(self.run_id) == expected
        assert sum(self.ledger.codes(self.run_id).values()) == len(self.manifest) + len(self.rejected)

    @invariant()
    def what_is_under_way_is_known_to_recovery(self) -> None:
        found = {
            "unsent": {one.token for one in self.ledger.never_sent("local", "key")},
            "sent": {one.token for one in self.ledger.ambiguous("local", "key")},
            "unknown": {one.token for one in self.ledger.unknown("local")},
            "processing": {one.token for one in self.ledger.in_flight("local")},
            "ready": {one.attempt.token for one in self.ledger.ready_uncollected("local")},
        }
        expected: dict[str, set[str]] = {name: set() for name in found}
        for one in self.tries:
            name = one.state
            if name == "submitting":
                name = "sent" if one.was_sent else "unsent"
            if name in expected:
                expected[name].add(one.token)
        assert found == expected

    # the model

    def in_state(self, state: State) -> set[str]:
        return {track_id for track_id, held in self.tracks.items() if held is state}

    def open_tries(self) -> list[Try]:
        return [one for one in self.tries if one.state in LIVE - {"published"}]

    def move(self, one: Try, state: State) -> None:
        one.state = state.value
        self.tracks[one.track_id] = state

    def spent(self, window: str) -> Spent:
        now = windows(self.now)
        chosen = {
            "run": lambda one: one.run_id == self.run_id,
            "day": lambda one: one.day == now.day,
            "month": lambda one: one.day.startswith(now.month),
        }[window]
        mine = [one for one in self.tries if chosen(one)]
        return Spent(sum(one.reserved for one in mine), sum(one.charged for one in mine))


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
