"""Where every track of the last run stands, read from the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from stemline.budget import Spending
from stemline.ledger import Ledger, RunRecord, TrackStatus
from stemline.records import Code, State
from stemline.run.existing_ledger import nothing_has_run, open_existing_ledger
from stemline.run.lease import is_held
from stemline.settings import Settings
from stemline.storage import object_url
from stemline.wording import CODES, COLOURS, STATES, drift_sentence, states_words

SHOWN_TRACKS = 20


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Where the tracks of a run stand, and what it cost so far."""

    run: RunRecord
    counts: dict[State, int]
    codes: dict[str, int]
    spending: Spending
    in_flight: int
    unknown: list[str]
    """Track ids of which it is not known whether their submit was accepted."""
    paid_not_collected: list[str]
    failures: list[TrackStatus]
    """The first of those that failed."""
    report: str
    is_under_way: bool
    """Whether the run has not ended and may still be alive."""

    @property
    def drift(self) -> int | None:
        """Credits the vendor took in this run beyond what the ledger charged; None: not known."""
        found = self.run.totals.get("credits", {}).get("drift")
        return found if isinstance(found, int) else None

    @property
    def reason(self) -> str | None:
        """Why the run stopped early, as a sentence with the fix; None when it did not."""
        found = self.run.totals.get("reason")
        return found if isinstance(found, str) else None

    def as_tree(self) -> dict[str, Any]:
        """Give the contract's JSON object."""
        return {
            "run_id": self.run.run_id,
            "finished_at": self.run.finished_at,
            "exit_code": self.run.exit_code,
            "is_under_way": self.is_under_way,
            "tracks": {str(state): count for state, count in self.counts.items()},
            "codes": self.codes,
            "credits": {
                "run": asdict(self.spending.run),
                "day": asdict(self.spending.day),
                "month": asdict(self.spending.month),
            },
            "drift": self.drift,
            "reason": self.reason,
            "in_flight": self.in_flight,
            "unknown": self.unknown,
            "paid_not_collected": self.paid_not_collected,
            "failures": [asdict(failure) for failure in self.failures],
            "report": self.report,
        }

    def show(self, console: Console) -> None:
        """Show it to a person."""
        console.print(self.page())

    def page(self) -> Group:
        """Give what a person sees."""
        return Group(
            f"[bold]{self.run.run_id}[/]: {self._progress()}",
            *([f"Stopped early: {escape(self.reason)}"] if self.reason else []),
            _table(*self._states()),
            "\n[bold]Credits[/]",
            _table(*self._credits()),
            *([] if self.drift is None else [drift_sentence(self.drift)]),
            *self._lists(),
        )

    def line(self) -> str:
        """Give the gist in one line."""
        spent = self.spending.run
        # Only the run itself knows when a plan of nothing is made.
        states = states_words(self.counts, is_planned=False)
        return f"{states}; {spent.charged:,} credits charged, {spent.reserved:,} reserved"

    def _progress(self) -> str:
        if self.run.finished_at is not None:
            return f"ended with exit code {self.run.exit_code}"
        if self.is_under_way:
            return f"[cyan]under way[/] since {self.run.started_at:%Y-%m-%d %H:%M:%S} UTC"
        return "[yellow]cut off[/]; `stemline run` goes on from there"

    def _states(self) -> Iterator[tuple[str, ...]]:
        for state, count in sorted(self.counts.items(), key=lambda each: list(STATES).index(each[0])):
            yield f"[{COLOURS.get(state, 'cyan')}]{state}[/]", f"{count:,}", STATES[state]
        for code, count in self.codes.items():
            if code != Code.OK:
                yield f"  {code}", f"{count:,}", CODES[Code(code)].sentence

    def _credits(self) -> Iterator[tuple[str, ...]]:
        spending = self.spending
        windows = (("this run", spending.run), ("today", spending.day), ("this month", spending.month))
        for name, spent in windows:
            yield name, f"{spent.charged:,} charged", f"{spent.reserved:,} reserved"

    def _lists(self) -> Iterator[RenderableType]:
        yield f"\n[bold]In flight[/]  {self.in_flight:,}"
        if self.unknown:
            yield f"[bold]Unknown[/]    {_listed(self.unknown)}"
            yield "           `stemline resolve CONFIG TRACK` shows what is known, and resolves it."
        if self.paid_not_collected:
            yield f"[bold]Paid, not collected[/]  {_listed(self.paid_not_collected)}"
        if self.failures:
            yield "\n[bold]Not in the dataset[/]"
            yield _table(
                *((escape(each.track_id), each.code, escape(each.sentence)) for each in self.failures)
            )


def read_status(settings: Settings) -> RunStatus:
    """Give the status of the configuration's last run; raises UsageError when nothing has run yet."""
    with _last_run(settings) as (ledger, run):
        return _read(ledger, run, object_url(settings.dataset.url, f"_stemline/runs/{run.run_id}.html"))


def write_last_report(settings: Settings, out: Path | None = None) -> str:
    """Write the page of the configuration's last run anew, into the dataset or into `out`; give where it is.

    Raises UsageError when nothing has run yet, or `out` is no file.
    """
    from stemline.manifest.manifest_file import find_source_root  # noqa: PLC0415
    from stemline.report import write_report, write_report_file  # noqa: PLC0415 - `status` itself writes none
    from stemline.run.selection import Selection, source_of  # noqa: PLC0415
    from stemline.storage import open_store  # noqa: PLC0415

    with _last_run(settings) as (ledger, run):
        store = open_store(settings.dataset.url, settings.dataset.storage_options)
        root = find_source_root(source_of(settings, Selection()))
        if out is not None:
            return write_report_file(ledger, store, run.run_id, root, out)
        return store.url(write_report(ledger, store, run.run_id, root))


@contextmanager
def _last_run(settings: Settings) -> Iterator[tuple[Ledger, RunRecord]]:
    with open_existing_ledger(settings) as ledger:
        run = ledger.runs.last(settings.name)
        if run is None:
            raise nothing_has_run(settings)
        yield ledger, run


def _read(ledger: Ledger, run: RunRecord, report: str) -> RunStatus:
    failures = ledger.queries.failures(run.run_id)
    return RunStatus(
        run=run,
        counts=ledger.queries.counts(run.run_id),
        codes={str(code): count for code, count in ledger.queries.codes(run.run_id).items()},
        spending=ledger.credits.spending(run.run_id),
        in_flight=len(ledger.recovery.in_flight(run.provider)),
        unknown=[attempt.track.track_id for attempt in ledger.recovery.unknown(run.provider)],
        paid_not_collected=[ready.attempt.track.track_id for ready in ledger.recovery.ready(run.provider)],
        failures=[failure for failure, _ in zip(failures, range(SHOWN_TRACKS), strict=False)],
        report=report,
        is_under_way=run.finished_at is None and run.key_id is not None and is_held(ledger, run.key_id),
    )


def _table(*rows: tuple[str, ...]) -> Padding:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*row)
    return Padding(table, (0, 0, 0, 2))


def _listed(track_ids: Sequence[str]) -> str:
    more = len(track_ids) - SHOWN_TRACKS
    return escape(", ".join(track_ids[:SHOWN_TRACKS])) + (f" and {more:,} more" if more > 0 else "")
