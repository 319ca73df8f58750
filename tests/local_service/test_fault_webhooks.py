"""Each webhook fault of the menu does what its name says."""

from __future__ import annotations

from local_service import WAIT_SECONDS, Receiver, VendorClients, data_of


def test_a_webhook_comes_before_the_create_reply(
    clients: VendorClients, fault, receiver: Receiver, short: bytes
) -> None:
    clients.jobs.post("webhooks", json={"url": receiver.url})
    source = clients.splits.uploaded(short)
    fault("webhook_early")
    job_id = clients.jobs.created(short)
    assert receiver.calls.get_nowait().payload["data"]["jobId"] == job_id

    split_id = data_of(clients.splits.submit(source, webhookUrl=receiver.url))["id"]
    assert receiver.calls.get_nowait().payload["data"]["id"] == split_id


def test_a_webhook_comes_twice(clients: VendorClients, fault, receiver: Receiver, short: bytes) -> None:
    clients.jobs.post("webhooks", json={"url": receiver.url})
    fault("webhook_duplicate", times=1)
    clients.jobs.created(short)

    assert receiver.call().body == receiver.call().body


def test_webhooks_come_in_the_wrong_order(
    clients: VendorClients, fault, receiver: Receiver, short: bytes
) -> None:
    clients.jobs.post("webhooks", json={"url": receiver.url})
    fault("webhook_out_of_order", nth=1, seconds=600)
    first = clients.jobs.created(short)
    clients.jobs.wait(first)
    second = clients.jobs.created(short)

    assert [receiver.call().payload["data"]["jobId"] for _ in range(2)] == [second, first]


def test_a_webhook_never_comes(clients: VendorClients, fault, receiver: Receiver, short: bytes) -> None:
    clients.jobs.post("webhooks", json={"url": receiver.url})
    fault("webhook_never", nth=1)
    first = clients.jobs.created(short)
    clients.jobs.wait(first)
    second = clients.jobs.created(short)

    assert receiver.call().payload["data"]["jobId"] == second
    assert receiver.calls.empty()


def test_a_webhook_is_forged(clients: VendorClients, fault, receiver: Receiver, short: bytes) -> None:
    clients.jobs.post("webhooks", json={"url": receiver.url})
    fault("webhook_forged", times=1)
    clients.jobs.created(short)
    forged, real = receiver.call(), receiver.call()

    assert forged.body == real.body
    assert forged.headers["x-webhook-signature"] != real.headers["x-webhook-signature"]


def test_a_refused_job_is_no_reason_to_wait_for_its_webhook(clients: VendorClients, fault) -> None:
    fault("webhook_early", seconds=WAIT_SECONDS)

    assert clients.jobs.post("jobs", json={}).status_code == 400
