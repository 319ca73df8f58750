"""A schedule carried out, then all that was left undone finished without faults, and examined."""

from __future__ import annotations

import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from invariants import Findings, examine, jobs_by_track
from kill_points import VARIABLE
from schedule import Round, Schedule
from support.command_line import Launcher, Running
from support.faulty_vendor import FaultyVendor
from support.scenario import Scenario, new_project, open_scenario

FULL_SECONDS = 60
"""A run that is not killed must end by itself within this; none of these takes five."""
ENDED = {0, 3, 4}
"""All is published; some failed, expired or are unknown; or a limit holds some back."""
CYCLES = 6
"""After so many runs without faults a catalogue must have come to rest."""


@dataclass
class ScheduleRun:
    """One schedule at work, and what it came to."""

    schedule: Schedule
    scenario: Scenario
    kills: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    findings: Findings | None = None
    seconds: float = 0.0

    def carry_out(self) -> None:
        """Let everything happen, finish, and examine."""
        started = time.monotonic()
        self.scenario.vendor.set_faults(list(self.schedule.faults))
        for each in self.schedule.rounds:
            self._carry_out_round(each)
        self.struck.update(self.scenario.vendor.clear_faults())
        is_at_rest, codes = self._finish()
        self.findings = examine(self.scenario, self.schedule.limit)
        self.findings.violations["catalogues that did not come to rest"] = int(not is_at_rest)
        self.findings.violations["last runs with another exit code than 0, 3 or 4"] = len(codes - ENDED)
        self.seconds = time.monotonic() - started

    def _carry_out_round(self, each: Round) -> None:
        account = each.account % len(self.scenario.accounts)
        arms = {VARIABLE: each.point} if each.point else {}
        begun = time.monotonic()
        runs = [(self.scenario.start(account, **arms), None if each.point else each.seconds)]
        if each.second_run is not None:
            runs.append((self.scenario.start(1 - account), each.second_run))
        if each.vendor_kill is not None:
            _wait_until(begun + each.vendor_kill, runs[0][0])
            self._kill_vendor()
        for running, seconds in runs:
            self._end(running, each.point, begun + (FULL_SECONDS if seconds is None else seconds))

    def _end(self, running: Running, point: str | None, moment: float) -> None:
        """Wait for the end of a run until its moment has come, then kill it."""
        is_over = _wait_until(moment, running)
        code = running.wait().code if is_over else running.kill().code
        if code == -signal.SIGKILL:
            self.kills[point.partition(":")[0] if is_over and point else "any moment"] += 1

    def _kill_vendor(self) -> None:
        vendor = self.scenario.vendor
        self.struck.update(vendor.clear_faults())
        vendor.restart()
        vendor.set_faults(list(self.schedule.faults))
        self.kills["the vendor"] += 1

    def _finish(self) -> tuple[bool, set[int]]:
        """Run with every key until nothing changes any more, neither a file nor a credit; give the last exit codes."""
        before, codes = None, set[int]()
        for _ in range(CYCLES):
            codes = {self.scenario.run(number).code for number in range(len(self.scenario.accounts))}
            now = self._observe()
            if now == before:
                return True, codes
            before = now
        return False, codes

    def _observe(self) -> tuple[object, ...]:
        jobs = {track_id: len(made) for track_id, made in jobs_by_track(self.scenario).items()}
        states = self.scenario.project.query("SELECT track_id, state FROM tracks ORDER BY track_id")
        return self.scenario.project.files(), self.scenario.charged, jobs, states


def _wait_until(moment: float, running: Running) -> bool:
    """Wait until a moment, or until a run ends; give whether it did."""
    return running.is_over_within(max(0.0, moment - time.monotonic()))


@dataclass(frozen=True)
class ScheduleRunner:
    """What schedules are carried out with."""

    launcher: Launcher
    songs: list[Path]
    vendor: FaultyVendor
    execution: dict[str, object] = field(default_factory=dict)
    """Where tracks are collected, when not in threads of each run."""
    environment: dict[str, str] = field(default_factory=dict)
    """What every run finds there."""

    def prepare(self, schedule: Schedule, folder: Path, database: str | None = None) -> ScheduleRun:
        """Give a schedule the scenario it is carried out in."""
        folder.mkdir(parents=True, exist_ok=True)
        project = new_project(folder, self.launcher, self.vendor, self.songs, database)
        budget = {"budget": {"day": schedule.limit}} if schedule.limit is not None else {}
        collected = {"execution": self.execution} if self.execution else {}
        facts = {"dialect": schedule.dialect, "accounts": schedule.accounts, **budget, **collected}
        scenario = open_scenario(project, self.vendor, schedule.tracks, **facts)
        scenario.environment = self.environment
        if schedule.is_pooled:
            scenario.pool_keys()
        return ScheduleRun(schedule, scenario)
