"""Webhooks of both vendors, received by a real server that checks signatures in its own way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from local_service import (
    Client,
    Receiver,
    SplitClient,
    VendorClients,
    data_of,
    error_of,
)
from webhook_checks import is_signed, is_split_signed, register, wait_for_webhook, webhook_of

from stemline_local import ApiKey, ServiceOptions

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def test_a_registered_webhook_tells_its_secret_once(clients: VendorClients, receiver: Receiver) -> None:
    created = register(clients.jobs, receiver.url)
    listed = webhook_of(clients.jobs)

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


def test_a_completed_job_is_told_in_the_vendors_shape(
    clients: VendorClients, receiver: Receiver, short: bytes
) -> None:
    hook = register(clients.jobs, receiver.url + "/hooks?a=b")
    job_id = clients.jobs.created(short, fileName="tok.wav", outputFormat="WAV")
    call = receiver.call()
    payload, data = call.payload, call.payload["data"]
    job = clients.jobs.job(job_id)

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
    assert wait_for_webhook(clients.jobs, failCount=0)["lastError"] is None
    assert clients.jobs.get(outputs["vocals"]["url"]).status_code == 200


def test_a_failed_job_is_told_to_whom_it_concerns(clients: VendorClients, short: bytes) -> None:
    clients.break_with({"fault": "failed_after_charging", "times": 1})
    with Receiver() as failures, Receiver() as successes:
        register(clients.jobs, failures.url, events=["job.failed"])
        register(clients.jobs, successes.url, events=["job.completed"])
        failed = clients.jobs.created(short)
        data = failures.call().payload["data"]
        completed = clients.jobs.created(short)

        assert (data["jobId"], data["status"], data["outputs"]) == (failed, "FAILED", None)
        assert data["errorMessage"]
        assert successes.call().payload["data"]["jobId"] == completed
        assert failures.calls.empty()


def test_a_video_job_is_told_with_its_type(clients: VendorClients, receiver: Receiver) -> None:
    hook = register(clients.jobs, receiver.url)
    clients.jobs.post("youtube-jobs", json={"youtubeUrl": "dQw4w9WgXcQ"})
    call = receiver.call()

    assert is_signed(call, hook["secret"])
    assert call.payload["data"]["type"] == "youtube"
    assert call.payload["data"]["input"]["videoTitle"] == "Never"
    assert set(call.payload["data"]["outputs"]) == {"fullAudio", "vocals", "instrumental"}


def test_a_split_is_told_to_its_own_url(clients: VendorClients, receiver: Receiver, short: bytes) -> None:
    register(clients.jobs, receiver.url + "/account")  # StemSplit's: no concern of a split
    source = clients.splits.uploaded(short)
    split_id = data_of(clients.splits.submit(source, webhookUrl=receiver.url + "/mine"))["id"]
    call = receiver.call()

    assert call.path == "/mine"
    assert is_split_signed(call, clients.webhook_secret)
    assert not is_split_signed(replace(call, body=call.body + b" "), clients.webhook_secret)
    assert call.payload == {
        "event": "audio.split.completed",
        "data": {"id": split_id, "status": "succeeded"},
    }
    assert receiver.calls.empty()


def test_a_failed_split_is_told_too(clients: VendorClients, receiver: Receiver, short: bytes) -> None:
    clients.break_with({"fault": "failed_after_charging"})
    clients.splits.submit(clients.splits.uploaded(short), webhookUrl=receiver.url)

    assert receiver.call().payload["data"]["status"] == "failed"


def test_a_deleted_webhook_is_called_no_more(
    clients: VendorClients, receiver: Receiver, short: bytes
) -> None:
    hook = register(clients.jobs, receiver.url)
    deleted = clients.jobs.delete(f"webhooks/{hook['id']}")
    with Receiver() as other:
        register(clients.jobs, other.url)
        clients.jobs.created(short)
        other.call()

    assert (deleted.status_code, deleted.json()) == (200, {"deleted": True})
    assert error_of(clients.jobs.delete(f"webhooks/{hook['id']}")) == (404, "WEBHOOK_NOT_FOUND")
    assert [each["url"] for each in clients.jobs.get("webhooks").json()["webhooks"]] == [other.url]
    assert receiver.calls.empty()


def test_another_accounts_webhooks_are_unknown(
    clients: VendorClients, copy_service: tuple, receiver: Receiver
) -> None:
    address, keys = copy_service
    hook = register(clients.jobs, receiver.url)
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
def test_a_webhook_that_cannot_be_called_is_refused(clients: VendorClients, body: dict, code: str) -> None:
    assert error_of(clients.jobs.post("webhooks", json=body)) == (400, code)


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
    options = ServiceOptions(Path("/state"), keys=(ApiKey("neutral"),))

    assert options.may_call_private
    assert not replace(options, host="192.168.1.5").may_call_private
    assert replace(options, host="192.168.1.5", allow_private_webhooks=True).may_call_private
