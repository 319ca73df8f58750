"""A schedule carried out, then all that was left undone finished without faults, and judged."""

from __future__ import annotations

import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from kill_points import VARIABLE
from schedule import Round, Schedule
from support.command_line import Launcher, Running
from support.stage import Stage, new_bench, open_stage
from support.vendor import Vendor
from verdict import Verdict, jobs_by_track, judge

FULL_SECONDS = 60
"""A run that is not killed must end by itself within this; none of these takes five."""
ENDED = {0, 3, 4}
"""All is published; some failed, expired or are unknown; or a limit holds some back."""
CYCLES = 6
"""After so many runs without faults a catalogue must have come to rest."""


@dataclass
class Storm:
    """One schedule at work, and what it came to."""

    schedule: Schedule
    stage: Stage
    kills: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    verdict: Verdict | None = None
    seconds: float = 0.0

    def rage(self) -> None:
        """Let everything happen, finish, and judge."""
        started = time.monotonic()
        self.stage.vendor.set_faults(list(self.schedule.faults))
        for each in self.schedule.rounds:
            self._carry_out(each)
        self.struck.update(self.stage.vendor.clear_faults())
        is_at_rest, codes = self._finish()
        self.verdict = judge(self.stage, self.schedule.limit)
        self.verdict.harm["catalogues that did not come to rest"] = int(not is_at_rest)
        self.verdict.harm["last runs with another exit code than 0, 3 or 4"] = len(codes - ENDED)
        self.seconds = time.monotonic() - started

    def _carry_out(self, order: Round) -> None:
        account = order.account % len(self.stage.accounts)
        arms = {VARIABLE: order.point} if order.point else {}
        begun = time.monotonic()
        runs = [(self.stage.start(account, **arms), None if order.point else order.seconds)]
        if order.company is not None:
            runs.append((self.stage.start(1 - account), order.company))
        if order.vendor is not None:
            _rest_until(begun + order.vendor, runs[0][0])
            self._kill_vendor()
        for running, seconds in runs:
            self._end(running, order.point, begun + (FULL_SECONDS if seconds is None else seconds))

    def _end(self, running: Running, point: str | None, moment: float) -> None:
        """Wait for the end of a run until its moment has come, then kill it."""
        is_over = _rest_until(moment, running)
        code = running.wait().code if is_over else running.kill().code
        if code == -signal.SIGKILL:
            self.kills[point.partition(":")[0] if is_over and point else "any moment"] += 1

    def _kill_vendor(self) -> None:
        vendor = self.stage.vendor
        self.struck.update(vendor.clear_faults())
        vendor.restart()
        vendor.set_faults(list(self.schedule.faults))
        self.kills["the vendor"] += 1

    def _finish(self) -> tuple[bool, set[int]]:
        """Run with every key until nothing changes any more, neither a file nor a credit; give the last exit codes."""
        before, codes = None, set[int]()
        for _ in range(CYCLES):
            codes = {self.stage.run(number).code for number in range(len(self.stage.accounts))}
            now = self._standing()
            if now == before:
                return True, codes
            before = now
        return False, codes

    def _standing(self) -> tuple[object, ...]:
        jobs = {track_id: len(made) for track_id, made in jobs_by_track(self.stage).items()}
        states = self.stage.bench.query("SELECT track_id, state FROM tracks ORDER BY track_id")
        return self.stage.bench.files(), self.stage.charged, jobs, states


def _rest_until(moment: float, running: Running) -> bool:
    """Let time pass until a moment, or until a run ends; give whether it did."""
    return running.is_over_within(max(0.0, moment - time.monotonic()))


@dataclass(frozen=True)
class Ground:
    """Where storms take place."""

    launcher: Launcher
    songs: list[Path]
    vendor: Vendor

    def prepare(self, schedule: Schedule, folder: Path, database: str | None = None) -> Storm:
        """Give a schedule its stage."""
        folder.mkdir(parents=True, exist_ok=True)
        bench = new_bench(folder, self.launcher, self.vendor, self.songs, database)
        budget = {"budget": {"day": schedule.limit}} if schedule.limit is not None else {}
        facts = {"dialect": schedule.dialect, "accounts": schedule.accounts, **budget}
        stage = open_stage(bench, self.vendor, schedule.tracks, **facts)
        if schedule.is_pooled:
            stage.pool_keys()
        return Storm(schedule, stage)
