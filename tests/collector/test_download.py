"""A download ends with the whole file or says why not."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from stemline.collector.download import Downloader, new_client
from stemline.errors import LinkExpired, StorageError, TransferFailed

DATA = bytes(range(256)) * 4000  # 1 MB


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def fetch(storage, tmp_path, pauses):
    """Download the one file there is; give its bytes."""
    storage.files["/file"] = DATA

    def fetch(path="/file"):
        with new_client(1) as client:
            Downloader(client, pauses.append).fetch(f"{storage.url}{path}", tmp_path / "spooled")
        return (tmp_path / "spooled").read_bytes()

    return fetch


def test_a_file_arrives_whole_in_one_request(fetch, storage, pauses):
    assert fetch() == DATA
    assert (len(storage.requests), pauses) == (1, [])


def test_a_broken_transfer_goes_on_where_it_broke(fetch, storage):
    storage.faults["/file"] = [("cut", 400_000), ("cut", 300_000)]

    assert fetch() == DATA
    assert storage.ranges("/file") == [None, "bytes=400000-", "bytes=700000-"]


def test_a_server_that_ignores_the_range_begins_anew(fetch, storage):
    storage.faults["/file"] = [("cut", 400_000), ("whole",)]

    assert fetch() == DATA


def test_a_server_that_answers_with_another_part_is_not_believed(fetch, storage):
    storage.faults["/file"] = [("cut", 400_000), ("other_part",)]

    assert fetch() == DATA


def test_a_file_that_became_shorter_is_taken_anew(fetch, storage):
    storage.faults["/file"] = [("cut", 400_000), ("status", 416)]

    assert fetch() == DATA
    assert storage.ranges("/file") == [None, "bytes=400000-", None]


@pytest.mark.parametrize("fault", [("status", 500), ("status", 429), ("hang_up",), ("status", 503)])
def test_a_server_in_trouble_is_asked_again(fetch, storage, pauses, fault):
    storage.faults["/file"] = [fault, fault]

    assert fetch() == DATA
    assert len(pauses) == 2


def test_pauses_grow_and_differ(fetch, storage, pauses):
    storage.faults["/file"] = [("hang_up",)] * 3

    fetch()

    assert all(low / 2 <= pause <= low for pause, low in zip(pauses, (1, 2, 4), strict=True))
    assert len({pause / low for pause, low in zip(pauses, (1, 2, 4), strict=True)}) == 3


@pytest.mark.parametrize(("after", "pause"), [("7", 7.0), ("9999", 30.0)])
def test_the_server_may_say_how_long_to_wait(fetch, storage, pauses, after, pause):
    storage.faults["/file"] = [("status", 429, (("Retry-After", after),))]

    fetch()

    assert pauses == [pause]


def test_a_server_that_never_recovers_ends_it(fetch, storage):
    storage.faults["/file"] = [("status", 500)] * 99

    with pytest.raises(
        TransferFailed, match=r"spooled from 127\.0\.0\.1:\d+ broke off: the server answers 500"
    ):
        fetch()
    assert len(storage.requests) == 4


def test_progress_is_not_counted_against_a_slow_line(fetch, storage):
    storage.faults["/file"] = [("cut", 100_000)] * 9

    assert fetch() == DATA


def test_crumbs_for_ever_end_it_too(fetch, storage):
    storage.faults["/file"] = list(itertools.repeat(("cut", 1), 999))

    with pytest.raises(TransferFailed):
        fetch()
    assert len(storage.requests) == 50


def test_a_refused_link_is_not_tried_again(fetch, storage):
    storage.faults["/file"] = [("status", 403)]

    with pytest.raises(LinkExpired):
        fetch()
    assert len(storage.requests) == 1


def test_a_download_ends_at_its_next_bytes_when_the_run_stops(storage, tmp_path, pauses):
    storage.files["/file"] = DATA
    with new_client(1) as client:
        downloader = Downloader(client, pauses.append)
        downloader.stopping.set()
        with pytest.raises(TransferFailed, match="the run stops"):
            downloader.fetch(f"{storage.url}/file", tmp_path / "spooled")

    assert (tmp_path / "spooled").stat().st_size < len(DATA)
    assert pauses == []


def test_nobody_there_is_a_failed_transfer(tmp_path, pauses):
    with new_client(1) as client, pytest.raises(TransferFailed):
        Downloader(client, pauses.append).fetch("http://127.0.0.1:9/file", tmp_path / "spooled")
    assert len(pauses) == 3


def test_a_disk_that_refuses_is_not_the_servers_fault(storage, pauses):
    storage.files["/file"] = DATA

    with new_client(1) as client, pytest.raises(StorageError):
        Downloader(client, pauses.append).fetch(f"{storage.url}/file", Path("/proc/spooled"))


def test_a_file_larger_than_it_can_be_is_refused_at_once(storage, tmp_path, pauses):
    storage.files["/file"] = DATA

    with new_client(1) as client, pytest.raises(TransferFailed, match="larger than 1000 bytes"):
        Downloader(client, pauses.append).fetch(f"{storage.url}/file", tmp_path / "spooled", 1000)
    assert ((tmp_path / "spooled").stat().st_size, pauses, len(storage.requests)) == (0, [], 1)
