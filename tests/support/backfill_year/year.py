"""A year carried out: a backfill, the nights beside it, what persons do meanwhile, and the books after each day."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.backfill_year.account import SharedAccount
from support.backfill_year.books import YearBooks, order_faults
from support.backfill_year.figures import YearFigures
from support.backfill_year.host import Host
from support.backfill_year.plan import (
    OLD,
    SECOND,
    BackfillYear,
    frozen_rows,
    second_rows,
    write_manifest,
)
from support.backfill_year.process import Process, until_done
from support.simulation.vendor import TRACK_SECONDS, VendorBehaviour, instant
from support.simulation.virtual_loop import VirtualLoop

from stemline.backfill.remainder import read_remainder
from stemline.ledger import Backfill, BackfillOrder, BackfillState
from stemline.settings import Settings, load_facts

DAY = 86_400.0
KEY = "key-of-a-year"
MINUTE_SECONDS = 60.0
LATEST = 2.0
"""A backfill that is not done in so many times its days will not be."""


@dataclass
class YearRun:
    """A year at work, in a folder that is empty."""

    year: BackfillYear
    folder: Path
    on_day: Callable[[int, int], object] = lambda *_: None
    """Told after each day how many there were, and how many orders."""

    def __post_init__(self) -> None:
        self.loop = VirtualLoop()
        self.account = SharedAccount(VendorBehaviour(self.year.dialect, seed=self.year.seed))
        self.host = Host(self.loop, self.account)
        self.host.on_run = self._note_run
        self.books = YearBooks(self.year, self.account, self.folder / "ledger.db", self.host.clock)
        self.figures = YearFigures()
        self.chance = random.Random(f"persons {self.year.seed}")  # noqa: S311 - repeatable, no secret
        self.settings = Settings.model_validate(self._tree())
        self.placings: list[tuple[str, dict[str, int]]] = []
        self.at_work: dict[str, Process] = {}
        self.ceiling_raised = asyncio.Event()
        self.kills = list(self.year.kills)
        self.lost = 0.0
        """Seconds in which the first backfill was paused, or its ceiling reached."""
        self.ended_at = 0.0
        self._night_began = 0.0

    # the whole

    def carry_out(self) -> YearFigures:
        """Let the year pass; raises AssertionError for what must not be."""
        random.seed(self.year.seed)  # the client draws its pauses from it
        began = time.perf_counter()
        try:
            with self.host.installed(), pytest.MonkeyPatch.context() as patch:
                patch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=random.getrandbits(128), version=4))
                self.ledger = self.host.open_ledger(f"sqlite:///{self.folder / 'ledger.db'}")
                self.loop.run_until_complete(self._pass())
                self._end()
                self.ledger.close()
                self.loop.run_until_complete(self.loop.shutdown_default_executor())
        finally:
            self.loop.close()
        self.figures.wall_seconds = time.perf_counter() - began
        return self.figures

    async def _pass(self) -> None:
        write_manifest(self.year, 0, self.folder)
        first = replace(self._backfill(OLD), ceiling=self.year.ceiling)
        self.books.ceilings.append(("", self.year.ceiling))
        self.ledger.backfills.freeze(first, frozen_rows(self.year))
        self._note_places()
        self._forecast("at the start, without what persons do")
        working = [self._carry_backfill(OLD), self._nights()]
        persons = [
            self._pause(),
            self._reorder(),
            self._second(),
            self._examine_days(),
            self._kill_backfills(),
        ]
        tasks = [asyncio.create_task(each) for each in (*working, *persons)]
        await until_done(tasks[: len(working)], tasks)

    def _end(self) -> None:
        figures, account = self.figures, self.account.account
        self.books.examine()
        first = set(self.placings[0][1])
        self.books.examine_end(lambda track_id: track_id.startswith("new") or track_id in first)
        figures.days = self.loop.time() / DAY
        figures.orders, figures.refused = len(self.account.orders), account.refused
        figures.busiest_minute, figures.closest = self.books.busiest, self.books.closest
        figures.out_of_order = list(order_faults(self.books, self.placings))
        figures.killed = sum(process.is_killed for process in self.host.processes)
        ((figures.runs,),) = self.books.query("SELECT COUNT(*) FROM runs")
        figures.rate_share = self._rate_share()
        figures.forecasts = [(*each[:3], self.ended_at / DAY) for each in figures.forecasts]

    def _rate_share(self) -> float:
        times = self.account.sent["backfill"]
        minutes = {int(at // MINUTE_SECONDS) for at in times}
        granted = self.account.account.window.limit * self.year.share
        return len(times) / (len(minutes) * granted)

    # who works

    async def _carry_backfill(self, name: str) -> None:
        """Carry a backfill out, as a person would who looks after it now and then."""
        for number in range(10_000):
            process = Process("backfill", len(self.host.processes))
            self.at_work[name] = process
            result = await self.host.backfill(process, self.settings, name)
            if result is None:
                await asyncio.sleep(self.chance.choice([5.0, 70.0, 7_200.0]))
            elif result.exit_code == 0:
                break
            elif result.exit_code == 4:
                await self._raise_ceiling(name)
            else:
                state = self._require(name).state
                assert state is BackfillState.CANCELLED, f"{name} ended {number}: {result}"
                break
        if name == OLD:
            self.ended_at = self.loop.time()
            assert self._require(name).state is BackfillState.FINISHED

    async def _raise_ceiling(self, name: str) -> None:
        backfill = self._require(name)
        assert backfill.ceiling == self.year.ceiling, "the ceiling was reached twice"
        seconds = self.year.raised_after * DAY
        await asyncio.sleep(seconds)
        self.lost += seconds
        raised = self.year.all_credits + TRACK_SECONDS
        self.books.ceilings.append((_stamp(self.host.clock()), raised))
        self.ledger.backfills.change(name, ceiling=raised)

    async def _nights(self) -> None:
        for night in range(self.year.days):
            hour = self.chance.uniform(0.2, 20.0)
            await asyncio.sleep(max(0.0, night * DAY + hour * 3_600 - self.loop.time()))
            write_manifest(self.year, night, self.folder)
            self._night_began = self.loop.time()
            result = None
            while result is None:
                process = Process("nightly", len(self.host.processes), self._transactions("nightly"))
                result = await self.host.run(process, self.settings)
                if result is None:
                    await asyncio.sleep(self.chance.choice([5.0, 1_800.0]))
                    self._night_began = self.loop.time()
            assert result.exit_code == 0, f"night {night}: {result}"
            self.figures.nights.append(self.loop.time() - self._night_began)

    def _note_run(self, process: Process) -> None:
        if process.kind == "nightly":
            self.figures.waits.append(self.loop.time() - self._night_began)

    # what persons do

    async def _pause(self) -> None:
        for begin, end in self.year.pauses:
            await self._until(begin)
            if self._require(OLD).state is not BackfillState.OPEN:
                return
            self.ledger.backfills.move(OLD, BackfillState.PAUSED)
            self.host.stir()
            await self._until(end)
            self.ledger.backfills.move(OLD, BackfillState.OPEN)
            self.host.stir()
            self.lost += (end - begin) * DAY
        self._forecast("after all that persons did")

    async def _reorder(self) -> None:
        await self._until(self.year.reordered)
        self.ledger.backfills.change(OLD, order=BackfillOrder.PRIORITY)
        self.host.stir()
        await asyncio.sleep(2.0)  # within two seconds it is so
        self._note_places()

    async def _second(self) -> None:
        await self._until(self.year.second_from)
        self.ledger.backfills.freeze(self._backfill(SECOND), second_rows(self.year))
        carried = asyncio.create_task(self._carry_backfill(SECOND))
        await self._until(self.year.second_until)
        if self._require(SECOND).state is BackfillState.OPEN:
            self.ledger.backfills.move(SECOND, BackfillState.CANCELLED)
            self.host.stir()
        await carried

    async def _kill_backfills(self) -> None:
        while self.kills:
            at, kind = self.kills[0]
            await self._until(at)
            if kind == "backfill":
                self.kills.pop(0)
                self.at_work[OLD].transactions = self.chance.randint(1, 300)
            else:
                await asyncio.sleep(DAY / 24)

    def _transactions(self, kind: str) -> int | None:
        """Give after how many transactions a process that begins now dies."""
        if not self.kills or self.kills[0][1] != kind or self.kills[0][0] * DAY > self.loop.time():
            return None
        self.kills.pop(0)
        return self.chance.randint(20, 20 + 8 * self.year.nightly)

    async def _examine_days(self) -> None:
        while True:
            await asyncio.sleep(DAY)
            self.books.examine()
            self.on_day(round(self.loop.time() / DAY), len(self.account.orders))

    # what they need

    async def _until(self, day: float) -> None:
        await asyncio.sleep(max(0.0, day * DAY - self.loop.time()))

    def _require(self, name: str) -> Backfill:
        found = self.ledger.backfills.get(name)
        assert found is not None
        return found

    def _forecast(self, made: str) -> None:
        """Take note of when the first backfill is to end, had it no ceiling."""
        backfill = replace(self._require(OLD), ceiling=None)
        found = read_remainder(self.settings, self.ledger, backfill).forecast
        early, late = ((at - instant(0.0)).total_seconds() / DAY for at in found.ends_at)
        self.figures.forecasts.append((made, early, late, 0.0))

    def _note_places(self) -> None:
        rows = self.books.query("SELECT track_id, position FROM backfill_tracks WHERE backfill = ?", OLD)
        self.placings.append((_stamp(self.host.clock()), dict(rows)))

    def _backfill(self, name: str) -> Backfill:
        request = {"mode": "missing", "order": "newest", "slice": "year", "by": "released_on"}
        settings, facts = self.settings, load_facts(self.year.dialect)
        recipe = settings.recipe.as_recipe()
        return Backfill(
            name,
            self.year.dialect,
            recipe,
            settings.digest(),
            "rows",
            "1",
            facts.model_dump(mode="json"),
            request,
            self.host.clock(),
            share=self.year.share if name == OLD else self.year.second_share,
        )

    def _tree(self) -> dict[str, Any]:
        return {
            "name": "nightly",
            "catalogue": {"manifest": str(self.folder / "catalogue.csv")},
            "provider": {
                "kind": self.year.dialect,
                "base_url": "http://vendor.test/api",
                "api_key": KEY,
                "requests_per_minute": 60,
            },
            "recipe": {"stems": "four", "quality": "best", "format": "mp3"},
            "budget": {"day": self.year.day, "month": 31 * self.year.day, "on_limit": "wait"},
            "dataset": {"url": str(self.folder / "out"), "compact": "never"},
            "ledger": {"url": f"sqlite:///{self.folder / 'ledger.db'}"},
        }


def _stamp(at: datetime) -> str:
    """Give an instant as the ledger's file has it."""
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"
