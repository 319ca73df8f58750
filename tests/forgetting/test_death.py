"""Killed at any write, or at any transaction of the ledger, it is finished by the next command.

The long tests take every other of them, which ones the seed says.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress

import pytest
from support.estate import Estate, open_estate
from support.mortal_store import Died, MortalStore, dying_write, sweep

from stemline.ledger import open_ledger
from stemline.ledger.database import LedgerDatabase
from stemline.rewrite.rewrite_lock import LOCK_KEY
from stemline.run.forgetting import ForgetCommand
from stemline.storage import open_store

GONE = ("goes-01", "goes-02", "goes-03", "goes-04")
TEXTS = (*GONE, "Nina", "Sinnerman", "QZ-goes")
KEPT = ["keeps1", "keeps2", "keeps3"]


@contextmanager
def copied(filled, tmp_path, number):
    folder = tmp_path / str(number)
    shutil.copytree(filled, folder)
    with open_estate(folder, open_store(str(folder / "out")), is_copy=True) as estate:
        yield estate


def assert_finished(estate: Estate, when: object) -> None:
    estate.store.delete(LOCK_KEY)  # as whoever comes next does with that of a process that is gone
    is_begun = bool(list(estate.store.list("_stemline/forgetting")))
    cut_off = estate.check()
    assert cut_off.is_sound, (when, cut_off)
    estate.next_command()
    if estate.traces(*TEXTS):  # it died before anything was written down
        assert not is_begun, when
        assert estate.forget(artists=("Nina Simone",)).exit_code == 0, when
    assert estate.traces(*TEXTS) == [], when
    assert estate.rows() == estate.rows(folder="releases") == KEPT, when
    assert not list(estate.store.list("_stemline/forgetting")), when
    assert len(estate.ledger.forgetting.tombstones()) >= 1, when
    after = estate.check()
    assert after.is_sound, (when, after)
    assert after.leftovers == (), when
    assert sum(key.endswith("-certificate.json") for key in estate.store.list("_stemline/tombstones")) == 1, (
        when
    )


@pytest.mark.parametrize("step", [60, pytest.param(2, marks=pytest.mark.long)])
@pytest.mark.parametrize("is_done", [False, True], ids=["before it", "behind it"])
def test_at_a_write(filled, tmp_path, seed, step, is_done):
    def die(after):
        with copied(filled, tmp_path, after) as estate:
            mortal = MortalStore(estate.store.url(), after, is_done=is_done)
            died = True
            with suppress(Died):
                estate.forget(mortal, artists=("Nina Simone",))
                died = False
            assert_finished(estate, after)
            return died

    assert sweep(step, die, seed) > 30


@pytest.mark.parametrize("step", [40, pytest.param(2, marks=pytest.mark.long)])
def test_at_a_transaction_of_the_ledger(filled, tmp_path, seed, monkeypatch, step):
    def die(after):
        with copied(filled, tmp_path, after) as estate:
            with monkeypatch.context() as patch:
                patch.setattr(LedgerDatabase, "write", dying_write(after))
                died = True
                with suppress(Died):
                    estate.forget(artists=("Nina Simone",))
                    died = False
            assert_finished(estate, after)
            return died

    assert sweep(step, die, seed) > 8


def test_the_same_command_again_gives_the_certificate(filled, tmp_path):
    with copied(filled, tmp_path, "again") as estate:
        with suppress(Died):
            estate.forget(MortalStore(estate.store.url(), 20), artists=("Nina Simone",))
        estate.store.delete(LOCK_KEY)
        assert estate.command.finish().exit_code == 0
        assert estate.command.finish() is None
        assert estate.traces(*TEXTS) == []


def test_it_is_finished_when_the_ledger_is_lost_too(filled, tmp_path):
    with copied(filled, tmp_path, "lost") as estate:
        with suppress(Died):
            estate.forget(MortalStore(estate.store.url(), 4), artists=("Nina Simone",))
        with open_ledger(f"sqlite:///{tmp_path}/fresh.db") as fresh:
            estate.store.delete(LOCK_KEY)
            ForgetCommand(estate.store, fresh, "a-dataset").finish()
            assert fresh.forgetting.tombstones()
        (certificate,) = (key for key in estate.store.list("_stemline/tombstones") if "certificate" in key)
        assert b'"is_complete": true' in estate.store.read_bytes(certificate)
        assert estate.rows() == estate.rows(folder="releases") == KEPT
