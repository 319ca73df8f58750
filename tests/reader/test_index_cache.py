"""Indexes are made once, whole or not at all, and do not pile up."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest

from stemline.errors import StorageError
from stemline.reader.index_cache import IndexCache


def opened(folder):
    return json.loads((folder / "record").read_text())


def writing(value, begun=None):
    def write(folder):
        if begun is not None:
            begun.append(value)
            time.sleep(0.02)
        (folder / "record").write_text(json.dumps(value))

    return write


def test_of_many_at_once_one_makes_it(tmp_path):
    begun, found = [], []
    caches = [IndexCache(tmp_path, "s3://b/set", "state") for _ in range(6)]
    threads = [
        threading.Thread(target=lambda each=each: found.append(each.get("index", opened, writing(7, begun))))
        for each in caches
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert (begun, found) == ([7], [7] * 6)


def test_what_was_cut_off_or_is_of_another_version_is_made_again(tmp_path):
    cache = IndexCache(tmp_path, "url", "state")

    def broken(folder):
        (folder / "record").write_text("{")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.get("index", opened, broken)
    assert [each.name for each in cache.folder.iterdir()] == ["index.lock"]
    assert cache.get("index", opened, writing(1)) == 1
    (cache.folder / "index" / "record").write_text("{")
    assert cache.get("index", opened, writing(2)) == 2


def test_states_that_nobody_uses_go(tmp_path):
    for number in range(6):
        cache = IndexCache(tmp_path, "url", f"state{number}")
        cache.get("index", opened, writing(number))
        if number != 1:
            os.utime(cache.folder, (number, number))
    IndexCache(tmp_path, "other", "state").get("index", opened, writing(0))

    kept = {opened(folder / "index") for folder in tmp_path.glob(f"{cache._name}-*")}
    assert kept == {1, 4, 5}


def test_a_folder_that_cannot_be_written_is_told_with_the_way_to_another(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="STEMLINE_CACHE"):
        IndexCache(tmp_path / "file", "url", "state").get("index", opened, writing(1))
