"""Several processes over one ledger, and processes that are killed."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from stemline.budget import Limits
from stemline.ledger import Ledger, migration, open_ledger
from stemline.records import Attempt, State

CHILD = str(Path(__file__).with_name("ledger_child.py"))


def race(url: str, racers: list[list[str]]) -> list[str]:
    """Start every racer, let them go at once, and give what they print."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [
        subprocess.Popen([sys.executable, CHILD, "reserve", url, *arguments], **pipes) for arguments in racers
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == "open\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        return [line for process in processes for line in process.communicate(timeout=60)[0].split()]
    finally:
        for process in processes:
            process.kill()


def peak(ledger: Ledger) -> int:
    """Give the most that ever was reserved and charged at once, from the entries in their order."""
    query = (
        "SELECT max(held) FROM (SELECT sum(amount) OVER (ORDER BY entry_id) AS held FROM credit_entries) AS s"
    )
    with ledger.database.read() as connection:
        return connection.execute(text(query)).scalar_one()


@pytest.mark.long
def test_processes_racing_for_a_budget_never_pass_it(case, url: str) -> None:
    case.plan(*range(40))
    forward = [f"t{number}" for number in range(40)]
    runs = [case.run_id, case.start()]
    case.ledger.tracks.plan(runs[1], [case.track(number) for number in range(40)])
    won = race(url, [[runs[0], "a", "105", *forward], [runs[1], "b", "105", *reversed(forward)]])
    assert len(won) == 10
    assert peak(case.ledger) == 100


@pytest.mark.long
def test_processes_racing_for_the_same_tracks_win_each_once(case, url: str) -> None:
    case.plan(*range(25))
    names = [f"t{number}" for number in range(25)]
    won = race(url, [[case.run_id, racer, "9999", *names] for racer in "abc"])
    assert sorted(token.partition("-")[2] for token in won) == sorted(names)
    assert case.ledger.queries.counts(case.run_id) == {State.SUBMITTING: 25}
    assert case.spent() == (250, 0)


def test_threads_share_one_ledger(case) -> None:
    case.plan(*range(24))

    def reserve(number: int) -> object:
        return case.ledger.attempts.reserve(
            case.run_id, case.track(number), f"a{number}", 10, Limits(run=155)
        )

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(reserve, range(24)))
    assert sum(isinstance(outcome, Attempt) for outcome in outcomes) == 15
    assert case.spent() == (150, 0)


def test_a_new_ledger_may_be_opened_by_many_at_once(url: str) -> None:
    def open_and_close(_: int) -> None:
        open_ledger(url).close()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(open_and_close, range(6)))


def test_killed_anywhere_a_track_is_still_submitted_and_charged_once(tmp_path: Path) -> None:
    """SIGKILL before a statement or a commit, then a second life that recovers and finishes."""
    url, submits = f"sqlite:///{tmp_path}/{{}}.db", f"{tmp_path}/{{}}.txt"
    command = [sys.executable, CHILD, "killed", url, submits, "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    rounds = [line.split() for line in done.stdout.splitlines()]
    assert len(rounds) > 12
    for steps, *submitted in rounds:
        assert len(submitted) == 1, steps
        with open_ledger(url.format(steps)) as ledger:
            run = ledger.runs.last("nightly")
            assert ledger.queries.counts(run.run_id) == {State.PUBLISHED: 1}
            assert_credits_balance(ledger)


def assert_credits_balance(ledger: Ledger) -> None:
    with ledger.database.read() as connection:
        charged = connection.execute(text("SELECT sum(amount) FROM credit_entries WHERE kind = 'charge'"))
        assert charged.scalar_one() == 10
        totals = "SELECT reserved, charged FROM credit_totals WHERE period = 'all'"
        assert connection.execute(text(totals)).one() == (0, 10)
        live = "SELECT count(*) FROM attempts WHERE state <> 'released'"
        assert connection.execute(text(live)).scalar_one() == 1


@pytest.mark.long
def test_processes_that_open_a_ledger_at_once_which_does_not_exist_yet_all_have_it(url: str) -> None:
    won = race_to_open(url, 6)
    assert won == ["opened"] * 6
    with open_ledger(url) as ledger:
        assert migration.apply(ledger.database) == []


def race_to_open(url: str, racers: int) -> list[str]:
    """Have so many processes open a ledger at the same instant, and give what they say."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, CHILD, "open", url], **pipes) for _ in range(racers)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [line for process in processes for line in process.communicate(timeout=60)[0].split()]
