"""What a plan counts of the rows' own columns."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from stemline.ledger import WrittenRow
from stemline.ledger.cell import dump_cells
from stemline.plan.metadata_check import MetadataCheck
from stemline.records import Track


def check_of(published=None, **columns):
    check = MetadataCheck()
    check.add(
        [Track("a", "/a.wav", 1, columns=columns)],
        {} if published is None else {"a": WrittenRow(dump_cells(published), "/a.wav")},
    )
    return check


@pytest.mark.parametrize(
    "text", ["spring", "2024-02-30", "31.12.1999", "0000-01-01", "infinity", "99999-01-01"]
)
def test_a_date_that_is_none_is_counted(text):
    assert check_of(released_on=text).bad_dates == 1


@pytest.mark.parametrize(
    "value",
    [None, "", " ", "1964", "1964-03", "1964-03-01", date(1964, 3, 1), datetime(1964, 3, 1, tzinfo=UTC)],
)
def test_a_date_or_none_at_all_is_not(value):
    assert check_of(released_on=value).bad_dates == 0


@pytest.mark.parametrize("text", ["n/a", "USRC1760783", "USRC176078399", "12RC17607839", "USRC1760783X"])
def test_an_isrc_that_is_none_is_counted(text):
    assert check_of(isrc=text).bad_isrcs == 1


@pytest.mark.parametrize("text", [None, "", "USRC17607839", "us-rc1-76-07839", "GB AYE 60 00001"])
def test_an_isrc_however_it_is_written_is_not(text):
    assert check_of(isrc=text).bad_isrcs == 0


def test_licenses_and_words_on_ai_training_that_say_nothing_clear_are_counted():
    odd, clear = check_of(license="CC BY", ai_training="maybe"), check_of(license="cc0", ai_training="No")

    assert (odd.unknown_licenses, odd.unclear_training) == (1, 1)
    assert (clear.unknown_licenses, clear.unclear_training) == (0, 0)
    assert (check_of().unknown_licenses, check_of().unclear_training) == (0, 0)


def test_what_changed_since_it_was_published_is_counted():
    assert check_of({"mood": "calm"}, mood="wild").changed == 1
    assert check_of({"mood": "calm"}, mood="calm", label="Warp").changed == 1
    assert check_of({}, mood="wild").changed == 1
    assert check_of({"mood": "calm", "label": "Warp"}, mood="calm").changed == 0
    assert check_of({"mood": "calm"}, label=None).changed == 0
    assert check_of(mood="wild").changed == 0
