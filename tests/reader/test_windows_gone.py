"""Windows of stems that went away, or were altered, since the tables told of them."""

from __future__ import annotations

import pytest

import stemline
from stemline.errors import StorageError

STEMS = ("instrumental", "vocals")


def places(windows):
    return [(window["track_id"], window["start"]) for window in windows]


def _remove(published, folder, part):
    for key in list(published.store.list(folder)):
        if part in f"/{key}":
            published.store.delete(key)


def test_a_window_whose_object_is_gone_is_skipped_with_a_count(published, caplog):
    for name in "abc":
        published.publish(name)
    dataset = stemline.open_dataset(published.url)
    windows = dataset.windows(2.0, STEMS)
    whole = places(windows)
    _remove(published, "audio", "/b/")

    assert places(windows) == [(track, start) for track, start in whole if track != "b"]
    assert windows.skipped == {"gone": 3}
    assert len([record for record in caplog.records if "is skipped" in record.message]) == 1


@pytest.mark.long
def test_an_altered_one_is_never_given(published):
    for name in "abc":
        published.publish(name)
    windows = stemline.open_dataset(published.url).windows(2.0, STEMS)
    (key,) = [key for key in published.store.list("audio") if "/b/" in key and "/vocals." in key]
    other = published.store.read_bytes(key.replace("/vocals.", "/instrumental."))
    published.store.put_bytes(key, other)

    assert {track for track, _ in places(windows)} == {"a", "c"}
    assert windows.skipped == {"altered": 3}


def test_it_is_found_where_the_newest_snapshot_has_it(published):
    published.publish("a")
    windows = stemline.open_dataset(published.url).windows(2.0, STEMS)
    for table in ("tracks", "stems", "activity", "audio"):
        _remove(published, table, "")
    published.publish("a", number=2)

    assert len(places(windows)) == 3
    assert not windows.skipped


def test_where_all_are_gone_it_ends_with_a_sentence(published):
    published.publish("a")
    windows = stemline.open_dataset(published.url).windows(1.0, STEMS, epochs=None)
    _remove(published, "audio", "")

    with pytest.raises(StorageError, match=r"None of 8 windows could be read \(8 gone\)"):
        list(windows)


def test_a_folder_where_an_object_was_is_skipped_too(published):
    for name in "ab":
        published.publish(name)
    windows = stemline.open_dataset(published.url).windows(2.0, STEMS)
    (key,) = [key for key in published.store.list("audio") if "/b/" in key and "/vocals." in key]
    published.store.delete(key)
    published.store.local_path(key).mkdir()

    assert {track for track, _ in places(windows)} == {"a"}
    assert windows.skipped == {"gone": 3}
