"""Checks and steps that the webhook tests share."""

from __future__ import annotations

import hashlib
import hmac
import re
import time

from local_service import WAIT_SECONDS, Call, Client


def is_signed(call: Call, secret: str) -> bool:
    digest = hmac.digest(secret.encode(), call.body, hashlib.sha256).hex()
    return call.headers["x-webhook-signature"] == f"sha256={digest}"


def is_split_signed(call: Call, secret: str, now: float | None = None) -> bool:
    moment, signature = re.fullmatch(
        r"t=(\d+),v1=([0-9a-f]{64})", call.headers["aistemsplitter-signature"]
    ).groups()
    assert abs(int(moment) - (now or time.time())) < 30
    return signature == hmac.digest(secret.encode(), moment.encode() + b"." + call.body, "sha256").hex()


def register(client: Client, url: str, **fields: object) -> dict:
    response = client.post("webhooks", json={"url": url, **fields})
    assert response.status_code == 201, response.text
    return response.json()


def webhook_of(client: Client) -> dict:
    (webhook,) = client.get("webhooks").json()["webhooks"]
    return webhook


def wait_for_webhook(client: Client, **wanted: object) -> dict:
    """Give the one webhook once it shows these values."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (webhook := webhook_of(client)).items() >= wanted.items():
        assert time.monotonic() < deadline, webhook
        time.sleep(0.02)
    return webhook
