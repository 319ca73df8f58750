"""What a terminal shows of a run that goes on, looked up seldom where a look takes long."""

from __future__ import annotations

import io
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from stemline.cli import run_display
from stemline.cli.run_display import ProgressLooks, RunDisplay, RunWords
from stemline.errors import LedgerAway
from stemline.ledger import LEASE_SECONDS
from stemline.run.selection import Selection
from stemline.settings import BudgetSettings

WIDTH = 60


@pytest.fixture
def run(case):
    """As much of a run as is looked at: one of three tracks is done, and one with the provider."""
    case.ledger.leases.acquire("key-1", "host:1", LEASE_SECONDS)
    case.published(1)
    case.processing(2)
    case.clock.advance(seconds=6)
    case.plan(3)
    return SimpleNamespace(
        run_id=case.run_id,
        ledger=case.ledger,
        settings=SimpleNamespace(budget=BudgetSettings(day=1_000)),
        selection=Selection(),
        predicted=SimpleNamespace(tracks=3, forecast=SimpleNamespace(seconds_high=90.0)),
        dispatchers=None,
    )


def test_it_says_how_fast_it_goes_what_it_spends_and_what_waits_for_what(run):
    words = RunWords(run)

    assert words.headline() == "1 of 3 tracks"
    assert [line for line in words.lines() if line] == [
        "10 tracks a minute, about 12 s to go",
        "20 of the day's budget of 1,000 credits, 10 of them reserved",
        "1 with the provider, 1 in line",
    ]


def test_a_provider_that_is_away_and_a_pilot_that_is_not_over_are_named(run):
    session = SimpleNamespace(
        client=SimpleNamespace(circuit=SimpleNamespace(is_open=True)),
        track_queue=SimpleNamespace(pilot=SimpleNamespace(is_over=False)),
    )
    run.dispatchers = SimpleNamespace(sessions=[session])

    said = list(RunWords(run).lines())

    assert "the provider does not answer: it is asked again until it does" in said
    assert "the rest waits until the first tracks have come back verified" in said


def test_before_the_plan_is_made_the_manifest_is_read(run):
    run.predicted = None

    assert RunWords(run).headline() == "1 of 3 tracks, reading the manifest"


def test_a_look_that_takes_long_is_taken_seldom(run, monkeypatch):
    """As long as one takes, nineteen times as long passes before the next."""
    now, looks = [0.0], []
    look = run.ledger.gauges.of_run

    def slow(run_id):
        looks.append(now[0])
        now[0] += 1.0
        return look(run_id)

    monkeypatch.setattr(run_display, "time", SimpleNamespace(monotonic=lambda: now[0]))
    run.ledger = SimpleNamespace(gauges=SimpleNamespace(of_run=slow))
    reader = ProgressLooks(run)
    while now[0] < 60:
        reader.read()
        now[0] += 0.25

    assert looks == [0.0, 21.0, 42.0]


def test_a_ledger_that_does_not_answer_leaves_what_was_known(run, monkeypatch):
    monkeypatch.setattr(run_display, "LOOK_SECONDS", 0.0)
    reader, answers = ProgressLooks(run), [run.ledger.gauges.of_run(run.run_id)]

    def look(_):
        if answers:
            return answers.pop()
        raise LedgerAway("locked", fix="", is_in_doubt=False, is_locked=True)

    run.ledger = SimpleNamespace(gauges=SimpleNamespace(of_run=look))
    first = reader.read()
    time.sleep(0.01)

    assert first is not None
    assert reader.read() is first


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_it_is_redrawn_where_the_terminal_can_and_else_printed(run, monkeypatch, term):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(run_display, "PLAIN_SECONDS", 0.01)
    monkeypatch.setattr(run_display, "REFRESH_SECONDS", 0.01)
    shown = io.StringIO()
    notes = Console(file=shown, force_terminal=True, width=WIDTH, color_system=None)
    is_drawn = term != "dumb"
    screen = SimpleNamespace(notes=notes, note=notes.print, is_redrawing=is_drawn)
    display = RunDisplay(screen)

    display.opened(run)
    deadline = time.monotonic() + 10
    while "in line" not in shown.getvalue() and time.monotonic() < deadline:
        display._over.wait(0.01)
    display.closed(run)

    assert "1 of 3 tracks" in shown.getvalue()
    assert ("\x1b[" in shown.getvalue()) is is_drawn
