"""Where every track of the last run stands, read from the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from stemline.dataset.paths import rejects_key
from stemline.errors import LedgerConflict, UsageError
from stemline.ledger import Ledger, RunGauges, RunRecord, TrackStatus
from stemline.records import Code, State, Track
from stemline.run import listed_tracks
from stemline.run.existing_ledger import nothing_has_run, open_existing_ledger
from stemline.run.lease import is_held
from stemline.run.rejected_rows import rejected_rows_lines, rejected_rows_tree
from stemline.settings import BudgetSettings, ProviderFacts, Settings, load_facts
from stemline.storage import object_url
from stemline.telemetry.ledger_metrics import output_deadline
from stemline.telemetry.run_progress import RunProgress
from stemline.wording import CODES, COLOURS, STATES, drift_sentence, length, states_words


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Where the tracks of a run stand, and what it cost so far."""

    gauges: RunGauges
    facts: ProviderFacts
    budget: BudgetSettings
    unknown: list[Track]
    """Those of which it is not known whether their submit was accepted."""
    paid_not_collected: list[Track]
    failures: list[TrackStatus]
    """The first of those that failed."""
    report: str
    is_under_way: bool
    """Whether the run has not ended and may still be alive."""
    rejects: dict[str, Any] | None
    """The first rows of the manifest that could not be used, and where all are listed; None where there are none."""

    @property
    def progress(self) -> RunProgress:
        """How far it is."""
        return RunProgress(self.gauges, self.budget)

    @property
    def run(self) -> RunRecord:
        """The run it is about."""
        return self.gauges.run

    @property
    def counts(self) -> dict[State, int]:
        """The rows of its manifest by state."""
        return self.gauges.counts

    @property
    def drift(self) -> int | None:
        """Credits the vendor took in this run beyond what the ledger charged; None: not known."""
        return self.gauges.own_drift

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
            "codes": {str(code): count for code, count in self.gauges.codes.items()},
            "credits": {
                name: asdict(getattr(self.gauges.spending, name)) for name in ("run", "day", "month")
            },
            "drift": self.drift,
            "reason": self.reason,
            "in_flight": self.gauges.at_risk.in_flight,
            "at_risk": self._at_risk(),
            "requests": {**asdict(self.gauges.traffic), "utilization": self.gauges.traffic.utilization},
            "seconds_left": self.progress.seconds_left if self.is_under_way else None,
            "progress": self.progress.as_tree(),
            "unknown": [track.track_id for track in self.unknown],
            "unknown_tracks": listed_tracks.named_trees(self.unknown),
            "paid_not_collected": [track.track_id for track in self.paid_not_collected],
            "paid_not_collected_tracks": listed_tracks.named_trees(self.paid_not_collected),
            "failures": list(map(listed_tracks.failure_tree, self.failures)),
            "rejects": self.rejects,
            "report": self.report,
        }

    def show(self, console: Console) -> None:
        """Show it to a person."""
        console.print(self.page())
        if self.rejects is not None:  # a path is copied: it is never broken
            console.print(f"  All of them: {self.rejects['list']}", markup=False, soft_wrap=True)

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
            *self._rejected(),
        )

    def line(self) -> str:
        """Give the gist in one line."""
        at_risk = self.gauges.at_risk
        # Only the run itself knows when a plan of nothing is made.
        told = self.progress.line() or states_words(self.counts, is_planned=False)
        if at_risk.uncollected:
            told += f"; {at_risk.uncollected_credits:,} credits paid and not collected"
        return told

    def _progress(self) -> str:
        if self.run.finished_at is not None:
            return f"ended with exit code {self.run.exit_code}"
        if self.is_under_way:
            return f"[cyan]under way[/] since {self.run.started_at:%Y-%m-%d %H:%M:%S} UTC{self._pace()}"
        return "[yellow]cut off[/]; `stemline run` goes on from there"

    def _pace(self) -> str:
        progress = self.progress
        told = filter(None, (progress.done_words(), progress.pace_words()))
        waiting = ", ".join(progress.waiting())
        return "".join(f"\n  {each}" for each in ("; ".join(told), waiting) if each)

    def _states(self) -> Iterator[tuple[str, ...]]:
        for state, count in sorted(self.counts.items(), key=lambda each: list(STATES).index(each[0])):
            yield f"[{COLOURS.get(state, 'cyan')}]{state}[/]", f"{count:,}", STATES[state]
        for code, count in self.gauges.codes.items():
            if code is not Code.OK:
                yield f"  {code}", f"{count:,}", CODES[code].sentence

    def _credits(self) -> Iterator[tuple[str, ...]]:
        for name, title in (("run", "this run"), ("day", "today"), ("month", "this month")):
            spent, limit = getattr(self.gauges.spending, name), getattr(self.budget, name)
            of_limit = "" if limit is None else f"of {limit:,}"
            yield title, f"{spent.charged:,} charged", f"{spent.reserved:,} reserved", of_limit

    def _lists(self) -> Iterator[RenderableType]:
        yield f"\n[bold]In flight[/]  {self.gauges.at_risk.in_flight:,}"
        yield f"[bold]Requests[/]   {self._requests()}"
        if self.unknown:
            yield f"[bold]Unknown[/]    {len(self.unknown):,}"
            yield from listed_tracks.track_lines(self.unknown)
            yield "  `stemline resolve CONFIG TRACK` shows what is known, and resolves it."
        if self.paid_not_collected:
            yield f"[bold]Paid, not collected[/]  {len(self.paid_not_collected):,}"
            yield from listed_tracks.track_lines(self.paid_not_collected)
            yield f"  {self._deadlines()}"
        if self.failures:
            yield "\n[bold]Not in the dataset[/]"
            yield listed_tracks.failure_lines(self.failures)

    def _rejected(self) -> list[RenderableType]:
        lines = rejected_rows_lines(self.rejects, self.counts.get(State.REJECTED, 0))
        return ["\n[bold]Rejected rows[/]", *(f"  {escape(line)}" for line in lines)] if lines else []

    def _at_risk(self) -> dict[str, Any]:
        at_risk = self.gauges.at_risk
        return {
            "uncollected_credits": at_risk.uncollected_credits,
            "unknown_credits": at_risk.unknown_credits,
            "disputed_credits": at_risk.disputed_credits,
            "links_expire_at": at_risk.links_expire_at,
            "outputs_kept_until": output_deadline(self.gauges, self.facts),
        }

    def _requests(self) -> str:
        traffic = self.gauges.traffic
        told = f"{traffic.sent:,} sent, {traffic.throttled:,} refused"
        if traffic.utilization is None or not self.is_under_way:
            return told
        return f"{told}; {traffic.utilization:.0%} of {traffic.granted_a_minute:,} a minute in use"

    def _deadlines(self) -> str:
        at_risk, now = self.gauges.at_risk, self.gauges.at
        told = [f"{at_risk.uncollected_credits:,} credits"]
        if at_risk.links_expire_at is not None:
            told.append(f"the first link {_expires(at_risk.links_expire_at, now)}")
        if (kept_until := output_deadline(self.gauges, self.facts)) is not None:
            told.append(f"the provider keeps all of it until {kept_until:%Y-%m-%d %H:%M} UTC")
        return "; ".join(told)


