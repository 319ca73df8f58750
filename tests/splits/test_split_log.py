"""The log of who is in which split: nothing is decided twice, whoever is at it, and reading it stays cheap."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from stemline.errors import ConfigError, StorageError
from stemline.splits import split_log
from stemline.splits.assignment import NO_SPLIT, SplitShares, TiedTracks
from stemline.splits.split_book import SplitBook, read_split_book
from stemline.splits.split_log import checkpoint_key, entry_key, find_damage, read_splits
from stemline.storage import open_store

SHARES = SplitShares(("train", "test"), (0.5, 0.5))


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path))


def book(store, by="artist", shares=SHARES):
    return SplitBook(store, by, shares, "run")


def tied(*rows):
    tracks = TiedTracks()
    for atoms in rows:
        tracks.add(atoms)
    return tracks


def decided(store):
    """Give the split of each artist named by a letter."""
    rows = [{"track_id": letter, "artist": letter} for letter in "ABCDEFGH"]
    return read_split_book(store).splits_of(rows)


def test_what_was_decided_is_read_back_and_has_no_name_in_it(store):
    rows = [{"track_id": "1", "artist": "Zappa"}, {"track_id": "2", "artist": "Bowie", "split": "own"}]
    found = book(store).decide_rows(rows)
    assert found[1] == "own"
    assert read_split_book(store).splits_of([{"track_id": "9", "artist": "zappa & Zappa"}]) == found[:1]
    text = store.read_bytes(entry_key(1)).decode()
    assert "zappa" not in text.casefold()
    assert set(json.loads(text)["atoms"]) == {found[0], "own"}


def test_the_same_names_are_drawn_alike_in_another_dataset_and_known_by_other_digests(tmp_path):
    stores = [open_store(str(tmp_path / name)) for name in ("one", "other")]
    rows = [{"track_id": str(number), "artist": f"Artist {number}"} for number in range(50)]
    one, other = (book(store) for store in stores)
    assert one.decide_rows(rows) == other.decide_rows(rows)
    assert not set(one.decided.keyed.tolist()) & set(other.decided.keyed.tolist())


def test_checkpoints_tell_what_all_entries_before_them_did(store, monkeypatch):
    monkeypatch.setattr(split_log, "ENTRIES_PER_CHECKPOINT", 4)
    for number in range(14):
        book(store).decide(tied([number]))
    whole = read_splits(store)
    assert [store.exists(checkpoint_key(number)) for number in (4, 8, 12)] == [False, True, True]
    for number in range(1, 13):
        store.delete(entry_key(number))
    assert np.array_equal(read_splits(store).keyed, whole.keyed)
    assert np.array_equal(read_splits(store).codes, whole.codes)
    assert {key for key, is_gone in find_damage(store) if is_gone} == {
        entry_key(each) for each in range(1, 13)
    }


def race(open_book):
    """Have two decide on the same artists at once, in other words; give what each of them says."""
    start, found = threading.Barrier(2), {}

    def decide(name, shares):
        mine = open_book(shares)
        start.wait()
        for letter in "ABCDEFGH":
            mine.decide_rows([{"track_id": f"{name}{letter}", "artist": letter}])
        mine.read()
        found[name] = mine.splits_of([{"track_id": letter, "artist": letter} for letter in "ABCDEFGH"])

    shares = {"one": SplitShares(("train",), (1.0,)), "other": SplitShares(("test",), (1.0,))}
    threads = [threading.Thread(target=decide, args=each) for each in shares.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_two_at_once_agree_on_a_disk(tmp_path):
    found = race(lambda shares: book(open_store(str(tmp_path)), shares=shares))
    assert found["one"] == found["other"] == decided(open_store(str(tmp_path)))
    assert None not in found["one"]


def test_two_at_once_agree_on_an_object_store(s3_server, bucket):
    store = open_store(f"s3://{bucket}/set", s3_server.storage_options)
    found = race(lambda shares: book(store, shares=shares))
    assert found["one"] == found["other"] == decided(store)


def test_a_damaged_or_missing_entry_is_named_and_nothing_is_decided_behind_it(store):
    for number in range(3):
        book(store).decide(tied([number]))
    sound = store.read_bytes(entry_key(2))
    for damage in (sound[:40], b'{"number": 2}', None):
        store.delete(entry_key(2)) if damage is None else store.put_bytes(entry_key(2), damage)
        with pytest.raises(StorageError, match=r"00000002[.]json"):
            book(store).decide(tied([7]))
        assert list(find_damage(store)) == [(entry_key(2), damage is None)]
    store.put_bytes(entry_key(2), sound)
    assert book(store).decide(tied([7])) == 1


def test_a_dataset_is_split_by_one_thing_for_ever(store):
    book(store).decide(tied([1]))
    with pytest.raises(ConfigError, match="split by 'artist', not by 'album'"):
        book(store, by="album").decide(tied([2]))


def test_changed_shares_move_nobody_and_are_told(store):
    book(store).decide(tied(*([number] for number in range(20))))
    before = read_splits(store)
    changed = book(store, shares=SplitShares(("test",), (1.0,), seed=3))
    changed.decide(tied(*([number] for number in range(25))))
    after = changed.decided
    assert np.array_equal(
        after.codes_of(np.arange(20, dtype=np.uint64)), before.codes_of(np.arange(20, dtype=np.uint64))
    )
    assert {after.names[code] for code in after.codes_of(np.arange(20, 25, dtype=np.uint64))} == {"test"}
    assert "stay where they are" in changed.notice
    assert book(store).notice == ""


def test_unknown_atoms_are_in_no_split(store):
    assert read_splits(store).codes_of(np.array([1], np.uint64)).tolist() == [NO_SPLIT]
    assert read_split_book(store) is None
