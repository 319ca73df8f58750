"""Killed at any write, or at any transaction of the ledger, while rows are replaced: the next run finishes it.

A seed takes every other of them.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress

import pytest
from support.estate import open_estate
from support.mortal_store import Died, MortalStore, dying_write, sweep
from support.remade import Remade

from stemline.ledger.database import LedgerDatabase
from stemline.rewrite.rewrite_lock import LOCK_KEY
from stemline.run.rewriting import finish_rewrites
from stemline.storage import local_store, open_store

NEW = {"a": 2, "b": 1, "c": 2, "d": 1}
OLD = dict.fromkeys(NEW, 1)


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(local_store, "_flush", lambda _: None)


@pytest.fixture(scope="module", params=["objects", "embedded"])
def collected(request, tmp_path_factory):
    """A folder with two tracks whose newer stems are collected; one release names the older ones of both."""
    folder, audio = tmp_path_factory.mktemp("collected"), request.param
    with open_estate(folder, open_store(str(folder / "out")), audio=audio) as estate:
        estate.publish("a", "b")
        estate.publish("c", "d")
        estate.finish()
        estate.release("v1")
        remade = Remade(estate)
        remade.new_run()
        remade.collect("a", "c")
    return folder, audio


@contextmanager
def copied(collected, tmp_path, number):
    source, audio = collected
    folder = tmp_path / str(number)
    shutil.copytree(source, folder)
    with open_estate(folder, open_store(str(folder / "out")), is_copy=True, audio=audio) as estate:
        yield Remade(estate)


def assert_finished(remade: Remade, when: object) -> None:
    """Look at what is left, as a reader and a check do; then do what the next run does, and look again."""
    estate = remade.estate
    estate.store.delete(LOCK_KEY)  # as whoever comes next does with that of a process that is gone
    cut_off = estate.check()
    assert cut_off.is_sound, (when, cut_off)
    assert remade.numbers() in (OLD, NEW), when
    finish_rewrites(estate.ledger, estate.store, "a-dataset")
    between = estate.check()
    assert between.is_sound, (when, between)
    remade.new_run()
    remade.replace()
    assert remade.numbers() == NEW, when
    after = estate.check()
    assert after.is_sound, (when, after)
    assert after.leftovers == (), when
    assert remade.charges() == {"a": 2, "b": 1, "c": 2, "d": 1}, when
    assert list(estate.ledger.remakes.superseded()) == [], when
    assert estate.rows(folder="releases/v1") == ["a", "b", "c", "d"], when
    assert remade.replace() == 0, when


@pytest.mark.parametrize("is_done", [False, True], ids=["before it", "behind it"])
@pytest.mark.long
def test_at_a_write(collected, tmp_path, seed, is_done):
    def die(after):
        with copied(collected, tmp_path, after) as remade:
            died = True
            with suppress(Died):
                remade.replace(MortalStore(remade.estate.store.url(), after, is_done=is_done))
                died = False
            assert_finished(remade, after)
            return died

    assert sweep(2, die, seed) > 20


@pytest.mark.long
def test_at_a_transaction_of_the_ledger(collected, tmp_path, seed, monkeypatch):
    def die(after):
        with copied(collected, tmp_path, after) as remade:
            with monkeypatch.context() as patch:
                patch.setattr(LedgerDatabase, "write", dying_write(after))
                died = True
                with suppress(Died):
                    remade.replace()
                    died = False
            assert_finished(remade, after)
            return died

    assert sweep(2, die, seed) > 5


@pytest.mark.long
def test_who_reads_through_the_snapshot_is_exact_at_every_write(collected, tmp_path, monkeypatch):
    with copied(collected, tmp_path, "seen") as remade:
        store, seen = remade.estate.store, []

        def watched(name):
            original = getattr(type(store), name)

            def watch(*arguments):
                given = original(store, *arguments)
                seen.append(remade.numbers())
                return given

            monkeypatch.setattr(store, name, watch, raising=False)

        for name in ("put_bytes", "put_file", "copy", "delete", "delete_all"):
            watched(name)
        remade.replace(store)
        at = seen.index(NEW)
        assert seen == [OLD] * at + [NEW] * (len(seen) - at)
