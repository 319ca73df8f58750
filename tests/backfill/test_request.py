"""What a backfill is asked for, in the options' words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stemline.backfill.beginning import read_share, share_words
from stemline.backfill.request import BackfillMode, BackfillRequest, check_ceiling, check_name
from stemline.errors import UsageError


def test_what_is_not_said_is_the_default():
    assert BackfillRequest.from_words({"since": None, "by": None}) == BackfillRequest()
    assert BackfillRequest().as_tree() == {
        "since": None,
        "until": None,
        "by": "released_on",
        "where": None,
        "mode": "missing",
        "order": "newest",
        "slice": "month",
    }


def test_a_request_reads_back_from_what_the_ledger_keeps_of_it():
    asked = BackfillRequest.from_words(
        {
            "since": "2015",
            "until": "2020-06-01T12:00:00+02:00",
            "by": "added",
            "where": "genre = 'jazz'",
            "mode": "all",
            "order": "shortest",
            "slice": "week",
        }
    )
    assert asked.mode is BackfillMode.ALL
    assert BackfillRequest.from_words(asked.as_tree()) == asked


@pytest.mark.parametrize(
    ("since", "until"), [("2020", "2020"), ("2020-05-02", "2020-05-01"), ("2020-01-01T00:00:01", "2020")]
)
def test_bounds_between_which_nothing_lies_are_refused(since, until):
    with pytest.raises(UsageError, match="is not before --until"):
        BackfillRequest.from_words({"since": since, "until": until})


@pytest.mark.parametrize("option", ["mode", "order", "slice"])
def test_a_word_that_is_not_known_names_those_that_are(option):
    with pytest.raises(UsageError, match=f"--{option} 'cheapest' is not known") as refused:
        BackfillRequest.from_words({option: "cheapest"})
    assert "Use one of:" in refused.value.fix


def test_until_is_exclusive_and_since_is_not():
    asked = BackfillRequest.from_words({"since": "2015", "until": "2020"})
    assert asked.takes(datetime(2015, 1, 1, tzinfo=UTC))
    assert not asked.takes(datetime(2020, 1, 1, tzinfo=UTC))
    assert not asked.takes(None)
    assert BackfillRequest().takes(None)


def test_the_same_request_has_the_same_name_by_default_and_another_one_another():
    asked = BackfillRequest.from_words({"since": "2015", "until": "2020"})
    named = asked.default_name("nightly")
    assert named == BackfillRequest.from_words({"since": "2015-01-01", "until": "2020"}).default_name(
        "nightly"
    )
    assert named != BackfillRequest.from_words({"since": "2015", "until": "2021"}).default_name("nightly")
    assert named.startswith("nightly.2015-01-01.2020-01-01.")
    assert check_name(named) == named


def test_the_default_name_of_any_catalogue_is_a_name():
    for catalogue in ("Nächte / 2024", "-", ".", "x" * 200, "日本"):
        check_name(BackfillRequest().default_name(catalogue))


@pytest.mark.parametrize("name", ["", "../up", "a b", ".hidden", "x" * 65, "a/b", "-a", "ä"])
def test_a_name_that_is_no_plain_word_is_refused(name):
    with pytest.raises(UsageError, match="is no name for a backfill"):
        check_name(name)


@pytest.mark.parametrize(
    ("text", "share"), [("50%", 0.5), ("0.25", 0.25), ("100%", 1.0), (" 1 ", 1.0), ("0.5%", 0.005)]
)
def test_a_share_is_a_part_of_one_or_a_hundred(text, share):
    assert read_share(text) == share


@pytest.mark.parametrize("text", ["", "0", "0%", "-5%", "101%", "50", "half", "50%%", "nan", "inf%", "%"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(UsageError, match="is no share"):
        read_share(text)


@pytest.mark.parametrize("text", ["0.01%", "0.1%", "33.3%", "50%", "100%"])
def test_a_share_is_said_as_it_is_given(text):
    assert share_words(read_share(text)) == text


@pytest.mark.parametrize("text", ["1e-310", "0.009%"])
def test_a_share_of_hardly_anything_is_none(text):
    with pytest.raises(UsageError, match="is no share") as refused:
        read_share(text)
    assert "from 0.01% to 100%" in refused.value.fix


@pytest.mark.parametrize("ceiling", [-1, 0, 10**16, 10**30])
def test_a_ceiling_that_no_ledger_keeps_is_refused(ceiling):
    with pytest.raises(UsageError, match=f"--credits {ceiling} is no ceiling"):
        check_ceiling(ceiling)
