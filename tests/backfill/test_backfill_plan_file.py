"""A backfill's plan saved in a file is frozen as it was shown, or not at all."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from stemline.backfill.plan_file import check_backfill_plan, save_backfill_plan
from stemline.errors import PlanOutdated, UsageError

ASKED = {"since": "2015", "until": "2020"}


@pytest.fixture
def path(catalogue):
    """The file of a saved plan for three tracks."""
    catalogue.write(["2015-01-01", "2016-01-01", "2017-01-01"])
    path = catalogue.folder / "plan.json"
    with catalogue.planned(**ASKED) as plan:
        save_backfill_plan(path, plan)
    return path


@contextmanager
def outdated(*words: str):
    with pytest.raises(PlanOutdated) as refused:
        yield
    for word in words:
        assert word in refused.value.message
    assert "--dry-run --out" in refused.value.fix


def test_a_plan_holds_while_nothing_has_moved(catalogue, path):
    with catalogue.planned(**ASKED) as plan:
        check_backfill_plan(path, plan)
    assert json.loads(path.read_text())["slices"] == [
        ["2017-01", 1, 60],
        ["2016-01", 1, 60],
        ["2015-01", 1, 60],
    ]


@pytest.mark.parametrize(
    ("dates", "told"),
    [
        (["2015-01-01", "2016-01-01"], "(3 tracks then, 2 now)"),
        (["2015-01-01", "2016-01-01", "2017-01-01", "2018-01-01"], "(3 tracks then, 4 now)"),
        (["2015-01-01", "2016-01-01", "2017-02-01"], "slices moved"),
    ],
)
def test_rows_that_moved_are_refused(catalogue, path, dates, told):
    catalogue.write(dates)
    with outdated(told), catalogue.planned(**ASKED) as plan:
        check_backfill_plan(path, plan)


def test_another_length_is_refused_as_another_price(catalogue, path):
    catalogue.write(["2015-01-01", "2016-01-01", "2017-01-01"], duration_seconds=61)
    with outdated("the rows"), catalogue.planned(**ASKED) as plan:
        check_backfill_plan(path, plan)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"since": "2014", "until": "2020"}, "what is asked for"),
        ({**ASKED, "order": "oldest"}, "what is asked for"),
        ({**ASKED, "ceiling": 100}, "ceiling"),
        ({**ASKED, "share": 0.5}, "share"),
        ({**ASKED, "name": "other"}, "name"),
    ],
)
def test_another_question_is_refused(catalogue, path, asked, told):
    with outdated(told), catalogue.planned(**asked) as plan:
        check_backfill_plan(path, plan)


def test_another_configuration_is_refused(catalogue, path):
    catalogue.overrides = ["recipe.format=wav"]
    with outdated("the configuration"), catalogue.planned(**ASKED) as plan:
        check_backfill_plan(path, plan)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"stemline_backfill": 2}', "\x00\xff"])
@pytest.mark.long
def test_a_file_that_is_no_plan_is_refused(catalogue, path, text):
    path.write_text(text)
    with pytest.raises(UsageError, match="is no plan of a backfill"), catalogue.planned(**ASKED) as plan:
        check_backfill_plan(path, plan)
    path.unlink()
    with pytest.raises(UsageError, match="cannot be read"), catalogue.planned(**ASKED) as plan:
        check_backfill_plan(path, plan)


def test_a_plan_that_cannot_be_written_is_said_so(catalogue, path):
    with pytest.raises(UsageError, match="cannot be written"), catalogue.planned(**ASKED) as plan:
        save_backfill_plan(path.parent / "missing" / "plan.json", plan)
