"""The card at a dataset's root: there for `datasets`, up to date, and never over what a person wrote."""

from __future__ import annotations

import pytest

from stemline.dataset.card import CARD_KEY, tell_change, write_dataset_card
from stemline.storage import open_store


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "stems"))


def test_it_is_written_once(store):
    assert write_dataset_card(store)
    card = store.read_bytes(CARD_KEY)
    assert b"config_name: tracks" in card
    assert not write_dataset_card(store)
    assert store.read_bytes(CARD_KEY) == card


def test_what_a_person_wrote_stays(store):
    store.put_bytes(CARD_KEY, b"# Mine\n")
    assert not write_dataset_card(store)
    assert store.read_bytes(CARD_KEY) == b"# Mine\n"


@pytest.mark.parametrize(
    "edit", [lambda text: b"# Mine\n" + text, lambda text: text + b"More.\n", lambda text: text[:-9]]
)
def test_ours_is_a_persons_once_it_was_edited(store, edit):
    write_dataset_card(store)
    edited = edit(store.read_bytes(CARD_KEY))
    store.put_bytes(CARD_KEY, edited)

    assert not write_dataset_card(store)

    assert store.read_bytes(CARD_KEY) == edited


def test_an_older_one_of_ours_is_brought_up_to_date(store, monkeypatch):
    monkeypatch.setattr("stemline.dataset.card.TABLES_SHOWN", ("tracks",))
    write_dataset_card(store)
    monkeypatch.undo()

    assert write_dataset_card(store)

    assert b"config_name: stems" in store.read_bytes(CARD_KEY)


def test_it_tells_a_change_in_its_head_and_else_stays(store):
    write_dataset_card(store)
    before = store.read_bytes(CARD_KEY)
    tell_change(store)
    after = store.read_bytes(CARD_KEY)
    assert [old == new for old, new in zip(before.splitlines(), after.splitlines(), strict=True)].count(
        False
    ) == 4
    assert not write_dataset_card(store)
    store.put_bytes(CARD_KEY, b"# Mine\n")
    tell_change(store)
    assert store.read_bytes(CARD_KEY) == b"# Mine\n"
