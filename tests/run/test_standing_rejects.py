"""Rows that stay rejected from night to night: since when, and what makes them news again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from stemline.ledger import Ledger, open_ledger
from stemline.records import Code, Recipe, Reject
from stemline.run.standing_rejects import rejected_since
from stemline.wording import standing_rejects_sentence

NIGHT = datetime(2026, 11, 20, 2, tzinfo=UTC)
Night = Callable[..., str | None]


def row(number: int, name: str, code: Code = Code.MISSING_FILE) -> Reject:
    sentence = f"Row {number}: there is no {name}."
    return Reject(number, f"t-{name}", f"/music/{name}", code, sentence)


@pytest.fixture
def night(tmp_path) -> Night:
    """Give what a night with these rejected rows says of them, a day after the one before."""
    nights = [NIGHT]

    def run(*rows: Reject) -> str | None:
        with open_ledger(f"sqlite:///{tmp_path}/l.db", clock=lambda: nights[-1]) as ledger:
            since = _run(ledger, rows)
        nights.append(nights[-1] + timedelta(days=1))
        return since

    return run


def _run(ledger: Ledger, rows: tuple[Reject, ...]) -> str | None:
    run_id = ledger.runs.start("c", "local", Recipe("four", "best", "flac"), "digest", "key-1")
    ledger.runs.reject(run_id, rows)
    since = rejected_since(ledger, run_id)
    ledger.runs.finish(run_id, 3, {"rejects": {"since": since}} if rows else {})
    return since


def test_the_first_night_of_a_row_is_remembered(night):
    assert night(row(1, "a"), row(5, "b")) is None
    assert night(row(1, "a"), row(5, "b")) == "2026-11-20T02:00:00+00:00"
    assert night(row(1, "a"), row(5, "b")) == "2026-11-20T02:00:00+00:00"


def test_rows_before_it_come_and_go(night):
    night(row(1, "a"), row(5, "b"))

    assert night(row(7, "b")) == "2026-11-20T02:00:00+00:00"


@pytest.mark.parametrize(
    "rows", [(row(1, "a"), row(2, "c")), (row(1, "a", Code.EMPTY_FILE),)], ids=["new row", "other code"]
)
def test_what_is_new_is_news(night, rows):
    night(row(1, "a"))

    assert night(*rows) is None
    assert night(*rows) == "2026-11-21T02:00:00+00:00"


def test_a_run_of_some_rows_alone_forgets_nothing(night):
    night(row(1, "a"), row(5, "b"))
    assert night() is None

    assert night(row(1, "a"), row(5, "b")) == "2026-11-20T02:00:00+00:00"


def test_something_that_can_be_done_is_not_called_done():
    rejects = {"since": "2026-11-20T02:00:00+00:00"}

    assert standing_rejects_sentence({"published": 1, "rejected": 1}, rejects) == (
        "All of the rest is done: 1 row stays rejected since 2026-11-20."
    )
    assert standing_rejects_sentence({"published": 1, "rejected": 1, "failed": 1}, rejects) == ""
    assert standing_rejects_sentence({"published": 1, "rejected": 1}, {"since": None}) == ""
