"""The Idempotency-Key of AIStemSplitter: the same submit makes one split and one charge, whatever happens between."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from local_service import SplitClient, VendorClients, data_of, listening, serving_folder, split_error_of

from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import running_service


def test_the_same_key_and_body_make_one_split_and_one_charge(clients: VendorClients, short: bytes) -> None:
    source = clients.splits.uploaded(short)
    first = data_of(clients.splits.submit(source, "mine", stemModel="6s"))
    clients.splits.wait(first["id"])
    again = data_of(clients.splits.submit(source, "mine", stemModel="6s"))
    other = data_of(clients.splits.submit(source, "another", stemModel="6s"))

    assert again == first
    assert other["id"] != first["id"]
    assert clients.splits.balance() == 996


def test_the_same_key_with_another_body_is_refused(clients: VendorClients, short: bytes) -> None:
    source = clients.splits.uploaded(short)
    data_of(clients.splits.submit(source, "mine"))

    assert split_error_of(clients.splits.submit(source, "mine", stemModel="6s")) == (422, "VALIDATION_ERROR")
    assert clients.splits.balance() == 998


def test_the_same_submit_many_times_at_once_is_charged_once(clients: VendorClients, short: bytes) -> None:
    source = clients.splits.uploaded(short)
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: data_of(clients.splits.submit(source, "mine"))["id"], range(16)))

    assert len(ids) == 1
    assert clients.splits.balance() == 998


def test_a_repeat_needs_its_source_no_more(clients: VendorClients, tmp_path: Path, short: bytes) -> None:
    (tmp_path / "song.wav").write_bytes(short)
    with serving_folder(tmp_path) as url:
        source = {"type": "direct_url", "url": f"{url}/song.wav"}
        first = data_of(clients.splits.submit(source, "mine"))

    assert data_of(clients.splits.submit(source, "mine")) == first
    assert split_error_of(clients.splits.submit(source, "another")) == (422, "VALIDATION_ERROR")


@pytest.mark.long
def test_a_service_killed_after_it_accepted_gives_the_same_split_again(tmp_path: Path, short: bytes) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("- {fault: timeout_after_accept, seconds: 0.1}")
    options = ServiceOptions(tmp_path / "state", keys=(ApiKey("neutral", 100),), engine="copy", workers=1)
    with running_service(replace(options, faults=faults)) as service:
        with SplitClient(service.url, "neutral") as splits:
            source = splits.uploaded(short)
            with pytest.raises(httpx.RemoteProtocolError):
                splits.submit(source, "mine")
            assert splits.balance() == 98
        os.kill(service.pid, signal.SIGKILL)
    with running_service(options) as service, SplitClient(service.url, "neutral") as splits:
        split_id = data_of(splits.submit(source, "mine"))["id"]
        assert splits.wait(split_id)["status"] == "succeeded"
        assert splits.balance() == 98


def test_a_refused_submit_does_not_use_its_key_up(clients: VendorClients, short: bytes) -> None:
    source = clients.splits.uploaded(short)
    clients.break_with({"fault": "out_of_credits", "times": 1})

    assert split_error_of(clients.splits.submit(source, "mine")) == (402, "INSUFFICIENT_CREDITS")
    assert data_of(clients.splits.submit(source, "mine"))["status"] == "queued"


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none_is_refused(clients: VendorClients, short: bytes, key: str) -> None:
    assert split_error_of(clients.splits.submit(clients.splits.uploaded(short), key)) == (
        422,
        "VALIDATION_ERROR",
    )


def test_keys_of_two_accounts_are_two_keys(clients: VendorClients, copy_service: tuple, short: bytes) -> None:
    address, keys = copy_service
    first = data_of(clients.splits.submit(clients.splits.uploaded(short), "mine"))
    with SplitClient(address.url, next(keys)) as other:
        assert data_of(other.submit(other.uploaded(short), "mine"))["id"] != first["id"]


def test_a_restart_does_not_forget_a_key(tmp_path: Path, short: bytes) -> None:
    options = ServiceOptions(tmp_path, keys=(ApiKey("ast_live_1", 100),), engine="copy", workers=1)
    with listening(options) as address, SplitClient(address.url, "ast_live_1") as splits:
        source = splits.uploaded(short)
        first = data_of(splits.submit(source, "mine"))
    with listening(options) as address, SplitClient(address.url, "ast_live_1") as splits:
        assert data_of(splits.submit(source, "mine")) == first
        assert splits.balance() == 98
        assert splits.wait(first["id"])["status"] == "succeeded"
