"""A year's backfill beside nightly runs on the virtual clock: what happens in it, who works, and the books on it."""

from support.backfill_year.figures import YearFigures
from support.backfill_year.plan import BackfillYear, draw_backfill_year
from support.backfill_year.year import YearRun

__all__ = ["BackfillYear", "YearFigures", "YearRun", "draw_backfill_year"]
