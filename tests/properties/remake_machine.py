"""The ledger's machine over tracks that are published from the start, so that they are made again and again."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from ledger_machine import KILLS, LATE_KILLS, TURNS, LedgerMachine
from ledger_model import IN_VAIN, MAX_ATTEMPTS, PROVIDER, ModelTrack
from ledger_steps import LedgerSteps

from stemline.ledger import PlanCounts
from stemline.records import State, Track

PUBLISHED = 3


class RemakeMachine(LedgerMachine):
    """Whatever else happens, somebody asks for published tracks again, or gives that up."""

    happened: ClassVar[Counter[str]] = Counter()
    """What came to pass in all schedules: a test tells by it that they get this far."""

    @initialize(data=st.data())
    def publish_some(self, data: st.DataObject) -> None:
        for _ in range(PUBLISHED):
            self.reserve(next(iter(self.model.runs)), data.draw)
        while under_way := self.model.open_attempts():
            self.proceed(under_way[0], data.draw)

    @precondition(lambda self: any(row.state is State.PUBLISHED for row in self.model.rows.values()))
    @rule(data=st.data(), turn=TURNS, statements=KILLS)
    def ask_again(self, data: st.DataObject, turn: int, statements: int | None) -> None:
        """Ask for tracks again by what is known of them now, or by what was known before."""
        self.take(turn, lambda: self.make_again(data.draw), statements)

    @precondition(lambda self: any(row.is_remade for row in self.model.rows.values()))
    @rule(data=st.data(), turn=TURNS, statements=LATE_KILLS)
    def remake(self, data: st.DataObject, turn: int, statements: int | None) -> None:
        """Have what is made again sent, and most of the time brought to its good end."""

        def work() -> None:
            for run_id in self.model.present_runs:
                if self.model.waiting(run_id):
                    self.reserve(run_id, data.draw)
            for _ in range(data.draw(st.integers(4, 12))):
                if mine := [one for one in self.model.open_attempts() if one.row.is_remade]:
                    self.proceed(mine[0], data.draw)

        self.take(turn, work, statements)

    @precondition(lambda self: any(row.is_remade for row in self.model.rows.values()))
    @rule(data=st.data(), turn=TURNS, statements=KILLS)
    def let_stand(self, data: st.DataObject, turn: int, statements: int | None) -> None:
        step = data.draw(st.sampled_from([self.end_in_vain, self.give_up]))
        self.take(turn, lambda: step(data.draw), statements)

    def make_again(self, draw: st.DrawFn) -> None:
        run_id = self.a_run(draw)
        published = [row.track_id for row in self.model.rows.values() if row.state is State.PUBLISHED]
        names = draw(st.lists(st.sampled_from(published), min_size=1, unique=True))
        found = self.ledger.remakes.numbers(PROVIDER, self.model.runs[run_id], names)
        behind = draw(st.sampled_from([0, 0, 0, 1]))
        again = {name: number - behind for name, number in found.items()}
        tracks = [Track(name, f"/{name[1:]}.mp3", int(name[1:]), duration_seconds=9.5) for name in names]
        planned = self.ledger.tracks.plan(run_id, tracks, max_attempts=MAX_ATTEMPTS, again=again)
        counts = PlanCounts(*self.model.plan(run_id, tracks, again))
        assert planned == counts
        self.happened["asked"] += counts.revived

    def end_in_vain(self, draw: st.DrawFn) -> None:
        run_id = self.a_run(draw)
        rows = [row for row in self.model.of_run(run_id, *IN_VAIN) if row.is_remade]
        assert self.ledger.remakes.end_in_vain(run_id) == len(rows)
        for row in rows:
            self.model.stand(row)
        self.happened["in vain"] += len(rows)

    def give_up(self, draw: st.DrawFn) -> None:
        run_id = self.a_run(draw)
        recipe, others = self.model.runs[run_id], self.model.others_tracks(run_id)
        rows = [row for row in self.model.rows.values() if row.is_remade and row.recipe == recipe]
        idle_states = {State.PLANNED, State.HELD, *IN_VAIN}
        idle = [row for row in rows if row.state in idle_states and row.track_id not in others]
        given_up = self.ledger.remakes.give_up(PROVIDER, recipe, [row.track_id for row in rows], run_id)
        assert given_up == len(idle)
        for row in idle:
            self.model.stand(row)

    def publish(self, row: ModelTrack) -> None:
        before = len(self.model.in_state("expired"))
        LedgerSteps.publish(self, row)
        self.happened["replaced"] += len(self.model.in_state("expired")) - before
