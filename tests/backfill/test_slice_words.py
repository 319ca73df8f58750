"""How far a backfill is, said while one of its runs goes on."""

from __future__ import annotations

from stemline.records import State
from stemline.run import slice_words
from stemline.run.slice_words import SliceWords


def test_it_names_the_first_slice_that_is_not_done(catalogue, history, monkeypatch):
    monkeypatch.setattr(slice_words, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(slice_words, "SHARE", 1e9)
    catalogue.write(["2015-01-01", "2016-01-01", "2016-01-02"])
    catalogue.freeze(slice="year")
    words = SliceWords(history.ledger, "old")
    assert words.read() == "slice 2016: 0 of 2; 0 of 2 slices done"
    history.bring(1, State.PUBLISHED)
    assert words.read() == "slice 2016: 1 of 2; 0 of 2 slices done"
    history.bring(2, State.PUBLISHED)
    assert words.read() == "slice 2015: 0 of 1; 1 of 2 slices done"
    history.bring(0, State.PUBLISHED)
    assert words.read() == "2 of 2 slices done"


def test_it_is_asked_seldom(catalogue, history):
    catalogue.write(["2015-01-01"])
    catalogue.freeze(slice="year")
    words = SliceWords(history.ledger, "old")
    before = words.read()
    history.bring(0, State.PUBLISHED)
    assert words.read() == before


def test_the_last_word_is_not_an_old_one(catalogue, history, monkeypatch):
    catalogue.write(["2015-01-01"])
    catalogue.freeze(slice="year")
    words = SliceWords(history.ledger, "old")
    words.read()
    history.bring(0, State.PUBLISHED)
    assert words.read_last() == "1 of 1 slices done"
    monkeypatch.setattr(slice_words, "LAST_SECONDS", -1.0)
    assert words.read_last() == "", "asking takes long"


def test_nothing_is_said_of_a_run_of_its_own(history):
    assert SliceWords(history.ledger, None).read() == SliceWords(history.ledger, None).read_last() == ""
