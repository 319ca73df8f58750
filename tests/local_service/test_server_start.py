"""The service's state over restarts, and what it will not start with."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from local_service import Client, listening, storage

from stemline.errors import UsageError
from stemline_local import ApiKey, ServiceOptions
from stemline_local.backend import open_backend
from stemline_local.secret_files import own_keys
from stemline_local.server import LocalServer, serve


@pytest.mark.long
def test_credits_jobs_and_links_survive_a_restart_and_a_dropped_key_is_revoked(
    options: ServiceOptions, short: bytes
) -> None:
    with listening(options) as address, Client(address.url) as client:
        ticket = client.ticket()
        job_id = client.created(short, outputType="VOCALS")
        vocals = client.wait(job_id)["outputs"]["vocals"]["url"]
        port = int(address.url.rpartition(":")[2])

    with listening(replace(options, port=port)) as address, Client(address.url) as client:
        assert client.balance() == 998
        assert client.job(job_id)["status"] == "COMPLETED"
        assert storage.get(vocals).status_code == 200
        upload = storage.put(ticket["uploadUrl"], content=b"x", headers={"Content-Type": "audio/wav"})
        assert upload.status_code == 200

    with (
        listening(replace(options, keys=(ApiKey("sk_live_third"),))) as address,
        Client(address.url) as client,
    ):
        response = client.get("balance")
        assert (response.status_code, response.json()["error"]["code"]) == (403, "API_KEY_REVOKED")


@pytest.mark.long
def test_nothing_is_left_on_disk_of_expired_jobs_and_dead_servers(
    options: ServiceOptions, short: bytes
) -> None:
    files = options.folder / "files"
    with listening(replace(options, retention_seconds=1e-3)) as address, Client(address.url) as client:
        job_id = client.created(short, outputType="VOCALS")
        client.wait(job_id, "EXPIRED")
        assert (files / "outputs" / job_id / "vocals.mp3").exists()
    (files / "sources" / "of-a-dead-server").mkdir()
    (files / "outputs" / "of-a-dead-server").mkdir()

    backend = open_backend(options, time.time)
    backend.tidy()
    backend.database.close()

    assert list((files / "outputs").iterdir()) == []
    assert list((files / "sources").iterdir()) == []


def test_a_port_in_use_is_refused(options: ServiceOptions) -> None:
    with ExitStack() as stack:
        taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = taken.getsockname()[1]

        with pytest.raises(UsageError, match=f"{port} cannot be listened on"):
            LocalServer(replace(options, port=port), print)


def test_an_open_address_without_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no API key"):
        serve(ServiceOptions(tmp_path, host="0.0.0.0"))  # noqa: S104 - refused


def test_the_services_own_key_stays_the_same_and_private(tmp_path: Path) -> None:
    keys = own_keys(tmp_path)

    assert own_keys(tmp_path) == keys
    assert [key.key.split("_")[0] for key in keys] == ["sk", "ast"]
    assert (tmp_path / "api-key").stat().st_mode & 0o077 == 0
