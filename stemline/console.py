"""What a person sees in the terminal: progress while a run goes on, tables before and after it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from stemline.errors import StemlineError
from stemline.plan import Preview
from stemline.records import Code, State
from stemline.report.card import length
from stemline.report.meaning import CODES, COLOURS, STATES, drift_sentence
from stemline.run import Result, Run

REFRESH_SECONDS = 0.5
PLAIN_SECONDS = 10.0
"""How often a line is printed where there is no terminal."""

ENDED = (
    State.PUBLISHED,
    State.REJECTED,
    State.FAILED,
    State.QUARANTINED,
    State.EXPIRED,
    State.UNKNOWN,
    State.HELD,
)


class Screen:
    """The terminal: notes go to stderr, so that stdout is left for the result."""

    def __init__(self, *, is_json: bool) -> None:
        """With `is_json` stdout gets one JSON object and nothing else."""
        self.is_json = is_json
        self.notes = Console(stderr=True, highlight=False)
        self.out = Console(highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Say something that is not the result."""
        self.notes.print(text, markup=False)

    def show_error(self, error: StemlineError) -> None:
        """Say what went wrong and what to do."""
        self.notes.print("[bold red]Error:[/] ", end="")
        self.notes.print(error.message, markup=False)
        if error.fix:
            self.notes.print("[bold]Fix:[/] ", end="")
            self.notes.print(error.fix, markup=False)

    def show_plan(self, plan: Preview) -> None:
        """Show the plan as a table."""
        table = Table(title="Plan", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
        found = plan.forecast
        for name, count in _plan_counts(plan).items():
            table.add_row(name, f"{count:,}")
        table.add_row("credits", _interval(f"{plan.work.credits_low:,}", f"{plan.work.credits_high:,}"))
        table.add_row("requests", _interval(f"{found.requests_low:,}", f"{found.requests_high:,}"))
        times = _interval(length(found.seconds_low), length(found.seconds_high))
        table.add_row("time", f"{times}, set by: {found.bottleneck}")
        self.out.print(table)
        for reject in plan.rejects:
            sentence = reject.sentence.removeprefix(f"Row {reject.row}: ")
            self.out.print(f"  row {reject.row}: {reject.code}: {sentence}", markup=False)
        if plan.rejected > len(plan.rejects):
            self.out.print(f"  … and {plan.rejected - len(plan.rejects):,} more", markup=False)
        if found.advice:
            self.out.print(f"\n{found.advice}", markup=False)

    def show_result(self, result: Result) -> None:
        """Show what a run came to."""
        summary = result.summary
        self.out.print(_states_table(summary["tracks"], summary["codes"]))
        credit, requests = summary["credits"], summary["requests"]
        balance = "" if credit["balance"] is None else f", {credit['balance']:,} left with the provider"
        per_track = "" if requests["per_track"] is None else f" ({requests['per_track']:.2f} a track)"
        self.out.print(f"credits   {credit['charged']:,} charged{balance}")
        if credit["drift"]:
            self.out.print(f"          [yellow]{escape(drift_sentence(credit['drift']))}[/]")
        self.out.print(f"requests  {requests['sent']:,} sent, {requests['rejected']:,} refused{per_track}")
        self.out.print(f"time      {_duration(summary['seconds'])}")
        self.out.print(f"dataset   {summary['dataset']}", markup=False)
        self.out.print(f"report    {summary['report']}", markup=False)
        self.show_reason(result)

    def show_reason(self, result: Result) -> None:
        """Say why a run stopped early, if it did."""
        if result.reason:
            self.notes.print("[bold yellow]Stopped early:[/] ", end="")
            self.notes.print(result.reason, markup=False)


class RunDisplay:
    """Watches a run: a bar on a terminal, a line now and then elsewhere. Ctrl-C once ends it in good order."""

    def __init__(self, screen: Screen) -> None:
        """Watch on this screen."""
        self._screen = screen
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._restore: list[Callable[[], object]] = []

    def opened(self, run: Run) -> None:
        """Begin to watch."""
        self._listen_to_signals(run)
        self._over.clear()
        self._thread = threading.Thread(target=self._watch, args=(run,), name="display", daemon=True)
        self._thread.start()

    def closed(self, _: Run) -> None:
        """Stop watching; called while the run's ledger is still open."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        for restore in self._restore:
            restore()

    def _watch(self, run: Run) -> None:
        if self._screen.notes.is_terminal:
            self._watch_on_terminal(run)
            return
        started = time.monotonic()
        while not self._over.wait(PLAIN_SECONDS):
            counts = run.ledger.counts(run.run_id)
            states = ", ".join(f"{count:,} {state}" for state, count in counts.items())
            self._screen.note(f"{time.monotonic() - started:6.0f} s  {states or 'reading the manifest'}")

    def _watch_on_terminal(self, run: Run) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._screen.notes, transient=True) as progress:
            bar = progress.add_task("reading the manifest", total=None)
            while not self._over.wait(REFRESH_SECONDS):
                counts = run.ledger.counts(run.run_id)
                done = sum(counts.get(state, 0) for state in ENDED)
                busy = [f"{n:,} {state}" for state, n in counts.items() if state not in ENDED]
                progress.update(
                    bar,
                    completed=done,
                    total=sum(counts.values()) or None,
                    description=", ".join(busy) or "finishing",
                )

    def _listen_to_signals(self, run: Run) -> None:
        if threading.current_thread() is not threading.main_thread():
            return

        def interrupt(number: int, _: FrameType | None) -> None:
            if run.is_interrupted:
                # The second time: stop now. The ledger keeps what is known, the next run heals.
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            self._screen.note("Stopping: collecting what is ready. Once more stops at once.")
            run.interrupt()

        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.signal(number, interrupt)
            self._restore.append(partial(signal.signal, number, before))


@contextmanager
def spinner(screen: Screen, text: str) -> Iterator[None]:
    """Show that something takes a while."""
    if screen.notes.is_terminal:
        with screen.notes.status(text):
            yield
    else:
        screen.note(f"{text} …")
        yield


def confirm(question: str) -> bool:
    """Ask a person; yes where nobody can be asked."""
    if not sys.stdin.isatty():
        return True
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def _plan_counts(plan: Preview) -> dict[str, int]:
    """Give how many rows stand where, the needless zeros left out."""
    seldom = {
        "under way": plan.under_way,
        "failed for good": plan.failed,
        "rejected": plan.rejected,
        "held by the budget": plan.held,
    }
    return {"to do": plan.new, "done already": plan.done} | {name: n for name, n in seldom.items() if n}


def _states_table(states: dict[str, int], codes: dict[str, int]) -> Table:
    """Give how many tracks stand where and, of each code, what it means and what to do."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for state in STATES:
        if state in states:
            table.add_row(f"[{COLOURS.get(state, 'cyan')}]{state}[/]", f"{states[state]:,}")
    for code, count in codes.items():
        if code != Code.OK:
            meaning = CODES[Code(code)]
            next_step = meaning.next_step.format(code=code)
            table.add_row(f"  {code}", f"{count:,}", f"{meaning.sentence} {next_step}")
    return table


def _interval(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 6_000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
