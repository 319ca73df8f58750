"""A year of nights: whatever happens between them, nothing is paid twice, nothing that was paid is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.weeks import READERS
from year import YearRun, year_run
from year_plan import Night, Year, draw_year, lengths_of
from year_vendor import Mood

from stemline.ledger.credit import open_credits, settle

pytestmark = pytest.mark.by_turns

ALWAYS = "suite-15"
SHARDS = 17
YEARS_A_SHARD = 4
"""So that `make test-long`, which draws half of the shards, carries out some 30 years."""
ROWS = tuple(range(6))


def carry_out(year: Year, folder: Path) -> YearRun:
    """Let a year pass; a failure names its seed and the fewest nights that still fail."""
    with year_run(year, folder) as run:
        try:
            run.carry_out()
        except AssertionError as error:
            nights = "\n".join(f"  {night}" for night in shrunk(year, folder).nights)
            pytest.fail(f"the year of seed {year.seed!r}: {error}\nthese nights are enough:\n{nights}")
    return run


def shrunk(year: Year, folder: Path) -> Year:
    """Leave out nights as long as the year still fails."""
    for number in reversed(range(len(year.nights))):
        fewer = year.without(number)
        if not fewer.nights:
            continue
        with year_run(fewer, folder) as run:
            try:
                run.carry_out()
            except AssertionError:
                year = fewer
    return year


def assert_readable(run: YearRun) -> None:
    published = run.books.published()
    if not published:  # then there is no table
        return
    for name, read in READERS.items():
        assert {row["track_id"] for row in read(run.folder / "out")} == published, name


@pytest.mark.long
def test_a_year_of_nights(tmp_path):
    run = carry_out(draw_year(ALWAYS), tmp_path / "year")
    assert_readable(run)


@pytest.mark.long
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_years_of_nights(tmp_path, seed, shard):
    for number in range(YEARS_A_SHARD):
        run = carry_out(draw_year(f"{seed}-{shard}-{number}"), tmp_path / "year")
        if number == 0:
            assert_readable(run)
        shutil.rmtree(tmp_path / "year")


def test_a_track_set_aside_is_published_by_the_run_that_reads_its_corrected_cells(tmp_path):
    """Held with a text that is of no use once the column is a number; the quiet nights' manifest has no such column."""
    held = Night(rows=ROWS, budget=(("day", 2),))
    numbers = Night(rows=ROWS[1:], columns=(("mood", "number"), ("plays", "integer")))
    with year_run(quiet(held, numbers), tmp_path / "year") as run:
        books = run.carry_out()
    (sentence,) = run.query("SELECT detail FROM events WHERE verb = 'set_aside'")
    assert "cannot be double" in sentence[0]
    assert len(books.published()) == len(ROWS)


def test_a_seed_gives_the_same_year_each_time():
    assert draw_year("1-17") == draw_year("1-17") != draw_year("1-18")


def quiet(*nights: Night) -> Year:
    return Year("sabotage", nights, tracks=len(ROWS), lengths=lengths_of(len(ROWS)))


class TestTheJudge:
    """Without this the zeros would prove nothing."""

    @pytest.mark.long
    def test_sees_a_track_that_is_paid_twice(self, tmp_path, monkeypatch):
        """It is not told that the ledger is gone, and so does not know the exception."""
        monkeypatch.setattr("year_books.Books.lose_ledger", lambda *_, **__: None)
        stuck = Night(rows=ROWS, mood=Mood(fates=(("stuck", 1.0),)), job_timeout="10m")
        year = quiet(stuck, Night(rows=ROWS, ledger="lost"))
        with (
            year_run(year, tmp_path / "year") as run,
            pytest.raises(AssertionError, match="is paid again"),
        ):
            run.carry_out()

    @pytest.mark.long
    def test_sees_a_stem_that_is_gone(self, tmp_path, monkeypatch):
        with year_run(quiet(Night(rows=ROWS), Night(rows=ROWS)), tmp_path / "year") as run:
            begin = run.books.begin

            def lose(*arguments):
                for stem in list((run.folder / "out" / "audio").rglob("*.wav"))[:1]:
                    stem.unlink()
                return begin(*arguments)

            monkeypatch.setattr(run.books, "begin", lose)
            with pytest.raises(AssertionError, match="audio is missing"):
                run.carry_out()

    @pytest.mark.long
    def test_sees_a_limit_that_is_passed(self, tmp_path, monkeypatch):
        monkeypatch.setattr("stemline.ledger.attempt.check_limits", lambda *_: None)
        with (
            year_run(quiet(Night(rows=ROWS, budget=(("day", 40),))), tmp_path / "year") as run,
            pytest.raises(AssertionError, match="pass the limit of 40 a day"),
        ):
            run.carry_out()

    @pytest.mark.long
    def test_sees_a_charge_that_is_not_what_it_cost(self, tmp_path, monkeypatch):
        with year_run(quiet(Night(rows=ROWS, mood=Mood(price=1.5))), tmp_path / "year") as run:
            monkeypatch.setattr("stemline.ledger.attempt.credit.settle", _booking_one_too_many)
            with pytest.raises(AssertionError, match="are booked"):
                run.carry_out()


def _booking_one_too_many(connection, now, token, _charged):
    return settle(connection, now, token, open_credits(connection, token) + 1)
