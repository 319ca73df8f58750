"""AIStemSplitter's webhooks: what a delivery says. Follows the reference page's Webhooks part.

The URL travels with every split and the secret is the account's: there is nothing to register.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from stemline.errors import EventRefused, SignatureRefused
from stemline.protocol import WebhookDelivery
from stemline.providers.aistemsplitter.answer import read_split
from stemline.reading import parse_object
from stemline.records import Event

SIGNED_SECONDS = 300
"""How far a signature's time may be from ours."""


def read_event(delivery: WebhookDelivery, secret: str) -> Event | None:
    """Give what a delivery says of a split, by its status: the failure's event has no documented name.

    Raises SignatureRefused, or EventRefused for a body without a split.
    """
    _check_signature(delivery, secret)
    tree = parse_object(delivery.body)
    if tree is None:
        raise EventRefused("The delivery's body is not a JSON object.")
    name, split = tree.get("event"), tree.get("data")
    if not isinstance(name, str):
        raise EventRefused("The delivery names no event.")
    if not name.startswith("audio.split."):
        return None
    if not isinstance(split, dict) or not re.fullmatch(r"[!-~]{1,200}", str(split.get("id") or "")):
        raise EventRefused(f"The event {name!r} names no split.")
    job, digest = read_split(split), hashlib.sha256(delivery.body).hexdigest()
    return Event(job.job_id, job.phase, job.completed_at or delivery.received_at, digest, job)


def _check_signature(delivery: WebhookDelivery, secret: str) -> None:
    """Check `t=…,v1=…`: one of the v1 values must sign the time and the body, and the time must be now."""
    header = delivery.headers.get("aistemsplitter-signature", "")
    pairs = [each.strip().partition("=") for each in header.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    given = [value.lower() for name, _, value in pairs if name == "v1"]
    if not secret or len(times) != 1 or not re.fullmatch(r"[0-9]{1,12}", times[0]):
        raise SignatureRefused("The delivery is not signed.")
    expected = hmac.new(secret.encode(), f"{times[0]}.".encode() + delivery.body, hashlib.sha256).hexdigest()
    if not any(hmac.compare_digest(each.encode(), expected.encode()) for each in given):
        raise SignatureRefused("The delivery is not signed with the account's webhook secret.")
    if abs(delivery.received_at.timestamp() - int(times[0])) > SIGNED_SECONDS:
        raise SignatureRefused("The delivery was signed at another time: it is old, or a clock is wrong.")