def read_status(settings: Settings) -> RunStatus:
    """Give the status of the configuration's last run; raises UsageError when nothing has run yet."""
    with open_existing_ledger(settings) as ledger:
        gauges = ledger.gauges.read(settings.name)
        if gauges is None:
            raise nothing_has_run(settings)
        return _read(ledger, gauges, settings)


def write_run_report(
    settings: Settings, run_id: str | None = None, out: Path | None = None
) -> dict[str, Any]:
    """Write the page of a run of the configuration anew, the last one's for None, into the dataset or into `out`.

    Gives where it is, and the run's figures. Raises UsageError when nothing has run yet, none has this id, or `out` is
    no file.
    """
    from stemline import report  # noqa: PLC0415 - `status` itself writes none
    from stemline.manifest.manifest_file import find_source_root  # noqa: PLC0415
    from stemline.report.run_figures import read_figures  # noqa: PLC0415
    from stemline.run.selection import Selection, source_of  # noqa: PLC0415
    from stemline.storage import open_store  # noqa: PLC0415

    with _run_of(settings, run_id) as (ledger, run):
        store = open_store(settings.dataset.url, settings.dataset.storage_options)
        root = find_source_root(source_of(settings, Selection()))
        if out is not None:
            where = report.write_report_file(ledger, store, run.run_id, root, out)
        else:
            key = report.write_report(ledger, store, run.run_id, root, preview_seconds=report.PATIENT_SECONDS)
            where = store.url(key)
        return {"report": where, "run_id": run.run_id, **read_figures(ledger, run).as_tree()}


@contextmanager
def _run_of(settings: Settings, run_id: str | None) -> Iterator[tuple[Ledger, RunRecord]]:
    with open_existing_ledger(settings) as ledger:
        last = ledger.runs.last(settings.name)
        if run_id is None and last is None:
            raise nothing_has_run(settings)
        try:
            found = last if run_id is None else ledger.runs.get(run_id)
        except LedgerConflict:
            found = None
        if found is None or found.name != settings.name:
            newest = "" if last is None else f" The last one is {last.run_id}."
            raise UsageError(
                f"{settings.name} has no run {run_id}.{newest}",
                fix="The names of the pages under _stemline/runs/ of the dataset are the ids of its runs.",
            )
        yield ledger, found


def _read(ledger: Ledger, gauges: RunGauges, settings: Settings) -> RunStatus:
    run = gauges.run
    failures = ledger.queries.failures(run.run_id)
    return RunStatus(
        gauges=gauges,
        facts=load_facts(run.provider),
        budget=settings.budget,
        unknown=listed_tracks.in_manifest_order(
            attempt.track for attempt in ledger.recovery.unknown(run.provider)
        ),
        paid_not_collected=listed_tracks.in_manifest_order(
            ready.attempt.track for ready in ledger.recovery.ready(run.provider)
        ),
        failures=[failure for failure, _ in zip(failures, range(listed_tracks.SHOWN_TRACKS), strict=False)],
        report=object_url(settings.dataset.url, f"_stemline/runs/{run.run_id}.html"),
        rejects=_read_rejects(ledger, gauges, settings),
        is_under_way=run.finished_at is None and run.key_id is not None and is_held(ledger, run.key_id),
    )


def _read_rejects(ledger: Ledger, gauges: RunGauges, settings: Settings) -> dict[str, Any] | None:
    if not gauges.counts.get(State.REJECTED):
        return None
    from stemline.manifest.manifest_file import find_source_root  # noqa: PLC0415 - only where rows are named
    from stemline.run.selection import Selection, source_of  # noqa: PLC0415

    root = find_source_root(source_of(settings, Selection()))
    url = object_url(settings.dataset.url, rejects_key(gauges.run.run_id))
    found: dict[str, Any] | None = rejected_rows_tree(ledger, gauges.run.run_id, root, url).get("rejects")
    return found


def _expires(instant: datetime, now: datetime) -> str:
    seconds = (instant - now).total_seconds()
    return f"expires in {length(seconds)}" if seconds > 0 else "has expired and is made anew"


def _table(*rows: tuple[str, ...]) -> Padding:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*row)
    return Padding(table, (0, 0, 0, 2))
