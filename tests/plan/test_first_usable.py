"""A limit is one of usable rows: what is rejected uses none of it up, for a plan and a run alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stemline.cli.next_step import CommandLine, find_next_step
from stemline.plan.first_usable import LEAST_ROWS
from stemline.plan.preview import preview_run
from stemline.plan.survey import SurveyedBatch, survey_catalogue
from stemline.run.selection import Result


def survey(catalogue, limit: int, **asked: str) -> Iterator[SurveyedBatch]:
    source = replace(catalogue.source, limit=limit, **asked)
    return survey_catalogue(source, catalogue.facts, lambda _: ())


def taken(batches: Iterator[SurveyedBatch]) -> tuple[list[str], list[str]]:
    some = list(batches)
    tracks = [track.track_id for batch in some for track in batch.tracks]
    return tracks, [str(reject.track_id) for batch in some for reject in batch.rejects]


@pytest.fixture
def mixed(catalogue):
    """Three bad rows first, then good ones with one bad row between them."""
    for name in ("bad1", "bad2", "bad3"):
        catalogue.row(name, f"{name}.wav")
    for name in ("a", "b"):
        catalogue.tone(name, 6.5)
    catalogue.tone("short", 1)
    for name in ("c", "d"):
        catalogue.tone(name, 6.5)
    return catalogue


def test_bad_rows_first_use_nothing_up(mixed):
    assert taken(survey(mixed, 2)) == (["a", "b"], ["bad1", "bad2", "bad3"])
    assert taken(survey(mixed, 3)) == (["a", "b", "c"], ["bad1", "bad2", "bad3", "short"])
    assert taken(survey(mixed, 9)) == (["a", "b", "c", "d"], ["bad1", "bad2", "bad3", "short"])


def test_the_first_of_an_order_are_the_first_usable_ones(mixed):
    tracks, rejects = taken(survey(mixed, 3, order_by="track_id DESC"))

    assert sorted(tracks) == ["b", "c", "d"]
    assert "short" in rejects


def test_more_bad_rows_than_are_read_at_once(catalogue):
    for number in range(3 * LEAST_ROWS):
        catalogue.row(f"bad{number}", f"bad{number}.wav")
    for name in "abc":
        catalogue.row(name, f"https://x.example/{name}.mp3", 60)

    tracks, rejects = taken(survey(catalogue, 2))

    assert tracks == ["a", "b"]
    assert len(rejects) == len(set(rejects)) == 3 * LEAST_ROWS


def test_rows_that_do_not_parse_are_told_once(catalogue):
    catalogue.rows.append('x,"open.wav')
    for number in range(3):
        catalogue.row(f"bad{number}", f"bad{number}.wav")
    catalogue.row("a", "https://x.example/a.mp3", 60)

    _, rejects = taken(survey(catalogue, 1))

    assert len(rejects) == len(set(rejects))


def test_a_plan_says_what_a_limit_leaves_out(mixed):
    plan = preview_run(mixed.settings(), replace(mixed.source, limit=2), mixed.facts)

    assert (plan.new, plan.rejected, plan.beyond_limit) == (2, 3, 3)
    assert preview_run(mixed.settings(), mixed.source, mixed.facts).beyond_limit == 0


def test_what_comes_next_is_the_same_without_the_limit():
    typed = CommandLine(Path("c.yaml"), ("budget.day=5",), ("run", "--where", "a > 1", "--limit", "2"))
    summary = {"tracks": {"published": 2, "rejected": 1}, "codes": {"ok": 2}, "beyond_limit": 7}

    step = find_next_step(typed, Result(3, summary))

    assert step.words == ("run", "c.yaml", "--where", "a > 1", "--set", "budget.day=5")
    assert step.why == "7 more rows remain: the same without --limit does them."
