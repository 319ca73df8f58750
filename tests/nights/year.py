"""A year carried out: its nights one after another, what a person does between them, and the books after each."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from support.simulation.virtual_loop import VirtualLoop
from year_books import Books
from year_manifest import write_manifest
from year_plan import BAD_VENDOR, Night, Year, name_of
from year_process import Host, Process
from year_vendor import DAY, YearVendor

from stemline.errors import DatasetReplaced, LeaseHeld, LedgerOutdated, ManifestError
from stemline.records import Code
from stemline.run.selection import Selection
from stemline.settings import Settings

PLENTY = 10**6
LEASE_OVER = 65.0
QUIET_NIGHTS = 2
"""So many nights without a fault end a year."""


@dataclass
class YearRun:
    """A year at work."""

    year: Year
    folder: Path
    ledger_url: str | None = None
    """None: a SQLite file in the folder."""
    counts: Counter[str] = field(default_factory=Counter)
    """What happened, for those who want to know what was drawn."""
    books: Books = field(init=False)

    def __post_init__(self) -> None:
        self.loop = VirtualLoop()
        self.vendor = YearVendor(self.year.seed, self.year.lengths)
        self.vendor.keys = {_key(number) for number in range(300)}
        self.books = Books(self.vendor, self.folder / "out", self.query, self.loop.time)
        self.host = Host(self.loop, self.vendor)
        self.number = 0

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.db"

    def query(self, sql: str) -> list[tuple]:
        if not self.ledger.exists():
            return []
        with closing(sqlite3.connect(self.ledger)) as connection:
            return connection.execute(sql).fetchall()

    def carry_out(self) -> Books:
        """Let the year pass; raises AssertionError naming the night for what must not be."""
        random.seed(self.year.seed)  # the client draws its pauses from it
        try:
            with self.host.installed(), pytest.MonkeyPatch.context() as patch:
                patch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=random.getrandbits(128), version=4))
                try:
                    self.loop.run_until_complete(self._pass())
                finally:
                    self.loop.run_until_complete(self.vendor.close())
                self.loop.run_until_complete(self.loop.shutdown_default_executor())
        finally:
            self.loop.close()
        return self.books

    async def _pass(self) -> None:
        for number, night in enumerate(self.year.nights):
            self.number = number
            await self._wait_until_hour(night)
            await self._pass_night(night)
        await self._end_year()

    async def _wait_until_hour(self, night: Night) -> None:
        day = int(self.loop.time() // DAY) + night.pause_days
        await asyncio.sleep(day * DAY + night.hour * 3_600 - self.loop.time())

    async def _pass_night(self, night: Night) -> None:
        self._prepare(night)
        for number, kill in enumerate(night.kills):
            process = Process(f"night{self.number}-kill{number}", **{kill.what: kill.count})
            await self._run(night, process)
            self.counts["killed" if process.is_killed else "not killed in time"] += 1
            await asyncio.sleep(kill.pause)
        if night.second_key is not None:
            await self._run_two(night)
        process = Process(f"night{self.number}", interrupted_after=night.interrupted_after)
        await self._run(night, process, is_examined=True)
        if night.redrive is not None:
            await self._redrive(night)
        if night.resolve is not None:
            self._resolve(night)
        self.books.examine(f"night {self.number}")

    def _prepare(self, night: Night) -> None:
        vendor = self.vendor
        vendor.mood = BAD_VENDOR if self.year.first_vendor_is_bad and self.number == 0 else night.mood
        vendor.keys -= {_key(number) for number in night.revoked}
        vendor.balance = vendor.taken() + (PLENTY if night.credits_left is None else night.credits_left)
        write_manifest(night, self.folder)
        if night.ledger == "lost":
            self._lose()
        elif night.ledger == "backed up" and self.ledger.exists():
            self._back_up()
        elif night.ledger == "restored" and self._backup.exists():
            self._restore()

    # what a person does

    async def _run(self, night: Night, process: Process, *, is_examined: bool = False) -> Process:
        """Run as a person would: what is refused is mended, and run again."""
        settings = self._settings(night)
        if night.is_elsewhere and self.books.published():
            await self._run_elsewhere(night)
        for _ in range(6):
            begun = self._begin(night, process)
            await self._start(process, settings, Selection())
            self.books.end(begun, process, is_examined=is_examined)
            if process.error is None or process.is_killed:
                break
            self.counts[type(process.error).__name__] += 1
            night = self._mend(night, process)
            settings = self._settings(night)
            if isinstance(process.error, LeaseHeld):
                await asyncio.sleep(LEASE_OVER)
            process = Process(f"{process.name}'", interrupted_after=process.interrupted_after)
        else:
            raise AssertionError(f"night {self.number} cannot be mended: {process.error!r}")
        code = process.exit_code
        self.counts[f"exit {code}"] += 1
        return process

    def _mend(self, night: Night, process: Process) -> Night:
        error = process.error
        if isinstance(error, LedgerOutdated):
            report = self.host.adopt(self._settings(night))
            self.counts["adopted tracks"] += report.counts.tracks
        elif isinstance(error, ManifestError):
            assert night.columns, f"night {self.number}: {error}"
            night = replace(night, columns=())
            write_manifest(night, self.folder)
        else:
            assert isinstance(error, LeaseHeld), f"night {self.number} was refused: {error!r}"
        return night

    async def _start(self, process: Process, settings: Settings, selection: Selection) -> Process:
        return await asyncio.create_task(self.host.run(process, settings, selection))

    def _begin(self, night: Night, *processes: Process) -> Any:
        limits = dict(night.budget)
        return self.books.begin(limits, [name_of(number) for number in night.rows], processes)

    async def _run_two(self, night: Night) -> None:
        """Run twice at once, with a key each."""
        others = replace(night, keys=(night.second_key,))
        pair = [Process(f"night{self.number}-both{number}") for number in range(2)]
        begun = self._begin(night, *pair)
        settings = [self._settings(each) for each in (night, others)]
        tasks = [
            asyncio.create_task(self.host.run(process, each, Selection()))
            for process, each in zip(pair, settings, strict=True)
        ]
        await asyncio.gather(*tasks)
        for process in pair:
            self.books.end(begun, process, is_examined=False)
            if process.error is not None:
                self.counts[f"two runs: {type(process.error).__name__}"] += 1
        self.counts["two runs at once"] += 1

    async def _run_elsewhere(self, night: Night) -> None:
        tree = self._tree(night)
        tree["dataset"]["url"] = str(self.folder / f"elsewhere-{self.number}")
        process, before = Process(f"night{self.number}-elsewhere"), len(self.vendor.jobs)
        booked = {row[0] for row in self.query("SELECT track_id FROM tracks WHERE state = 'published'")}
        known = booked & {name_of(number) for number in night.rows}
        if not known:  # neither the ledger nor that folder knows of what was paid: nothing could refuse it
            return
        begun = self._begin(night, process)
        await self._start(process, Settings.model_validate(tree), Selection(limit=None))
        self.books.end(begun, process, is_examined=False)
        if not isinstance(process.error, (ManifestError, LeaseHeld)):
            assert isinstance(process.error, DatasetReplaced), f"night {self.number}: {process.result}"
            self.counts["dataset.url changed"] += 1
        assert len(self.vendor.jobs) == before, f"night {self.number}: paid for another dataset"

    async def _redrive(self, night: Night) -> None:
        codes = tuple(Code(code) for code in night.redrive or ())
        if not self.ledger.exists():
            return
        self.books.allow_again({code.value for code in codes})
        process = Process(f"night{self.number}-redrive")
        begun = self._begin(night, process)
        await self._start(process, self._settings(night), Selection(redrive=codes))
        self.books.end(begun, process, is_examined=False)
        self.counts["redriven"] += 1

    def _resolve(self, night: Night) -> None:
        from stemline.resolution.unknown_track import open_unknown_track  # noqa: PLC0415

        rows = self.query("SELECT track_id FROM tracks WHERE state = 'unknown' ORDER BY track_id")
        for (track_id,) in rows:
            with self.host.person(), open_unknown_track(self._settings(night), track_id) as unknown:
                if night.resolve == "resubmit":
                    self.books.allow(track_id)
                    self.books.given_up.add(unknown.attempt.token)
                    unknown.resubmit()
                else:
                    unknown.abandon()
            self.counts[f"resolved: {night.resolve}"] += 1

    # the ledger

    @property
    def _backup(self) -> Path:
        return self.folder / "backup.db"

    def _lose(self) -> None:
        for file in self.folder.glob("ledger.db*"):
            file.unlink()
        self.books.lose_ledger(known=set())
        self.counts["ledger lost"] += 1

    def _back_up(self) -> None:
        self._backup.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.ledger)) as ledger, closing(sqlite3.connect(self._backup)) as copy:
            ledger.backup(copy)
        self.backed_up = {row[0] for row in self.query("SELECT token FROM attempts")}

    def _restore(self) -> None:
        for file in self.folder.glob("ledger.db*"):
            file.unlink()
        shutil.copy(self._backup, self.ledger)
        self.books.lose_ledger(known=self.backed_up)
        self.counts["ledger restored"] += 1

    # the year's end

    async def _end_year(self) -> None:
        """Have everything come to rest: no fault, no limit, good keys, plenty of credits, the ledger as it is."""
        self.vendor.calm()
        last = self.year.nights[-1] if self.year.nights else Night(rows=(0,))
        quiet = Night(rows=tuple(range(self.year.tracks)), keys=(last.keys[0],), job_timeout="4m")
        for _ in range(QUIET_NIGHTS):
            self.number += 1
            await self._wait_until_hour(quiet)
            write_manifest(quiet, self.folder)
            self.vendor.balance = self.vendor.taken() + PLENTY
            await self._run(quiet, Process(f"quiet{self.number}"), is_examined=True)
            self.books.examine(f"quiet night {self.number}")
        self.books.examine_rest({name_of(number) for number in quiet.rows}, _key(quiet.keys[0]))

    # what a night is told

    def _settings(self, night: Night) -> Settings:
        return Settings.model_validate(self._tree(night))

    def _tree(self, night: Night) -> dict[str, Any]:
        return {
            "name": "year",
            "catalogue": {"manifest": str(self.folder / f"catalogue.{night.manifest}")},
            "provider": {
                "kind": "stemsplit",
                "base_url": "http://vendor.test",
                "keys": [_key(number) for number in night.keys],
                "requests_per_minute": 600,
                "max_in_flight": 6,
                "job_timeout": night.job_timeout,
            },
            "recipe": {"stems": "both", "quality": "fast", "format": "wav"},
            "budget": dict(night.budget),
            "dataset": {"url": str(self.folder / "out"), "partition_by": ["provider"]},
            "ledger": {"url": self.ledger_url or f"sqlite:///{self.ledger}"},
        }


def _key(number: int) -> str:
    return f"key-{number}"


@contextmanager
def year_run(year: Year, folder: Path) -> Iterator[YearRun]:
    """Give a year in a folder that is empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield YearRun(year, folder)
