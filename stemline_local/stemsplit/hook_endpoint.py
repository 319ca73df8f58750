"""Webhooks of the account: registered, listed, removed, and called."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from stemline_local.announcement import EVENTS
from stemline_local.backend import Backend
from stemline_local.credits import Account
from stemline_local.delivery import Delivery, Message
from stemline_local.gate import Answer, Gate
from stemline_local.hook import Hook
from stemline_local.job import Job, Kind
from stemline_local.refusal import Reason, Refusal
from stemline_local.stemsplit.language import PREFIX, missing
from stemline_local.stemsplit.shape import Shape, input_of, options_of
from stemline_local.stemsplit.video_endpoint import video_of
from stemline_local.wire import bad_request, iso_time, read_body, read_text

ALL_EVENTS = tuple(EVENTS.values())
MOST_HOOKS = 20


@dataclass(frozen=True, slots=True)
class HookEndpoints:
    """The endpoints; each gives a status and a body."""

    backend: Backend

    def routes(self, gate: Gate) -> list[Route]:
        """Give the routes."""
        return [
            gate.route("POST", f"{PREFIX}/webhooks", self.create_hook),
            gate.route("GET", f"{PREFIX}/webhooks", self.list_hooks),
            gate.route("DELETE", f"{PREFIX}/webhooks/{{id}}", self.delete_hook),
        ]

    async def create_hook(self, request: Request, account: Account) -> Answer:
        """POST /webhooks: the only reply that tells the secret."""
        body = await read_body(request)
        url = read_text(body, "url") or missing("url")
        events = _read_events(body)
        await self.backend.messenger.check(url)
        if len(await asyncio.to_thread(self.backend.hooks.list, account.id)) >= MOST_HOOKS:
            raise Refusal(Reason.BAD_REQUEST, f"An account may have {MOST_HOOKS} webhooks.")
        hook = await asyncio.to_thread(self.backend.hooks.add, account.id, url, events)
        shown = _shape(hook)
        return 201, {
            "id": hook.id,
            "url": hook.url,
            "events": shown["events"],
            "secret": hook.secret,
            "isActive": hook.is_active,
            "createdAt": shown["createdAt"],
        }

    async def list_hooks(self, _: Request, account: Account) -> Answer:
        """GET /webhooks: how each is doing, without secrets."""
        hooks = await asyncio.to_thread(self.backend.hooks.list, account.id)
        return 200, {"webhooks": [_shape(hook) for hook in hooks]}

    async def delete_hook(self, request: Request, account: Account) -> Answer:
        """DELETE /webhooks/{id}."""
        await asyncio.to_thread(self.backend.hooks.remove, account.id, request.path_params["id"])
        return 200, {"deleted": True}


def compose(delivery: Delivery, shape: Shape) -> Message:
    """Give the call that tells a hook of the end of a job; only its secret signs it, and no time is signed."""
    hook, job = delivery.hook, delivery.job
    if hook is None:
        raise ValueError(delivery)
    payload = {
        "event": delivery.event,
        "timestamp": iso_time(delivery.made_at + shape.backend.skew()),
        "data": _data(job, shape.outputs(job, job.details.get("address", ""))),
    }
    body = json.dumps(payload, separators=(",", ":")).encode()
    signature = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-Webhook-Event": delivery.event,
        "X-Webhook-Id": hook.id,
        "X-Webhook-Signature": f"sha256={signature}",
    }
    return Message(hook.url, headers, body)


def _data(job: Job, outputs: dict[str, Any] | None) -> dict[str, Any]:
    is_video = job.kind is Kind.YOUTUBE
    data = {
        "jobId": job.id,
        "status": "FAILED" if job.error else "COMPLETED",
        "input": video_of(job) if is_video else input_of(job),
        "options": options_of(job),
        "outputs": outputs,
        "creditsCharged": job.credits_charged,
        "createdAt": iso_time(job.created_at),
        "completedAt": iso_time(job.completed_at),
    }
    if job.error:
        data["errorMessage"] = job.error
    return {"type": "youtube", **data} if is_video else data


def _read_events(body: Mapping[str, Any]) -> tuple[str, ...]:
    events = body.get("events", list(ALL_EVENTS))
    if not isinstance(events, list) or not events or not all(event in ALL_EVENTS for event in events):
        raise bad_request(f"events must be some of {', '.join(ALL_EVENTS)}.")
    return tuple(dict.fromkeys(events))


def _shape(hook: Hook) -> dict[str, Any]:
    return {
        "id": hook.id,
        "url": hook.url,
        "events": list(hook.events),
        "isActive": hook.is_active,
        "failCount": hook.fail_count,
        "lastError": hook.last_error,
        "lastCalledAt": iso_time(hook.last_called_at),
        "createdAt": iso_time(hook.created_at),
    }
