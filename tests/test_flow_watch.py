"""A run watched for Prefect: what goes wrong with looking at it neither ends the watching unsaid nor keeps the run."""

from __future__ import annotations

import logging
import threading
import time
from types import SimpleNamespace

import pytest

from flows import flow_watch
from flows.flow_artifacts import artifact_key
from flows.flow_watch import FlowWatch, ProgressArtifact, text_of
from stemline.budget import Spending
from stemline.errors import KeyRefused, LedgerAway
from stemline.ledger import TrafficReading
from stemline.ledger.gauge import PresentPace
from stemline.records import State
from stemline.run.selection import Selection
from stemline.settings import BudgetSettings
from stemline.settings.redactor import Redactor
from stemline.telemetry.run_progress import RunProgress

REDACT = Redactor(("sk_live_1",))


def run_with(look):
    """Give as much of a run as is looked at."""
    return SimpleNamespace(
        settings=SimpleNamespace(name="night", budget=BudgetSettings()),
        selection=Selection(),
        run_id="r",
        predicted=None,
        ledger=SimpleNamespace(gauges=SimpleNamespace(of_run=look)),
    )


def progress_of(counts):
    """Give how far a run is whose tracks stand so."""
    gauges = SimpleNamespace(
        counts=counts,
        codes={},
        published_before=0,
        in_line=counts.get(State.PLANNED, 0),
        pace=PresentPace(),
        is_leased=False,
        spending=Spending(),
        traffic=TrafficReading(),
        run=SimpleNamespace(finished_at=None),
    )
    return RunProgress(gauges, BudgetSettings())


@pytest.mark.parametrize(
    "error",
    [LedgerAway("locked", fix="", is_in_doubt=False, is_locked=True), RuntimeError("closed")],
    ids=str,
)
def test_a_ledger_that_cannot_be_read_is_told_once_and_looked_at_again(monkeypatch, caplog, error):
    monkeypatch.setattr(flow_watch, "REFRESH_SECONDS", 0.001)
    looked = threading.Semaphore(0)

    def counts(_):
        looked.release()
        raise error

    watch = FlowWatch()
    with caplog.at_level(logging.WARNING, "stemline"):
        watch.opened(run_with(counts))
        assert all(looked.acquire(timeout=10) for _ in range(3))
        watch.closed(run_with(counts))

    assert [record.getMessage() for record in caplog.records] == [
        f"How far the run is cannot be shown now: {type(error).__name__}."
    ]


def test_a_look_that_hangs_does_not_keep_the_run_from_ending(monkeypatch):
    monkeypatch.setattr(FlowWatch, "patience", 0.1)
    is_over = threading.Event()
    watch = FlowWatch()
    watch.opened(run_with(lambda _: is_over.wait(60)))

    watch.closed(run_with(lambda _: None))

    assert not is_over.is_set(), "it ended while the look went on"
    is_over.set()
    watch._thread.join(10)  # what it does then is not to meet the next test


def test_the_last_look_says_how_the_slices_stand_when_the_run_ends(monkeypatch):
    shown = []

    def show(progress, _, told, **known):
        if progress.key == artifact_key("slices", "progress"):  # no other test's thread that goes on
            shown.append(told)
            assert known == {"is_planned": False}

    monkeypatch.setattr(ProgressArtifact, "show", show)
    slices = [SimpleNamespace(slice="2015", done=0, tracks=1)]
    run = run_with(lambda _: None)
    run.settings = SimpleNamespace(name="slices", budget=BudgetSettings())
    run.selection = Selection(backfill="old")
    run.ledger.backfills = SimpleNamespace(progress=lambda _: slices)
    watch = FlowWatch()

    watch.opened(run)
    while not shown:
        time.sleep(0.001)
    slices[0] = SimpleNamespace(slice="2015", done=1, tracks=1)
    watch.closed(run)

    assert shown == ["slice 2015: 0 of 1; 0 of 1 slices done", "1 of 1 slices done"]


@pytest.mark.parametrize(
    ("counts", "is_planned", "progress", "told"),
    [
        ({}, False, 0, "reading the manifest"),
        ({}, True, 100, "no tracks of its own"),
        ({State.REJECTED: 1}, True, 100, "1 rejected"),
        (
            {State.PUBLISHED: 1, State.PROCESSING: 1, State.REJECTED: 2},
            True,
            50,
            "1 of 2 tracks; 0 credits; 1 with the provider; 2 rejected",
        ),
    ],
)
def test_a_run_of_no_tracks_is_not_said_to_read_the_manifest_for_ever(
    monkeypatch, counts, is_planned, progress, told
):
    made = {}
    monkeypatch.setattr("prefect.artifacts.create_progress_artifact", lambda **shown: made.update(shown))
    ProgressArtifact("stemline-night-progress").show(progress_of(counts), is_planned=is_planned)
    assert (made["progress"], made["description"]) == (progress, told)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("night", "stemline-night-progress"),
        ("night-2", "stemline-night-2-progress"),
        ("Night", "stemline-night-4e9f-progress"),
        ("a.b_c", "stemline-a-b-c-5b8f-progress"),
    ],
)
def test_an_artifact_is_keyed_by_its_catalogue_and_no_two_share_a_key(name, key):
    assert artifact_key(name, "progress") == key


def record_of(error):
    return logging.LogRecord(
        "stemline", logging.ERROR, "", 0, "it broke: %s", ("sk_live_1",), (type(error), error, None)
    )


def test_a_line_keeps_the_traceback_of_an_unexpected_error_without_the_secret_in_it():
    told = text_of(record_of(ValueError("with sk_live_1")), REDACT)

    assert told == "it broke: ***\nValueError: with ***"


def test_a_line_about_an_error_of_ours_has_no_traceback():
    assert text_of(record_of(KeyRefused("The key is refused.")), REDACT) == "it broke: ***"
