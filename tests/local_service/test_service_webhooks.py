"""Webhooks of both vendors, received by a real server that checks signatures in its own way."""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from local_service import (
    WAIT_SECONDS,
    Call,
    Client,
    Clock,
    Lab,
    Receiver,
    SplitClient,
    data_of,
    error_of,
    listening,
)

from stemline_local import ApiKey, Options
from stemline_local.delivery import RETRY_SECONDS

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def is_signed(call: Call, secret: str) -> bool:
    digest = hmac.digest(secret.encode(), call.body, hashlib.sha256).hex()
    return call.headers["x-webhook-signature"] == f"sha256={digest}"


def is_split_signed(call: Call, secret: str, now: float | None = None) -> bool:
    moment, signature = re.fullmatch(
        r"t=(\d+),v1=([0-9a-f]{64})", call.headers["aistemsplitter-signature"]
    ).groups()
    assert abs(int(moment) - (now or time.time())) < 30
    return signature == hmac.digest(secret.encode(), moment.encode() + b"." + call.body, "sha256").hex()


def registered(client: Client, url: str, **fields: object) -> dict:
    response = client.post("webhooks", json={"url": url, **fields})
    assert response.status_code == 201, response.text
    return response.json()


def hook_of(client: Client) -> dict:
    (hook,) = client.get("webhooks").json()["webhooks"]
    return hook


