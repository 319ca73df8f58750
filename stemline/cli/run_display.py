"""A run's progress while it goes on: some lines redrawn on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stemline.cli.console import Screen
from stemline.errors import StemlineError
from stemline.run.run_watch import RunWatch
from stemline.run.slice_words import SliceWords
from stemline.telemetry.run_progress import RunProgress
from stemline.wording import about

if TYPE_CHECKING:
    from rich.console import Group
    from rich.progress import Progress

    from stemline.dispatcher.session import DispatcherSession
    from stemline.run.run import Run

REFRESH_SECONDS = 0.25
LOOK_SECONDS = 0.5
"""The ledger is not looked at more often."""
SHARE = 0.05
"""At most this part of the time is spent looking: with a million tracks a look takes a second."""
PLAIN_SECONDS = 10.0
"""How often a line is printed where there is no terminal."""
BAR_WIDTH = 24


@dataclass
class ProgressLooks:
    """How far a run is, looked up no more often than it is cheap to."""

    run: Run
    _found: RunProgress | None = None
    _look_at: float = 0.0

    def read(self) -> RunProgress | None:
        """Give how far it is, as it was within the last seconds; None before the first look that came to something."""
        began = time.monotonic()
        if began >= self._look_at:
            with suppress(StemlineError):  # the run itself says what is wrong with its ledger, if it stays so
                gauges = self.run.ledger.gauges.of_run(self.run.run_id)
                self._found = RunProgress(gauges, self.run.settings.budget)
            now = time.monotonic()
            self._look_at = now + max(LOOK_SECONDS, (now - began) / SHARE)
        return self._found


class RunWords:
    """What is said of a run while it goes on."""

    def __init__(self, run: Run) -> None:
        """Look at nothing yet."""
        self._run, self._looks = run, ProgressLooks(run)
        self._slices = SliceWords(run.ledger, run.selection.backfill)

    @property
    def progress(self) -> RunProgress | None:
        """How far it is."""
        return self._looks.read()

    def headline(self) -> str:
        """Say how much of it is done, or what it does before that can be told."""
        progress, is_planned = self.progress, self._run.predicted is not None
        if progress is not None and progress.total:
            done = progress.done_words()
            return done if is_planned else f"{done}, reading the manifest"
        return "no tracks to send" if is_planned else "reading the manifest"

    def lines(self) -> Iterator[str]:
        """Say how fast it goes, what it spends, what waits for what, what went wrong."""
        yield self._slices.read()
        progress = self.progress
        if progress is None or not progress.total:
            return
        yield progress.pace_words() or self._predicted()
        yield progress.credit_words()
        if self._is_provider_away:
            yield "the provider does not answer: it is asked again until it does"
        yield ", ".join(progress.waiting()) or "finishing"
        if self._is_pilot_under_way and progress.gauges.in_line:
            yield "the rest waits until the first tracks have come back verified"
        yield ", ".join(progress.problems())

    def _predicted(self) -> str:
        """Say what the plan says of the time, until there is a pace of its own."""
        found = self._run.predicted
        return f"{about(found.forecast.seconds_high)} by the plan" if found and found.tracks else ""

    @property
    def _is_provider_away(self) -> bool:
        return any(session.client.circuit.is_open for session in self._sessions)

    @property
    def _is_pilot_under_way(self) -> bool:
        pilots = (session.track_queue.pilot for session in self._sessions)
        return any(pilot is not None and not pilot.is_over for pilot in pilots)

    @property
    def _sessions(self) -> list[DispatcherSession]:
        return self._run.dispatchers.sessions if self._run.dispatchers else []


class RunDisplay(RunWatch):
    """Shows a run's progress. Ctrl-C once ends it in good order."""

    def __init__(self, screen: Screen) -> None:
        """Watch on this screen."""
        super().__init__(signal.SIGINT, signal.SIGTERM)
        self._screen = screen

    def _watch(self, run: Run) -> None:
        if self._screen.is_redrawing:
            self._redraw(RunWords(run))
        else:
            self._print(RunWords(run))

    def _print(self, words: RunWords) -> None:
        started = time.monotonic()
        while not self._over.wait(PLAIN_SECONDS):
            told = "; ".join(filter(None, (words.headline(), *words.lines())))
            self._screen.note(f"{time.monotonic() - started:6.0f} s  {told}")

    def _redraw(self, words: RunWords) -> None:
        from rich.live import Live
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(),
            BarColumn(BAR_WIDTH),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
        )
        bar = Progress(*columns, console=self._screen.notes, auto_refresh=False)
        bar.add_task("reading the manifest", total=None)
        # Drawn by this thread alone: what is shown and what is looked up keep step.
        with Live(console=self._screen.notes, auto_refresh=False, transient=True) as live:
            while not self._over.wait(REFRESH_SECONDS):
                live.update(_drawn(bar, words), refresh=True)

    def _interrupt(self, run: Run, number: int) -> None:
        if run.is_interrupted:
            # The second time: stop now. The ledger has what is known, and the next run goes on from there.
            signal.signal(number, signal.SIG_DFL)
            with suppress(RuntimeError):  # as below
                self._screen.note("Stopped at once. The same command goes on, and looks up what was sent.")
            signal.raise_signal(number)
        run.interrupt()  # first: a second signal may come while the sentence is printed
        with suppress(RuntimeError):  # the signal may have come while something else was printed
            self._screen.note("Stopping: collecting what is ready. Once more stops at once.")


def _drawn(bar: Progress, words: RunWords) -> Group:
    """Give the bar, and below it the lines."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    progress = words.progress
    if progress is not None and progress.total:
        bar.update(bar.task_ids[0], completed=progress.done, total=progress.total)
    bar.update(bar.task_ids[0], description=words.headline())
    lines = [Padding(Text(line), (0, 0, 0, 2)) for line in words.lines() if line]
    return Group(bar.get_renderable(), *lines)
