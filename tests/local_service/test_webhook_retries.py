"""What becomes of webhook calls that fail."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

from local_service import (
    WAIT_SECONDS,
    Client,
    Clock,
    Receiver,
    SplitClient,
    data_of,
    listening,
)
from webhook_checks import is_signed, is_split_signed, register, wait_for_webhook

from stemline_local import ApiKey, ServiceOptions
from stemline_local.webhooks.webhook_delivery import RETRY_SECONDS


def test_a_receiver_that_fails_is_called_again_later_and_later(
    start: Callable[..., Client], clock: Clock, short: bytes
) -> None:
    client = start(engine="copy")
    with Receiver(500, 302, 404) as receiver:
        hook = register(client, receiver.url)
        client.created(short)
        first = receiver.call()
        assert wait_for_webhook(client, failCount=1)["lastError"] == "HTTP 500"
        for count, wait in enumerate(RETRY_SECONDS[:3], 2):
            clock.now += wait - 0.5
            assert client.balance() == 998
            assert receiver.calls.empty()
            clock.now += 0.5
            again = receiver.call()
            assert is_signed(again, hook["secret"])
            assert again.payload["data"]["jobId"] == first.payload["data"]["jobId"]
            if count <= 3:
                wait_for_webhook(client, failCount=count)
        done = wait_for_webhook(client, failCount=0)

    assert done["lastError"] is None
    assert done["lastCalledAt"] is not None


def test_a_webhook_that_keeps_failing_is_switched_off_and_called_no_more(
    start: Callable[..., Client], clock: Clock, short: bytes
) -> None:
    client = start(engine="copy", webhook_failures=2)
    with Receiver(500, 500, 500) as receiver:
        register(client, receiver.url)
        client.created(short)
        receiver.call()
        wait_for_webhook(client, failCount=1, isActive=True)
        clock.now += RETRY_SECONDS[0]
        receiver.call()
        wait_for_webhook(client, failCount=2, isActive=False)
        clock.now += sum(RETRY_SECONDS)
        client.wait(client.created(short))

        assert receiver.calls.empty()


def test_a_receiver_that_takes_too_long_has_failed_and_holds_nobody_up(
    start: Callable[..., Client], short: bytes
) -> None:
    client = start(engine="copy", webhook_seconds=0.3)
    with Receiver() as slow, Receiver() as quick:
        slow.may_answer.clear()
        slow_id = register(client, slow.url)["id"]
        register(client, quick.url)
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
    options = ServiceOptions(tmp_path, keys=(ApiKey("neutral", 100),), engine="copy", workers=1)
    with (
        listening(options) as address,
        Client(address.url, "neutral") as client,
        SplitClient(address.url, "neutral") as splits,
    ):
        hook = register(client, gone)
        job_id = client.created(short)
        split_id = data_of(splits.submit(splits.uploaded(short), webhookUrl=gone))["id"]
        client.wait(job_id)
        splits.wait(split_id)
        assert wait_for_webhook(client, failCount=1)["lastError"]
    clock = Clock()
    clock.now += RETRY_SECONDS[0]
    with Receiver(port=int(gone.rpartition(":")[2])) as receiver, listening(options, clock) as address:
        calls = [receiver.call(), receiver.call()]
        split_call, job_call = sorted(calls, key=lambda call: "x-webhook-id" in call.headers)
        assert is_signed(job_call, hook["secret"])
        assert job_call.payload["data"]["jobId"] == job_id
        assert is_split_signed(split_call, address.webhook_secrets["neutral"], clock.now)
        assert split_call.payload["data"]["id"] == split_id
