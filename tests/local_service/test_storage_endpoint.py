"""Presigned links over HTTP: uploads and downloads as an object store serves them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from local_service import Client, Clock, storage

from stemline_local.files.file_storage import MAX_FILE_BYTES


def put(ticket: dict, content: bytes = b"sound", content_type: str | None = None) -> httpx.Response:
    headers = {"Content-Type": content_type or ticket["contentType"]}
    return storage.put(ticket["uploadUrl"], content=content, headers=headers)


def test_an_upload_needs_no_api_key_and_may_be_repeated(client: Client) -> None:
    ticket = client.ticket()

    assert [put(ticket).status_code for _ in range(2)] == [200, 200]


def test_another_content_type_than_the_signed_one_is_refused(client: Client) -> None:
    response = put(client.ticket("song.wav"), content_type="audio/x-wav")

    assert response.status_code == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in response.text


def test_the_content_type_asked_for_is_the_one_that_is_signed(client: Client) -> None:
    ticket = client.ticket("song.mp3", contentType="audio/x-mpeg")

    assert ticket["contentType"] == "audio/x-mpeg"
    assert put(ticket, content_type="audio/mpeg").status_code == 403
    assert put(ticket).status_code == 200


def test_an_upload_link_dies_after_fifteen_minutes(start: Callable[..., Client], clock: Clock) -> None:
    ticket = start().ticket()
    clock.now += 899
    assert put(ticket).status_code == 200
    clock.now += 1
    response = put(ticket)

    assert response.status_code == 403
    assert "Request has expired" in response.text


def test_an_upload_link_opens_one_file_for_writing_only(client: Client) -> None:
    ticket, other = client.ticket(), client.ticket()
    put(ticket)
    moved = ticket["uploadUrl"].replace(ticket["uploadKey"], other["uploadKey"])

    assert storage.get(ticket["uploadUrl"]).status_code == 403
    assert put(ticket | {"uploadUrl": moved}).status_code == 403


@pytest.mark.parametrize("path", ["../service.db", "%2e%2e/service.db", "uploads/%2e%2e/%2e%2e/link-secret"])
def test_no_path_leads_to_the_services_own_files(client: Client, path: str) -> None:
    assert client.get(f"/storage/{path}").status_code in (403, 404)


def request_bytes(url: str, headers: str, body: bytes = b"") -> bytes:
    """Send a request that no client library would, and give the answer."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        line = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        connection.sendall(f"{line}Content-Type: audio/wav\r\n{headers}\r\n\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(client: Client) -> None:
    answer = request_bytes(client.ticket()["uploadUrl"], f"Content-Length: {MAX_FILE_BYTES + 1}")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"EntityTooLarge" in answer


def test_an_upload_must_say_its_length(client: Client) -> None:
    answer = request_bytes(
        client.ticket()["uploadUrl"], "Transfer-Encoding: chunked", b"5\r\nsound\r\n0\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 411 ")


def test_an_upload_that_breaks_off_is_not_there(client: Client) -> None:
    ticket = client.ticket()
    request_bytes(ticket["uploadUrl"], "Content-Length: 100", b"sound")

    response = client.post("jobs", json={"uploadKey": ticket["uploadKey"]})

    assert (response.status_code, response.json()["error"]["code"]) == (400, "UPLOAD_NOT_FOUND")


@pytest.fixture(scope="module")
def vocals(shared_service: tuple[str, Iterator[str]], short: bytes) -> str:
    """The link to a stem of a finished job."""
    url, keys = shared_service
    with Client(url, next(keys)) as client:
        job = client.wait(client.created(short, outputType="VOCALS", outputFormat="WAV"))
    return job["outputs"]["vocals"]["url"]


def test_a_download_has_its_length_type_and_ranges(vocals: str) -> None:
    whole = storage.get(vocals)
    part = storage.get(vocals, headers={"Range": "bytes=4-11"})
    rest = storage.get(vocals, headers={"Range": f"bytes={len(whole.content) - 4}-"})
    beyond = storage.get(vocals, headers={"Range": f"bytes={len(whole.content)}-"})

    assert whole.status_code == 200
    assert whole.headers["content-type"] == "audio/wav"
    assert int(whole.headers["content-length"]) == len(whole.content) > 40_000
    assert (part.status_code, part.content) == (206, whole.content[4:12])
    assert part.headers["content-range"] == f"bytes 4-11/{len(whole.content)}"
    assert (rest.status_code, rest.content) == (206, whole.content[-4:])
    assert beyond.status_code == 416


def test_a_changed_download_link_is_refused(vocals: str) -> None:
    url, _, signature = vocals.rpartition("=")
    forged = f"{url}={'0' if signature[0] != '0' else '1'}{signature[1:]}"

    assert storage.get(forged).status_code == 403
    assert storage.get(vocals.replace("vocals.wav", "drums.wav")).status_code == 403
    assert storage.get(vocals.partition("?")[0]).status_code == 403
    assert storage.put(vocals, content=b"x").status_code == 403
    assert storage.get(vocals).status_code == 200