def settled(client: Client, **wanted: object) -> dict:
    """Give the one webhook once it shows these values."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (hook := hook_of(client)).items() >= wanted.items():
        assert time.monotonic() < deadline, hook
        time.sleep(0.02)
    return hook


def test_a_registered_webhook_tells_its_secret_once(lab: Lab, receiver: Receiver) -> None:
    created = registered(lab.jobs, receiver.url)
    listed = hook_of(lab.jobs)

    assert set(created) == {"id", "url", "events", "secret", "isActive", "createdAt"}
    assert created["id"].startswith("whk_")
    assert created["secret"].startswith("whsec_")
    assert created["events"] == ["job.completed", "job.failed"]
    assert listed == {
        "id": created["id"],
        "url": receiver.url,
        "events": ["job.completed", "job.failed"],
        "isActive": True,
        "failCount": 0,
        "lastError": None,
        "lastCalledAt": None,
        "createdAt": created["createdAt"],
    }


def test_a_completed_job_is_told_in_the_vendors_shape(lab: Lab, receiver: Receiver, short: bytes) -> None:
    hook = registered(lab.jobs, receiver.url + "/hooks?a=b")
    job_id = lab.jobs.created(short, fileName="tok.wav", outputFormat="WAV")
    call = receiver.call()
    payload, data = call.payload, call.payload["data"]
    job = lab.jobs.job(job_id)

    assert is_signed(call, hook["secret"])
    assert call.path == "/hooks?a=b"
    assert call.headers["x-webhook-event"] == "job.completed"
    assert call.headers["x-webhook-id"] == hook["id"]
    assert call.headers["content-type"] == "application/json"
    assert set(payload) == {"event", "timestamp", "data"}
    assert TIME.fullmatch(payload["timestamp"])
    outputs = data.pop("outputs")
    assert set(outputs) == {"vocals", "instrumental"}
    assert all(set(output) == {"url", "expiresAt"} for output in outputs.values())
    same = ("input", "options", "creditsCharged", "createdAt", "completedAt")
    assert data == {"jobId": job_id, "status": "COMPLETED", **{name: job[name] for name in same}}
    assert settled(lab.jobs, failCount=0)["lastError"] is None
    assert lab.jobs.get(outputs["vocals"]["url"]).status_code == 200


def test_a_failed_job_is_told_to_whom_it_concerns(lab: Lab, short: bytes) -> None:
    lab.break_with({"fault": "failed_after_charging", "times": 1})
    with Receiver() as failures, Receiver() as successes:
        registered(lab.jobs, failures.url, events=["job.failed"])
        registered(lab.jobs, successes.url, events=["job.completed"])
        failed = lab.jobs.created(short)
        data = failures.call().payload["data"]
        completed = lab.jobs.created(short)

        assert (data["jobId"], data["status"], data["outputs"]) == (failed, "FAILED", None)
        assert data["errorMessage"]
        assert successes.call().payload["data"]["jobId"] == completed
        assert failures.calls.empty()


def test_a_video_job_is_told_with_its_type(lab: Lab, receiver: Receiver) -> None:
    hook = registered(lab.jobs, receiver.url)
    lab.jobs.post("youtube-jobs", json={"youtubeUrl": "dQw4w9WgXcQ"})
    call = receiver.call()

    assert is_signed(call, hook["secret"])
    assert call.payload["data"]["type"] == "youtube"
    assert call.payload["data"]["input"]["videoTitle"] == "Never"
    assert set(call.payload["data"]["outputs"]) == {"fullAudio", "vocals", "instrumental"}


def test_a_split_is_told_to_its_own_url(lab: Lab, receiver: Receiver, short: bytes) -> None:
    registered(lab.jobs, receiver.url + "/account")  # StemSplit's: no concern of a split
    source = lab.splits.uploaded(short)
    split_id = data_of(lab.splits.submit(source, webhookUrl=receiver.url + "/mine"))["id"]
    call = receiver.call()

    assert call.path == "/mine"
    assert is_split_signed(call, lab.webhook_secret)
    assert not is_split_signed(replace(call, body=call.body + b" "), lab.webhook_secret)
    assert call.payload == {
        "event": "audio.split.completed",
        "data": {"id": split_id, "status": "succeeded"},
    }
    assert receiver.calls.empty()


def test_a_failed_split_is_told_too(lab: Lab, receiver: Receiver, short: bytes) -> None:
    lab.break_with({"fault": "failed_after_charging"})
    lab.splits.submit(lab.splits.uploaded(short), webhookUrl=receiver.url)

    assert receiver.call().payload["data"]["status"] == "failed"


def test_a_receiver_that_fails_is_called_again_later_and_later(
    start: Callable[..., Client], clock: Clock, short: bytes
) -> None:
    client = start(engine="copy")
    with Receiver(500, 302, 404) as receiver:
        hook = registered(client, receiver.url)
        client.created(short)
        first = receiver.call()
        assert settled(client, failCount=1)["lastError"] == "HTTP 500"
        for count, wait in enumerate(RETRY_SECONDS[:3], 2):
            clock.now += wait - 0.5
            assert client.balance() == 998
            assert receiver.calls.empty()
            clock.now += 0.5
            again = receiver.call()
            assert is_signed(again, hook["secret"])
            assert again.payload["data"]["jobId"] == first.payload["data"]["jobId"]
            if count <= 3:
                settled(client, failCount=count)
        done = settled(client, failCount=0)

    assert done["lastError"] is None
    assert done["lastCalledAt"] is not None


def test_a_webhook_that_keeps_failing_is_switched_off_and_called_no_more(
    start: Callable[..., Client], clock: Clock, short: bytes
) -> None:
    client = start(engine="copy", webhook_failures=2)
    with Receiver(500, 500, 500) as receiver:
        registered(client, receiver.url)
        client.created(short)
        receiver.call()
        settled(client, failCount=1, isActive=True)
        clock.now += RETRY_SECONDS[0]
        receiver.call()
        settled(client, failCount=2, isActive=False)
        clock.now += sum(RETRY_SECONDS)
        client.wait(client.created(short))

        assert receiver.calls.empty()


def test_a_receiver_that_takes_too_long_has_failed_and_holds_nobody_up(
    start: Callable[..., Client], short: bytes
) -> None:
    client = start(engine="copy", webhook_seconds=0.3)
    with Receiver() as slow, Receiver() as quick:
        slow.may_answer.clear()
        slow_id = registered(client, slow.url)["id"]
        registered(client, quick.url)
        client.created(short)
        slow.call()
        quick.call()
        deadline = time.monotonic() + WAIT_SECONDS
        while not (hook := client.get("webhooks").json()["webhooks"][0])["failCount"]:
            assert time.monotonic() < deadline
    assert (hook["id"], hook["lastError"]) == (slow_id, "No answer within 0.3 seconds")


def test_what_was_not_told_is_told_after_a_restart(tmp_path: Path, short: bytes) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{free.getsockname()[1]}"
    options = Options(tmp_path, keys=(ApiKey("neutral", 100),), engine="copy", workers=1)
    with (
        listening(options) as address,
        Client(address.url, "neutral") as client,
        SplitClient(address.url, "neutral") as splits,
    ):
        hook = registered(client, gone)
        job_id = client.created(short)
        split_id = data_of(splits.submit(splits.uploaded(short), webhookUrl=gone))["id"]
        client.wait(job_id)
        splits.wait(split_id)
        assert settled(client, failCount=1)["lastError"]
    clock = Clock()
    clock.now += RETRY_SECONDS[0]
    with Receiver(port=int(gone.rpartition(":")[2])) as receiver, listening(options, clock) as address:
        calls = [receiver.call(), receiver.call()]
        split_call, job_call = sorted(calls, key=lambda call: "x-webhook-id" in call.headers)
        assert is_signed(job_call, hook["secret"])
        assert job_call.payload["data"]["jobId"] == job_id
        assert is_split_signed(split_call, address.webhook_secrets["neutral"], clock.now)
        assert split_call.payload["data"]["id"] == split_id


def test_a_deleted_webhook_is_called_no_more(lab: Lab, receiver: Receiver, short: bytes) -> None:
    hook = registered(lab.jobs, receiver.url)
    deleted = lab.jobs.delete(f"webhooks/{hook['id']}")
    with Receiver() as other:
        registered(lab.jobs, other.url)
        lab.jobs.created(short)
        other.call()

    assert (deleted.status_code, deleted.json()) == (200, {"deleted": True})
    assert error_of(lab.jobs.delete(f"webhooks/{hook['id']}")) == (404, "WEBHOOK_NOT_FOUND")
    assert [each["url"] for each in lab.jobs.get("webhooks").json()["webhooks"]] == [other.url]
    assert receiver.calls.empty()


def test_another_accounts_webhooks_are_unknown(lab: Lab, lab_service: tuple, receiver: Receiver) -> None:
    address, keys = lab_service
    hook = registered(lab.jobs, receiver.url)
    with Client(address.url, next(keys)) as other:
        assert other.get("webhooks").json() == {"webhooks": []}
        assert error_of(other.delete(f"webhooks/{hook['id']}")) == (404, "WEBHOOK_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVALID_REQUEST"),
        ({"url": 5}, "INVALID_REQUEST"),
        ({"url": "ftp://example.com"}, "INVALID_WEBHOOK_URL"),
        ({"url": "http://no-such-host.invalid/"}, "INVALID_WEBHOOK_URL"),
        ({"url": "http://127.0.0.1", "events": []}, "INVALID_REQUEST"),
        ({"url": "http://127.0.0.1", "events": ["job.started"]}, "INVALID_REQUEST"),
        ({"url": "http://127.0.0.1", "events": "job.failed"}, "INVALID_REQUEST"),
    ],
)
def test_a_webhook_that_cannot_be_called_is_refused(lab: Lab, body: dict, code: str) -> None:
    assert error_of(lab.jobs.post("webhooks", json=body)) == (400, code)


def test_a_private_address_is_refused_when_none_is_allowed(start: Callable[..., Client]) -> None:
    client = start(allow_private_webhooks=False)
    for host in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "localhost"):
        response = client.post("webhooks", json={"url": f"http://{host}/"})
        assert error_of(response) == (400, "INVALID_WEBHOOK_URL")


def test_a_private_webhook_url_of_a_split_is_refused(
    start_splits: Callable[..., SplitClient], short: bytes
) -> None:
    splits = start_splits(allow_private_webhooks=False)
    response = splits.submit(splits.uploaded(short), webhookUrl="http://127.0.0.1/")

    assert (response.status_code, response.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


def test_private_webhooks_are_allowed_as_long_as_the_service_listens_on_loopback() -> None:
    options = Options(Path("/state"), keys=(ApiKey("neutral"),))

    assert options.may_call_private
    assert not replace(options, host="192.168.1.5").may_call_private
    assert replace(options, host="192.168.1.5", allow_private_webhooks=True).may_call_private
