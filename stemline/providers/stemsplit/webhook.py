"""StemSplit's webhooks: what a delivery says, and the account's hooks. Follows the reference page's Webhooks part.

A hook is the account's, not a job's, and its secret is told once, when it is made. The signature covers the body
alone: nothing in it tells a delivery from its replay, so whoever receives must know an event again, and what is
older than the outputs it speaks of is refused here.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from stemline.errors import EventRefused, ProviderDown, SignatureRefused
from stemline.protocol import HttpRequest, Steps, WebhookDelivery, WebhookRegistration
from stemline.providers.stemsplit.answer import parse, read_job
from stemline.providers.stemsplit.video import read_video_job
from stemline.reading import instant, parse_object, part, text
from stemline.records import Event

_STATUS = {"job.completed": "COMPLETED", "job.failed": "FAILED"}
EVENTS = tuple(_STATUS)
OLDEST = timedelta(days=14)
"""After so long the outputs are deleted: nobody can want to know of them."""
EARLIEST = timedelta(hours=1)
"""How far ahead of our clock theirs may be."""


def read_event(delivery: WebhookDelivery, secret: str) -> Event | None:
    """Give what a delivery says of a job; None for an event about something else, such as a trial.

    Raises SignatureRefused, or EventRefused for a body without a job or from another time.
    """
    _check_signature(delivery, secret)
    tree = parse_object(delivery.body)
    if tree is None:
        raise EventRefused("The delivery's body is not a JSON object.")
    name = text(tree.get("event"))
    if name is None:
        raise EventRefused("The delivery names no event.")
    if not name.startswith("job."):
        return None
    data = part(tree, "data")
    job_id = data.get("jobId")
    if not isinstance(job_id, str) or not re.fullmatch(r"[!-~]{1,200}", job_id):
        raise EventRefused(f"The event {name!r} names no job.")
    # A job's page calls its id `id`; what a hook tells of it is otherwise the same.
    read = read_video_job if data.get("type") == "youtube" else read_job
    job = read({**data, "id": job_id, "status": data.get("status") or _STATUS.get(name)})
    occurred_at = instant(tree.get("timestamp")) or job.completed_at or delivery.received_at
    if not -OLDEST < occurred_at - delivery.received_at < EARLIEST:
        raise EventRefused(f"The event about job {job_id} is dated {occurred_at:%Y-%m-%d %H:%M:%S} UTC.")
    return Event(job.job_id, job.phase, occurred_at, hashlib.sha256(delivery.body).hexdigest(), job)


def register_webhook(url: str, held: Collection[str]) -> Steps[WebhookRegistration | None]:
    """Use our hook again when its secret is held and it still is active; else make one, and remove what is left."""
    ours = yield from _find_hooks(url)
    kept = next((hook for hook in ours if hook["id"] in held and hook.get("isActive") is not False), None)
    for hook in ours:
        if hook is not kept:
            yield from _remove(hook)
    if kept is not None:
        return WebhookRegistration(kept["id"], None)
    answer = yield HttpRequest("POST", "/webhooks", json={"url": url, "events": list(EVENTS)})
    made = parse(answer)
    hook_id, secret = text(made.get("id")), text(made.get("secret"))
    if hook_id is None or secret is None:
        raise ProviderDown("StemSplit made the webhook and told no id or secret.")
    return WebhookRegistration(hook_id, secret)


def unregister_webhook(url: str) -> Steps[list[str]]:
    """Remove every hook of the account that calls this URL."""
    ours = yield from _find_hooks(url)
    for hook in ours:
        yield from _remove(hook)
    return [hook["id"] for hook in ours]


def _find_hooks(url: str) -> Steps[list[dict[str, Any]]]:
    hooks = parse((yield HttpRequest("GET", "/webhooks"))).get("webhooks")
    found = hooks if isinstance(hooks, list) else []
    return [
        hook for hook in found if isinstance(hook, dict) and text(hook.get("id")) and hook.get("url") == url
    ]


def _remove(hook: Mapping[str, Any]) -> Steps[None]:
    yield HttpRequest("DELETE", f"/webhooks/{hook['id']}", template="/webhooks/{id}")


def _check_signature(delivery: WebhookDelivery, secret: str) -> None:
    given = delivery.headers.get("x-webhook-signature", "")
    expected = "sha256=" + hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest()
    if not secret or not hmac.compare_digest(given.lower().encode(), expected.encode()):
        raise SignatureRefused("The delivery is not signed with the webhook's secret.")
