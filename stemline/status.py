"""Where the tracks of the last run stand, as the ledger knows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from stemline.budget import Spending
from stemline.errors import UsageError
from stemline.ledger import Ledger, Run, TrackStatus, open_ledger
from stemline.records import State
from stemline.report import write_report
from stemline.settings import Settings
from stemline.storage import open_store

SHOWN_TRACKS = 20


@dataclass(frozen=True, slots=True)
class Status:
    """The standing of a run."""

    run: Run
    counts: dict[State, int]
    codes: dict[str, int]
    spending: Spending
    in_flight: int
    unknown: list[str]
    """Track ids whose submit could not be settled."""
    paid_not_collected: list[str]
    failures: list[TrackStatus]
    """The first of those that failed."""
    report: str

    def as_tree(self) -> dict[str, Any]:
        """Give the contract's JSON object."""
        return {
            "run_id": self.run.run_id,
            "finished_at": self.run.finished_at,
            "exit_code": self.run.exit_code,
            "tracks": {str(state): count for state, count in self.counts.items()},
            "codes": self.codes,
            "credits": {
                "run": asdict(self.spending.run),
                "day": asdict(self.spending.day),
                "month": asdict(self.spending.month),
            },
            "in_flight": self.in_flight,
            "unknown": self.unknown,
            "paid_not_collected": self.paid_not_collected,
            "failures": [asdict(failure) for failure in self.failures],
            "report": self.report,
        }

    def show(self, console: Console) -> None:
        """Show it to a person."""
        ended = (
            f"ended with exit code {self.run.exit_code}" if self.run.finished_at else "under way, or cut off"
        )
        console.print(f"run {self.run.run_id}: {ended}", markup=False)
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for state, count in self.counts.items():
            table.add_row(str(state), f"{count:,}")
        console.print(table)
        for code, count in self.codes.items():
            if code != "ok":
                console.print(f"  {code}: {count:,}")
        for name, spent in (
            ("run", self.spending.run),
            ("day", self.spending.day),
            ("month", self.spending.month),
        ):
            console.print(f"credits, {name}: {spent.charged:,} charged, {spent.reserved:,} reserved")
        console.print(f"in flight: {self.in_flight:,}")
        for name, ids in (("unknown", self.unknown), ("paid, not collected", self.paid_not_collected)):
            if ids:
                console.print(f"{name}: {', '.join(ids[:SHOWN_TRACKS])}", markup=False)
        for failure in self.failures:
            console.print(f"  {failure.track_id}: {failure.code}: {failure.sentence}", markup=False)


def read_status(settings: Settings, *, with_report: bool = False) -> Status:
    """Give the standing of the configuration's last run; with `with_report` its page is written anew.

    Raises UsageError when nothing has run yet.
    """
    file = settings.ledger_file
    if file is not None and not file.exists():
        raise _nothing_yet(settings)
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    with open_ledger(settings.ledger_url) as ledger:
        run = ledger.last_run(settings.name)
        if run is None:
            raise _nothing_yet(settings)
        if with_report:
            write_report(ledger, store, run.run_id)
        return _read(ledger, run, store.url(f"_stemline/runs/{run.run_id}.html"))


def _read(ledger: Ledger, run: Run, report: str) -> Status:
    failures = ledger.failures(run.run_id)
    return Status(
        run=run,
        counts=ledger.counts(run.run_id),
        codes={str(code): count for code, count in ledger.codes(run.run_id).items()},
        spending=ledger.credits(run.run_id),
        in_flight=len(ledger.in_flight(run.provider)),
        unknown=[attempt.track.track_id for attempt in ledger.unknown(run.provider)],
        paid_not_collected=[ready.attempt.track.track_id for ready in ledger.ready_uncollected(run.provider)],
        failures=[failure for failure, _ in zip(failures, range(SHOWN_TRACKS), strict=False)],
        report=report,
    )


def _nothing_yet(settings: Settings) -> UsageError:
    return UsageError(f"Nothing has run under the name {settings.name} yet.", fix="Run `stemline run` first.")
