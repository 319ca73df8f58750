"""Dispatchers, a provider and a person in two processes on one ledger: any step at any time, killed at any time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from killable_ledger import KillableLedgers, Killed, killing
from ledger_invariants import LedgerInvariants
from ledger_model import (
    FIRST_BALANCE,
    KEYS,
    MAX_ATTEMPTS,
    PROVIDER,
    RECIPES,
    LedgerModel,
    ModelTrack,
)
from ledger_steps import ENDINGS, LedgerSteps

from stemline.budget import Limits
from stemline.ledger import Ledger, PlanCounts
from stemline.records import Code, Reject, State, Track

NUMBERS = st.lists(st.integers(0, 5), min_size=1)
LIMITS = st.builds(
    Limits,
    run=st.none() | st.integers(40, 150),
    day=st.none() | st.integers(40, 200),
    month=st.none() | st.integers(80, 400),
    floor=st.none() | st.integers(FIRST_BALANCE // 2, FIRST_BALANCE - 10),
)
PAUSES = st.sampled_from(
    [timedelta(seconds=20), timedelta(seconds=61), timedelta(hours=13), timedelta(days=20)]
)
LATE_KILLS = st.sampled_from([*[None] * 20, *range(0, 60, 3)])
TURNS = st.integers(0, 1)
KILLS = st.sampled_from([*[None] * 20, *range(10)])
"""After how many statements the process is killed; None: it is not."""


class LedgerMachine(RuleBasedStateMachine, LedgerSteps, LedgerInvariants):
    """Few rules, so that schedules get far; each is a turn of one of the processes."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.model = LedgerModel(limits=Limits(run=90, day=150, month=400))
        self.processes = KillableLedgers(url, lambda: self.model.now, 2)
        self.turn = 0
        self.start_run(range(6))

    @property
    def ledger(self) -> Ledger:
        return self.processes.ledgers[self.turn]

    def teardown(self) -> None:
        self.processes.close()

    @rule(data=st.data(), turn=TURNS, moves=st.integers(1, 9), statements=LATE_KILLS)
    def work(self, data: st.DataObject, turn: int, moves: int, statements: int | None) -> None:
        def work() -> None:
            for _ in range(moves):
                self.move_on(data.draw)

        self.take(turn, work, statements)

    @precondition(lambda self: self.model.open_attempts())
    @rule(data=st.data(), turn=TURNS, statements=KILLS)
    def go_wrong(self, data: st.DataObject, turn: int, statements: int | None) -> None:
        one = data.draw(st.sampled_from(self.model.open_attempts()))
        self.take(turn, lambda: self.fail(one, data.draw), statements)

    @rule(data=st.data(), turn=TURNS, statements=KILLS)
    def select(self, data: st.DataObject, turn: int, statements: int | None) -> None:
        plan = lambda: self.plan(self.a_run(data.draw), data.draw(NUMBERS))  # noqa: E731
        again = [lambda: self.redrive(data.draw), lambda: self.retry(data.draw)]
        steps = [plan, plan, *again, lambda: self.start_run(data.draw(NUMBERS))]
        self.take(turn, data.draw(st.sampled_from(steps)), statements)

    @rule(data=st.data(), turn=TURNS, statements=KILLS)
    def lease(self, data: st.DataObject, turn: int, statements: int | None) -> None:
        key_id, verb = (
            data.draw(st.sampled_from(KEYS)),
            data.draw(st.sampled_from(["acquire", "renew", "release"])),
        )
        behind = data.draw(st.sampled_from([0, 0, 1]))
        self.take(turn, lambda: getattr(self, verb)(key_id, behind), statements)

    @rule(data=st.data(), turn=TURNS, statements=KILLS)
    def disturb(self, data: st.DataObject, turn: int, statements: int | None) -> None:
        steps = [self.hold, self.drop_row, self.settle_disputed, self.wait, self.crash]
        step = data.draw(st.sampled_from(steps))
        self.take(turn, lambda: step(data.draw), statements)

    @rule(limits=LIMITS, is_read=st.booleans())
    def change_limits(self, limits: Limits, is_read: bool) -> None:  # noqa: FBT001 - a rule's draws
        """Raise or lower any limit; the balance is read now or was long ago."""
        model, last = self.model, self.model.limits
        if is_read or last.balance is None:
            last = Limits(balance=model.balance, balance_at=model.now)
        model.limits = replace(limits, balance=last.balance, balance_at=last.balance_at)

    def take(self, turn: int, step: Callable[[], object], statements: int | None = None) -> None:
        """Have a process take a step, and be killed in the middle of it: of each verb, all or nothing is left."""
        self.turn = turn
        try:
            if statements is None:
                step()
            else:
                with killing(self.ledger, statements):
                    step()
        except Killed:
            self.processes.replace(turn)

    # the run and the person

    def start_run(self, numbers: Collection[int]) -> None:
        recipe = RECIPES[len(self.model.runs) % 3 == 2]  # most go on with the first
        # A key each: of two runs with one key the earlier is over, and hands over what it has not tried.
        key_id = f"key-{len(self.model.runs) + 1}"
        run_id = self.ledger.runs.start("nightly", PROVIDER, recipe, "d", key_id)
        self.model.runs[run_id], self.model.started[run_id] = recipe, self.model.now
        self.model.key_of[run_id] = key_id
        self.plan(run_id, numbers)

    def plan(self, run_id: str, numbers: Collection[int]) -> None:
        tracks = [
            Track(f"t{number}", f"/{number}.mp3", number, duration_seconds=9.5) for number in set(numbers)
        ]
        planned = self.ledger.tracks.plan(run_id, tracks, max_attempts=MAX_ATTEMPTS)
        assert planned == PlanCounts(*self.model.plan(run_id, tracks))

    def redrive(self, draw: st.DrawFn) -> None:
        run_id = self.a_run(draw)
        codes = draw(st.none() | st.sets(st.sampled_from([Code.JOB_FAILED, *ENDINGS.values()]), min_size=1))
        rows = self.model.redriven(self.model.runs[run_id], codes)
        assert self.ledger.redrive_queue.redrive(run_id, codes) == len(rows)
        self.plan_again(rows, run_id)

    def retry(self, draw: st.DrawFn) -> None:
        run_id = self.a_run(draw)
        rows = [row for row in self.model.of_run(run_id) if self.model.may_retry(row)]
        assert self.ledger.tracks.retry_failed(run_id, max_attempts=MAX_ATTEMPTS) == len(rows)
        self.plan_again(rows, run_id)

    def plan_again(self, rows: list[ModelTrack], run_id: str) -> None:
        for row in rows:
            row.go(State.PLANNED)
            row.run_id = run_id
            self.model.members[run_id].add(row.track_id)

    def hold(self, draw: st.DrawFn) -> None:
        run_id = self.a_run(draw)
        spared = self.model.others_tracks(run_id)
        rows = [row for row in self.model.waiting(run_id) if row.track_id not in spared]
        # What an earlier run held for the same reason stands as it stood.
        rows = [row for row in rows if row.state is State.PLANNED or row.code != Code.RUN_STOPPED]
        assert self.ledger.tracks.hold(run_id, Code.RUN_STOPPED, "Stopped.") == len(rows)
        for row in rows:
            row.go(State.HELD, Code.RUN_STOPPED)

    def drop_row(self, draw: st.DrawFn) -> None:
        run_id = self.a_run(draw)
        number = 10 + self.model.rejected[run_id]
        reject = Reject(number, None, None, Code.NO_LOCATION, "No location.")
        assert self.ledger.runs.reject(run_id, [reject]) == 1
        self.model.rejected[run_id] += 1
        assert self.ledger.runs.reject(run_id, [reject]) == 0

    def settle_disputed(self, draw: st.DrawFn) -> None:
        run_id = self.a_run(draw)
        is_charged, disputed = draw(st.booleans()), self.model.disputed(run_id)
        settle = self.ledger.credits.charge_disputed if is_charged else self.ledger.credits.release_disputed
        assert settle(run_id) == sum(one.reserved for one in disputed)
        for one in disputed:
            one.is_disputed = False
            if is_charged:
                self.model.book(one, one.reserved)
            one.reserved = 0

    def wait(self, draw: st.DrawFn) -> None:
        self.model.now += draw(PAUSES)

    def crash(self, _: st.DrawFn) -> None:
        self.processes.replace(self.turn)
