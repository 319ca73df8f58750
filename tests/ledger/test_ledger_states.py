"""The diagram of docs/concepts.md has the moves that the ledger makes, all of them and no others."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stemline.budget import Limits
from stemline.ledger import CollectAgain, open_ledger
from stemline.records import Code, Failure, State, Submission

ROOT = Path(__file__).parents[2]
ARROW = re.compile(r"^ *(\[\*\]|\w+) --> (\w+)", re.MULTILINE)
TRIGGERS = (
    "CREATE TABLE moves (was TEXT, now TEXT)",
    "CREATE TRIGGER begun AFTER INSERT ON tracks BEGIN INSERT INTO moves VALUES ('[*]', NEW.state); END",
    "CREATE TRIGGER moved AFTER UPDATE OF state ON tracks BEGIN INSERT INTO moves VALUES (OLD.state, NEW.state); END",
)
TOLD_ELSEWHERE = {"adopt", "stand", "set_aside", "put_back"}
"""Verbs that are not walked: two are told below the diagram, two leave a track in its state."""


@pytest.fixture
def ledger(sqlite_url, clock):
    """A ledger whose database writes down every move of a track."""
    with open_ledger(sqlite_url, clock=clock) as opened:
        with opened.database.write() as connection:
            for statement in TRIGGERS:
                connection.exec_driver_sql(statement)
        yield opened


def read(case, sql):
    with case.ledger.database.read() as connection:
        return {tuple(row) if len(row) > 1 else row[0] for row in connection.exec_driver_sql(sql).all()}


def fail(case, number, state, code):
    case.ledger.attempts.fail(Failure(f"a{number}", state, code, "It did not work."))


def quarantined(case, number):
    case.ready(number)
    fail(case, number, State.QUARANTINED, Code.TRUNCATED)


def expired(case, number):
    case.ready(number)
    fail(case, number, State.EXPIRED, Code.OUTPUTS_EXPIRED)


def unknown(case, number):
    case.sent(number)
    case.ledger.attempts.mark_unknown(f"a{number}", "Nobody knows.")


def walk_while_it_waits(case):
    tracks = case.ledger.tracks
    case.plan(1)
    tracks.reject(case.run_id, ["t1"], Code.TOO_LONG, "It is too long.")
    case.plan(1)
    tracks.plan(case.run_id, [case.track(1)], away={"t1": "Its host is busy."})
    tracks.plan(case.start(), [case.track(1)])
    for number in (2, 3):
        case.plan(number)
    tracks.hold(case.run_id, Code.BUDGET_DAY, "No room today.")
    case.plan(2)
    case.clock.advance(hours=1)
    case.run_id = case.start()
    case.plan(3)
    case.ledger.attempts.reserve(case.run_id, case.track(3), "a3", 10, Limits())
    for number, state in ((4, State.PLANNED), (5, State.FAILED), (6, State.REJECTED)):
        case.submitting(number)
        case.ledger.attempts.release(f"a{number}", Code.REFUSED, "No.", state=state, is_retryable=True)
    tracks.retry_failed(case.run_id)
    case.plan(7)
    tracks.hold(case.run_id, Code.BUDGET_DAY, "No room today.")
    tracks.plan(case.run_id, [case.track(6), case.track(7)], away=dict.fromkeys(("t6", "t7"), "Busy."))


def walk_once_it_is_sent(case):
    attempts = case.ledger.attempts
    for number in (20, 21, 23):
        unknown(case, number)
    attempts.record_submission("a20", Submission("j20", 10))
    attempts.release("a21", Code.OK, "It never arrived.")
    fail(case, 23, State.FAILED, Code.SUBMIT_UNANSWERED)
    for number, state, code in (
        (25, State.FAILED, Code.JOB_FAILED),
        (26, State.EXPIRED, Code.OUTPUTS_EXPIRED),
    ):
        case.processing(number)
        fail(case, number, state, code)
    case.submitting(27)
    fail(case, 27, State.FAILED, Code.UPLOAD_FAILED)
    case.processing(28)
    attempts.mark_late("a28", "It takes long.")
    case.ready(29)
    fail(case, 29, State.FAILED, Code.DOWNLOAD_FAILED)


def walk_out_of_bad_ends(case):
    ledger, ever = case.ledger, datetime.min.replace(tzinfo=UTC)
    quarantined(case, 40)
    ledger.quarantine.collect_again(CollectAgain(case.run_id, ever, ("", "key-1")))
    for number, bring in ((42, quarantined), (43, expired)):
        bring(case, number)
        ledger.quarantine.accept(case.stems(number))
    quarantined(case, 44)
    expired(case, 45)
    ledger.redrive_queue.redrive(case.start(), [Code.TRUNCATED, Code.OUTPUTS_EXPIRED, Code.JOB_FAILED])


def walk_back_to_lost_jobs(case):
    ledger = case.ledger
    for number in (50, 51, 52, 53):
        case.processing(number)
        fail(case, number, State.FAILED, Code.JOB_LOST)
    ledger.lost_jobs.take_up("a50", "j50")
    ledger.lost_jobs.correct("a50", "j500")
    case.run_id = case.start()
    ledger.redrive_queue.redrive(case.run_id, [Code.JOB_LOST])
    ledger.lost_jobs.take_up("a51", "j51")
    ledger.lost_jobs.leave("a52", "It could not be asked for.")
    ledger.tracks.hold(case.run_id, Code.RUN_STOPPED, "It stopped.")
    ledger.lost_jobs.take_up("a53", "j53")


def walk_to_the_tables(case):
    case.published(60)
    case.ledger.runs.finish(case.run_id, 0, {})
    case.ledger.tracks.plan(case.start(), [case.track(60)], again={"t60": 1})


def test_the_diagram_has_every_move_and_no_other(case):
    walk_while_it_waits(case)
    walk_once_it_is_sent(case)
    walk_out_of_bad_ends(case)
    walk_back_to_lost_jobs(case)
    walk_to_the_tables(case)
    drawn = ARROW.findall((ROOT / "docs" / "concepts.md").read_text())
    assert read(case, "SELECT was, now FROM moves WHERE was <> now") == set(drawn)
    assert len(drawn) == len(set(drawn))
    assert {state for move in drawn for state in move} == {"[*]", *State}
    assert verbs_of_the_code() <= read(case, "SELECT verb FROM events") | TOLD_ELSEWHERE


def verbs_of_the_code():
    """Give the verbs that the ledger's code moves tracks with, where they are written out."""
    trees = (ast.parse(file.read_text()) for file in (ROOT / "stemline" / "ledger").glob("*.py"))
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    named = (
        call.args[0]
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in {"AttemptTransition", "TrackTransition"}
    )
    return {verb.value for verb in named if isinstance(verb, ast.Constant)}
