"""The one command that a run's end leads to: it can be pasted, and it is the right one."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

from stemline.backfill.request import BackfillRequest, check_name
from stemline.budget import Limits
from stemline.cli.application import app
from stemline.cli.next_step import CommandLine, NextStep, find_next_step
from stemline.ledger import open_ledger
from stemline.records import Code, Failure, Recipe, State, Submission, Track
from stemline.run.selection import Result

NOW = datetime(2026, 11, 29, 17, tzinfo=UTC)
COMMANDS = typer.main.get_command(app).commands


def result(exit_code: int, tracks: dict[str, int], *codes: str) -> Result:
    return Result(exit_code, {"tracks": tracks, "codes": dict.fromkeys(codes, 1)})


@pytest.fixture
def typed(tmp_path) -> CommandLine:
    """A configuration under which nothing has run: no ledger tells more than the result does."""
    config = tmp_path / "my night.yaml"
    config.write_text(
        "{name: night, catalogue: {manifest: c.csv}, provider: {kind: local}, dataset: {url: dataset}}"
    )
    return CommandLine(config, ("budget.day=5",), ("run", "--where", "a = 'b'"))


CASES = {
    "all published": (0, {"published": 3}, ["ok"], "report", None),
    "this run's budget": (4, {"held": 3}, ["budget_run"], "run", None),
    "the day's budget": (4, {"held": 3}, ["budget_day"], "run", datetime(2026, 11, 30, tzinfo=UTC)),
    "the month's too": (
        4,
        {"held": 3},
        ["budget_day", "budget_month"],
        "run",
        datetime(2026, 12, 1, tzinfo=UTC),
    ),
    "the floor": (4, {"held": 3}, ["budget_floor"], "run", None),
    "refused": (5, {"held": 3}, ["run_stopped"], "doctor", None),
    "out of credits": (5, {"held": 3}, ["out_of_credits"], "run", None),
    "the disk is full": (2, {"held": 3}, ["run_stopped"], "doctor", None),
    "interrupted": (130, {"held": 3}, ["run_stopped"], "run", None),
    "unknown": (3, {"published": 1, "unknown": 1}, ["submit_unanswered"], "resolve", None),
    "rejected alone": (3, {"published": 1, "rejected": 1}, ["missing_file"], "status", None),
    "paid and not downloaded": (3, {"ready": 3}, ["download_failed"], "run", None),
    "late": (3, {"processing": 1}, ["job_late"], "run", None),
    "failed, and no ledger to look into": (3, {"failed": 1}, ["refused"], "status", None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_end_leads_to_one_command_that_parses(typed, case):
    exit_code, tracks, codes, command, at = case

    step = find_next_step(typed, result(exit_code, tracks, *codes), NOW)

    assert (step.words[0], step.at) == (command, at)
    name, *words = step.words
    parsed = COMMANDS[name].make_context(name, words, resilient_parsing=False)
    assert parsed.params["config"] == typed.config
    assert parsed.params["overrides"] == ["budget.day=5"]


def cancelled(typed, name: str, **words: str) -> NextStep:
    """Give what comes after a backfill that was cancelled, asked for in these words."""
    request = BackfillRequest.from_words(words).as_tree()
    summary = {"tracks": {"published": 1, "held": 2}, "codes": {"ok": 1, "run_stopped": 2}}
    about = {"name": name, "state": "cancelled", "request": request}
    return find_next_step(typed, Result(130, {**summary, "backfill": about}))


def test_a_cancelled_backfills_rest_is_taken_by_one_of_another_name_that_asks_for_the_same(typed):
    asked = {"since": "2015-01-01", "until": "2016-01-01T06:00", "where": "a = 'b'", "order": "oldest"}
    name, *words = cancelled(typed, "old", **asked).words
    found = COMMANDS[name].make_context(name, words, resilient_parsing=False).params
    assert (name, found["name"], found["config"]) == ("backfill", "old-2", typed.config)
    again = {key: found["slice_" if key == "slice" else key] for key in BackfillRequest().as_tree()}
    assert BackfillRequest.from_words(again) == BackfillRequest.from_words(asked)
    assert "--name old-10" in cancelled(typed, "old-9").command
    assert check_name(cancelled(typed, "x" * 64).words[-3]) == "x" * 61 + "-2"


def test_a_redrive_of_nothing_made_nothing_to_look_at(typed):
    redriven = CommandLine(typed.config, typed.overrides, ("redrive",))
    assert find_next_step(redriven, result(0, {})).words[0] == "status"


def test_what_would_pay_for_everything_again_is_not_proposed_after_a_cancelling(typed):
    assert cancelled(typed, "old", mode="all").words[0] == "backfills"


def test_rows_that_stay_rejected_leave_nothing_to_run_for(typed):
    summary = {
        "tracks": {"published": 5, "rejected": 2},
        "codes": {"ok": 5, "missing_file": 2},
        "rejects": {"first": [], "list": "/d/rejects.csv", "since": "2026-11-20T02:00:00+00:00"},
    }

    step = find_next_step(typed, Result(3, summary), NOW)

    assert step.why.startswith("All of the rest is done: 2 rows stay rejected since 2026-11-20.")
    assert step.words == ("status", str(typed.config), "--rejected", "--set", "budget.day=5")


def test_the_same_rows_are_run_again(typed):
    step = find_next_step(typed, result(130, {"held": 1}, "run_stopped"), NOW)

    assert step.words == ("run", str(typed.config), "--where", "a = 'b'", "--set", "budget.day=5")


def test_a_backfill_goes_on_under_its_name(tmp_path):
    typed = CommandLine(tmp_path / "c.yaml", (), ("backfill", "--name", "2016"))

    assert find_next_step(typed, result(130, {}), NOW).words == (
        "backfill",
        f"{tmp_path}/c.yaml",
        "--name",
        "2016",
    )
    ceiling = find_next_step(typed, result(4, {"held": 1}, "budget_backfill"), NOW)
    assert ceiling.words[2:4] == ("--change", "2016")


def test_a_command_survives_the_shell_and_names_the_program_as_it_is_called(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", ["my tools/stemline", "run"])

    step = NextStep(("run", "my night.yaml"), "why")

    assert shlex.split(step.command) == ["my tools/stemline", "run", "my night.yaml"]
    assert step.as_tree() == {"command": "'my tools/stemline' run 'my night.yaml'", "why": "why", "at": None}


def test_tracks_that_failed_are_redriven_and_what_is_paid_again_is_named(ledger_with_failures):
    retryable = find_next_step(ledger_with_failures("refused"), result(3, {"failed": 1}, "refused"), NOW)
    assert retryable.words[0] == "redrive"
    assert retryable.why == "Try 1 track again, for at most 10 credits."

    paid = find_next_step(ledger_with_failures("job_lost"), result(3, {"failed": 1}, "job_lost"), NOW)
    assert paid.words[-2:] == ("--code", "job_lost")
    assert paid.why == "Look for 1 lost job once more, and pay 10 credits for what is nowhere."


def test_a_track_without_an_answer_is_named(ledger_with_failures):
    typed = ledger_with_failures("unknown")

    assert find_next_step(typed, result(3, {"unknown": 1}, "submit_unanswered"), NOW).words[:3] == (
        "resolve",
        str(typed.config),
        "t1",
    )


@pytest.fixture
def ledger_with_failures(tmp_path):
    """Give a configuration whose ledger has one track that ended so."""

    def make(ending: str) -> CommandLine:
        folder = Path(tmp_path / ending)
        folder.mkdir()
        url = f"sqlite:///{folder}/l.db"
        config = folder / "c.yaml"
        config.write_text(
            f"{{catalogue: {{manifest: c.csv}}, provider: {{kind: local}}, ledger: {{url: '{url}'}}, "
            f"dataset: {{url: {folder}/dataset}}}}"
        )
        track = Track("t1", "/music/1.mp3", 1, duration_seconds=10.0)
        with open_ledger(url) as ledger:
            run_id = ledger.runs.start("c", "local", Recipe("four", "best", "flac"), "digest", "key-1")
            ledger.tracks.plan(run_id, [track])
            ledger.attempts.reserve(run_id, track, "a1", 10, Limits())
            ledger.attempts.mark_sending("a1")
            if ending == "unknown":
                ledger.attempts.mark_unknown("a1", "no answer")
            else:
                ledger.attempts.record_submission("a1", Submission("j1", 10))
                ledger.attempts.fail(Failure("a1", State.FAILED, Code(ending), "it failed"))
        return CommandLine(config)

    return make


@pytest.mark.parametrize(("track_id", "words"), [("-1", "-- -1"), ("--help", "-- --help"), ("a b", "'a b'")])
def test_ids_and_files_that_look_like_options_are_taken_for_what_they_are(track_id, words):
    typed = CommandLine(Path("-c.yaml"), ("budget.day=5",))
    step = NextStep(typed.about("resolve", track_id), "")
    assert step.command.endswith(f"resolve ./-c.yaml --set budget.day=5 {words}")
    assert shlex.split(step.command)[-1] == track_id
    assert NextStep(typed.of("report", "--open"), "").command.endswith(
        "report ./-c.yaml --open --set budget.day=5"
    )
