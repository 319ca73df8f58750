"""AIStemSplitter's own Python package, as published, drives the local service through every method it has.

What it cannot do, for a reason of its own: it has no class but one for errors, so they are told apart by their code;
and it checks no webhook's signature, so that is done here as the reference page says.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import inspect
import json
import time
import urllib.error

import httpx
import pytest
from aistemsplitter import AIStemSplitter, AIStemSplitterError
from conformance_service import CREDITS

from stemline.audio import decode

STEMS = {
    "4s": {"vocals", "drums", "bass", "other"},
    "6s": {"vocals", "drums", "bass", "other", "piano", "guitar"},
}


@pytest.fixture
def connect(service, fresh_key):
    base_url = service.api_urls["aistemsplitter"]
    return lambda **facts: AIStemSplitter(
        facts.pop("api_key", None) or fresh_key("ast"), base_url=base_url, **facts
    )


@pytest.fixture
def client(connect) -> AIStemSplitter:
    return connect()


@pytest.fixture
def uploaded(client, song) -> dict:
    return client.upload_audio(song.read_bytes(), filename="song.wav", content_type="audio/wav")


def wait(client: AIStemSplitter, split: dict) -> dict:
    return client.wait_for_split(split["id"], timeout=30, interval=0.02)


def refusal(call) -> tuple[int, str]:
    """Give the status and the code of the error a call raises."""
    with pytest.raises(AIStemSplitterError) as refused:
        call()
    assert refused.value.message
    return refused.value.status_code, refused.value.code


def test_every_method_of_the_package_is_driven_here(client):
    methods = {name for name, _ in inspect.getmembers(client, inspect.ismethod) if not name.startswith("_")}

    assert methods == {
        "get_credits",
        "create_upload",
        "upload_audio",
        "create_split",
        "get_split",
        "wait_for_split",
    }


@pytest.mark.parametrize("model", ["4s", "6s"])
def test_a_song_is_uploaded_split_waited_for_and_downloaded(client, uploaded, tmp_path, model):
    made = client.create_split({"input": uploaded["input"], "stemModel": model, "outputFormat": "mp3"})
    assert (made["status"], made["creditsUsed"]) == ("queued", 2)

    split = wait(client, made)
    assert (split["id"], split["status"], split["stemModel"]) == (made["id"], "succeeded", model)
    assert (split["filename"], split["durationSeconds"], split["error"]) == ("song.wav", 2, None)
    assert set(split["stems"]) == STEMS[model]
    for stem, link in split["stems"].items():
        path = tmp_path / f"{stem}.mp3"
        path.write_bytes(httpx.get(link, timeout=20).raise_for_status().content)
        assert decode(path).seconds == pytest.approx(2, abs=0.1)


def test_an_upload_is_named_by_what_the_upload_answered(uploaded):
    assert uploaded["uploadId"].startswith("upl_")
    assert uploaded["input"] == {
        "type": "uploaded_file",
        "uploadId": uploaded["uploadId"],
        "fileUrl": uploaded["fileUrl"],
        "storageKey": uploaded["storageKey"],
    }
    assert uploaded["storageKey"].endswith(f"{uploaded['uploadId']}/song.wav")
    assert uploaded["expiresAt"]


def test_a_song_is_split_from_its_address(client, song_url):
    made = client.create_split({"input": {"type": "direct_url", "url": song_url}})

    assert wait(client, made)["status"] == "succeeded"
    assert client.get_split(made["id"])["stems"]


def test_a_reservation_is_made_by_hand(client):
    reserved = client.create_upload(filename="a.mp3", content_type="audio/mpeg", content_length=5)

    assert set(reserved) == {"uploadId", "uploadUrl", "uploadHeaders", "expiresAt"}


def test_credits_go_down_by_what_a_split_costs(client, uploaded):
    before = client.get_credits()
    wait(client, client.create_split({"input": uploaded["input"]}))

    assert before == {"balance": CREDITS, "unit": "seconds"}
    assert client.get_credits()["balance"] == CREDITS - 2


def test_a_repeated_idempotency_key_is_paid_once(client, uploaded):
    body = {"input": uploaded["input"], "stemModel": "4s"}
    splits = [client.create_split(body, idempotency_key="demo-001") for _ in range(3)]
    wait(client, splits[0])
    late = client.create_split(body, idempotency_key="demo-001")

    assert {split["id"] for split in [*splits, late]} == {splits[0]["id"]}
    assert client.get_credits()["balance"] == CREDITS - 2
    assert client.create_split(body, idempotency_key="demo-002")["id"] != splits[0]["id"]


def test_the_same_key_with_another_body_is_refused(client, uploaded):
    client.create_split({"input": uploaded["input"], "stemModel": "4s"}, idempotency_key="k")
    status, _ = refusal(
        lambda: client.create_split({"input": uploaded["input"], "stemModel": "6s"}, idempotency_key="k")
    )

    assert status in {409, 422}
    assert client.get_credits()["balance"] == CREDITS - 2


def test_an_answer_that_got_lost_is_asked_for_again(client, uploaded, break_with):
    """What the key is for: the split was made, and only the word of it was lost."""
    break_with({"fault": "server_error_after_accept", "nth": 1})
    body = {"input": uploaded["input"]}
    assert refusal(lambda: client.create_split(body, idempotency_key="k")) == (500, "SERVER_ERROR")
    split = client.create_split(body, idempotency_key="k")

    assert wait(client, split)["status"] == "succeeded"
    assert client.get_credits()["balance"] == CREDITS - 2


def test_a_terminal_event_is_signed_as_the_page_says(service, client, uploaded, receiver):
    made = client.create_split({"input": uploaded["input"], "webhookUrl": f"{receiver.url}/hook?mine=1"})
    call = receiver.next_call()
    parts = dict(part.split("=", 1) for part in call.headers["aistemsplitter-signature"].split(","))
    secret = service.webhook_secrets[client.api_key]
    expected = hmac.new(secret.encode(), f"{parts['t']}.".encode() + call.body, hashlib.sha256).hexdigest()
    event = json.loads(call.body)

    assert parts["v1"] == expected
    assert abs(time.time() - int(parts["t"])) < 60
    assert event["event"] == "audio.split.completed"
    assert (event["data"]["id"], event["data"]["status"]) == (made["id"], "succeeded")


class TestErrors:
    """Every code of the reference page, and the package's own."""

    def test_no_key(self):
        with pytest.raises(AIStemSplitterError, match="CONFIG_ERROR"):
            AIStemSplitter("")

    def test_a_wrong_key(self, connect):
        assert refusal(connect(api_key="ast_live_nobody").get_credits) == (401, "UNAUTHORIZED")

    def test_the_other_vendors_key(self, connect):
        assert refusal(connect(api_key="sk_live_0").get_credits) == (401, "UNAUTHORIZED")

    def test_an_empty_account(self, connect, song_url):
        poor, body = connect(api_key="ast_live_poor"), {"input": {"type": "direct_url", "url": song_url}}
        assert refusal(lambda: poor.create_split(body)) == (402, "INSUFFICIENT_CREDITS")

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"input": {"type": "direct_url"}},
            {"input": {"type": "carrier_pigeon", "url": "https://example.com/a.mp3"}},
            {"input": {"type": "uploaded_file", "uploadId": "upl_1", "fileUrl": "x", "storageKey": "y"}},
            {"input": {"type": "direct_url", "url": "https://example.com/a.mp3"}, "stemModel": "5s"},
        ],
    )
    def test_a_body_that_is_not_right(self, client, body):
        assert refusal(lambda: client.create_split(body)) == (422, "VALIDATION_ERROR")

    def test_a_source_that_is_no_song(self, client):
        tale = client.upload_audio(b"once upon a time", filename="tale.mp3", content_type="audio/mpeg")
        assert refusal(lambda: client.create_split({"input": tale["input"]})) == (422, "VALIDATION_ERROR")

    def test_a_limit_that_was_passed(self, client, break_with):
        break_with({"fault": "too_many_requests"})
        assert refusal(client.get_credits) == (429, "RATE_LIMITED")

    def test_a_service_that_fails(self, client, break_with):
        break_with({"fault": "server_error"})
        assert refusal(client.get_credits) == (500, "SERVER_ERROR")

    def test_a_split_nobody_knows(self, client):
        assert refusal(lambda: client.get_split("split/../nothing"))[0] == 404

    def test_another_accounts_split(self, client, connect, uploaded):
        made = client.create_split({"input": uploaded["input"]})
        assert refusal(lambda: connect().get_split(made["id"]))[0] == 404

    def test_an_upload_that_is_not_what_was_reserved(self, client):
        """The worker's errors have a shape of their own, which the package reads."""

        def longer(method, url, headers, body):
            is_worker = "/worker/" in url
            return transport(method, url, headers, body + b"!" if is_worker else body)

        transport, client._transport = client._transport, longer
        status, code = refusal(
            lambda: client.upload_audio(b"song", filename="a.mp3", content_type="audio/mpeg")
        )
        assert status in {400, 401, 403}
        assert code.isupper()
        assert code != "UPLOAD_ERROR"

    def test_a_split_that_fails(self, client, uploaded, break_with):
        break_with({"fault": "failed_after_charging"})
        split = wait(client, client.create_split({"input": uploaded["input"]}))

        assert (split["status"], split.get("stems")) == ("failed", None)
        assert split["error"]["code"]
        assert split["error"]["message"]

    def test_a_split_that_never_ends(self, client, uploaded, break_with):
        break_with({"fault": "job_stuck"})
        made = client.create_split({"input": uploaded["input"]})
        assert refusal(lambda: client.wait_for_split(made["id"], timeout=0.2, interval=0.02)) == (
            0,
            "TIMEOUT",
        )

    def test_a_connection_that_breaks(self, client, break_with):
        """The package lets the library's own error through."""
        break_with({"fault": "connection_cut"})
        with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
            client.get_credits()

    def test_a_proxys_page(self, client, break_with):
        """The package takes every answer for JSON."""
        break_with({"fault": "html_403"})
        with pytest.raises(json.JSONDecodeError):
            client.get_credits()
