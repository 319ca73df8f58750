"""A flow run from the command line: started, watched while it goes on, its result shown."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemline.cli.console import Screen
from stemline.cli.options import print_json
from stemline.errors import UsageError
from stemline.records import Code, State
from stemline.run.observer import observed_by
from stemline.run.rejected_rows import rejected_rows_lines
from stemline.run.run_watch import RunWatch
from stemline.run.selection import Result, Selection
from stemline.run.slice_words import SliceWords
from stemline.wording import (
    COLOURS,
    STATES,
    balance_words,
    code_sentence,
    counted,
    drift_sentence,
    mix_sentence,
    states_words,
)

if TYPE_CHECKING:
    from rich.table import Table

    from stemline.run.run import Run

REFRESH_SECONDS = 0.5
PLAIN_SECONDS = 10.0
"""How often a line is printed where there is no terminal."""

ENDED_STATES = (
    State.PUBLISHED,
    State.REJECTED,
    State.FAILED,
    State.QUARANTINED,
    State.EXPIRED,
    State.UNKNOWN,
    State.HELD,
)


def run_flow(
    screen: Screen,
    config: Path,
    selection: Selection,
    *,
    overrides: list[str] | None = None,
    with_engine: bool = False,
) -> Result:
    """Process the selection and show what it came to."""
    result = start_flow(
        screen,
        "process_catalogue",
        with_engine=with_engine,
        config=str(config),
        overrides=overrides or [],
        where=selection.where,
        limit=selection.limit,
        redrive=None if selection.redrive is None else [str(code) for code in selection.redrive],
    )
    show_result(screen, result)
    return result


def start_flow(screen: Screen, name: str, /, *, with_engine: bool, **parameters: Any) -> Result:  # noqa: ANN401
    """Give what a flow with these parameters came to, watched while it goes on."""
    start = _find_starter()
    with observed_by(RunDisplay(screen)):
        result: Result = start(name, with_engine=with_engine, **parameters)
    return result


def show_result(screen: Screen, result: Result) -> None:
    """Show what a run came to, or print it as JSON."""
    if screen.is_json:
        print_json(result.summary)
        _show_reason(screen, result)
    else:
        _show_result(screen, result)


def _find_starter() -> Callable[..., Any]:
    """Give what runs a flow. The library must not import its flows: it finds them as plug-ins are found."""
    for entry in entry_points(group="stemline.flows"):
        if entry.name == "start":
            starter: Callable[..., Any] = entry.load()
            return starter
    raise UsageError(
        "stemline is not installed completely: its flows are missing.", fix="Install it with pip."
    )


class RunDisplay(RunWatch):
    """Shows a run's progress: a bar on a terminal, a line now and then elsewhere. Ctrl-C once ends it in good order."""

    def __init__(self, screen: Screen) -> None:
        """Watch on this screen."""
        super().__init__(signal.SIGINT, signal.SIGTERM)
        self._screen = screen

    def _watch(self, run: Run) -> None:
        if self._screen.notes.is_terminal:
            self._watch_on_terminal(run)
            return
        started, slices = time.monotonic(), SliceWords(run.ledger, run.selection.backfill)
        while not self._over.wait(PLAIN_SECONDS):
            counts = run.ledger.queries.counts(run.run_id)
            states = states_words(counts, is_planned=run.predicted is not None)
            said = "; ".join((states, *filter(None, [slices.read()])))
            self._screen.note(f"{time.monotonic() - started:6.0f} s  {said}")

    def _watch_on_terminal(self, run: Run) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._screen.notes, transient=True) as progress:
            bar = progress.add_task("reading the manifest", total=None)
            slices = SliceWords(run.ledger, run.selection.backfill)
            while not self._over.wait(REFRESH_SECONDS):
                counts = run.ledger.queries.counts(run.run_id)
                done = sum(counts.get(state, 0) for state in ENDED_STATES)
                busy = [f"{n:,} {state}" for state, n in counts.items() if state not in ENDED_STATES]
                progress.update(
                    bar,
                    completed=done,
                    total=sum(counts.values()) or None,
                    description="; ".join(filter(None, (slices.read(), ", ".join(busy) or "finishing"))),
                )

    def _interrupt(self, run: Run, number: int) -> None:
        if run.is_interrupted:
            # The second time: stop now. The ledger has what is known, and the next run goes on from there.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        run.interrupt()  # first: a second signal may come while the sentence is printed
        with suppress(RuntimeError):  # the signal may have come while something else was printed
            self._screen.note("Stopping: collecting what is ready. Once more stops at once.")


def _show_result(screen: Screen, result: Result) -> None:
    """Show what a run came to."""
    from rich.markup import escape

    summary = result.summary
    screen.out.print(_states_table(summary["tracks"], summary["codes"]))
    for line in rejected_rows_lines(summary.get("rejects"), summary["tracks"].get("rejected", 0)):
        screen.out.print(f"  {line}", markup=False)
    if summary["passed_over"]:
        files = counted(summary["passed_over"], "file")
        screen.out.print(f"           {files} passed over, no audio by the name: `stemline plan` says which")
    if unclear := summary.get("doubtful", {}).get("ai_training"):
        screen.out.print(
            f"           {counted(unclear)} with ai_training neither allowed nor denied: unknown"
        )
    if summary["corrected"]:
        screen.out.print(f"corrected {summary['corrected']:,} published before, as the manifest has them now")
    if splits := summary.get("splits"):
        shown = ", ".join(f"{name} {count:,}" for name, count in splits.items())
        screen.out.print(f"splits    {shown}", markup=False)
    if "splits_notice" in summary:
        screen.out.print(f"          {summary['splits_notice']}", markup=False)
    if mix := summary.get("mix"):
        screen.out.print(f"mix       {mix_sentence(mix)}", markup=False)
    credit, requests = summary["credits"], summary["requests"]
    balance = balance_words(credit["balance"])
    per_track = "" if requests["per_track"] is None else f" ({requests['per_track']:.2f} a track)"
    screen.out.print(f"credits   {credit['charged']:,} charged{_with_provider(credit)}{balance}")
    if credit["charged_for_earlier"]:
        screen.out.print(
            f"          {credit['charged_for_earlier']:,} charged for what an earlier run had submitted"
        )
    if credit["drift"]:
        screen.out.print(f"          [yellow]{escape(drift_sentence(credit['drift']))}[/]")
    screen.out.print(f"requests  {requests['sent']:,} sent, {requests['rejected']:,} refused{per_track}")
    screen.out.print(f"time      {_duration(summary['seconds'])}")
    screen.out.print(f"dataset   {summary['dataset']}", markup=False)
    screen.out.print(f"report    {summary['report']}", markup=False)
    _show_reason(screen, result)


def _with_provider(credit: dict[str, int]) -> str:
    """Say what is reserved for what was submitted and not charged yet."""
    reserved = credit["reserved"]
    return f", {reserved:,} reserved for what is with the provider or without an answer" if reserved else ""


def _show_reason(screen: Screen, result: Result) -> None:
    """Say why a run stopped early, if it did."""
    if result.reason:
        screen.note_after("Stopped early:", result.reason, style="bold yellow")


def _states_table(states: dict[str, int], codes: dict[str, int]) -> Table:
    """Give how many tracks are in each state and, of each code, what it means and what to do."""
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for state in STATES:
        if state in states:
            table.add_row(f"[{COLOURS.get(state, 'cyan')}]{state}[/]", f"{states[state]:,}")
    for code, count in codes.items():
        if code != Code.OK:
            table.add_row(f"  {code}", f"{count:,}", code_sentence(code))
    return table


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 6_000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
