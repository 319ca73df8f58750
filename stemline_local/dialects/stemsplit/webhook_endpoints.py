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

from stemline_local.api.request_pipeline import JsonAnswer, RequestPipeline
from stemline_local.api.request_reading import bad_request, iso_time, read_body, read_text
from stemline_local.backend import ServiceBackend
from stemline_local.dialects.stemsplit.job_bodies import JobBodies, input_of, options_of
from stemline_local.dialects.stemsplit.vocabulary import PREFIX, missing
from stemline_local.dialects.stemsplit.youtube_endpoints import video_of
from stemline_local.jobs.accounts import Account
from stemline_local.jobs.job import JobKind, ServiceJob
from stemline_local.jobs.job_events import JOB_EVENTS
from stemline_local.refusal import Refusal, RefusalReason
from stemline_local.webhooks.account_webhooks import AccountWebhook
from stemline_local.webhooks.webhook_delivery import EventDelivery, WebhookCall

ALL_EVENTS = tuple(JOB_EVENTS.values())
MOST_WEBHOOKS = 20


@dataclass(frozen=True, slots=True)
class WebhookEndpoints:
    """The endpoints; each gives a status and a body."""

    backend: ServiceBackend

    def routes(self, pipeline: RequestPipeline) -> list[Route]:
        """Give the routes."""
        return [
            pipeline.route("POST", f"{PREFIX}/webhooks", self.create_webhook),
            pipeline.route("GET", f"{PREFIX}/webhooks", self.list_webhooks),
            pipeline.route("DELETE", f"{PREFIX}/webhooks/{{id}}", self.delete_webhook),
        ]

    async def create_webhook(self, request: Request, account: Account) -> JsonAnswer:
        """POST /webhooks: the only answer that shows the secret."""
        body = await read_body(request)
        url = read_text(body, "url") or missing("url")
        events = _read_events(body)
        await self.backend.webhook_sender.check(url)
        if len(await asyncio.to_thread(self.backend.webhooks.list, account.id)) >= MOST_WEBHOOKS:
            raise Refusal(RefusalReason.BAD_REQUEST, f"An account may have {MOST_WEBHOOKS} webhooks.")
        webhook = await asyncio.to_thread(self.backend.webhooks.add, account.id, url, events)
        shown = _body(webhook)
        return 201, {
            "id": webhook.id,
            "url": webhook.url,
            "events": shown["events"],
            "secret": webhook.secret,
            "isActive": webhook.is_active,
            "createdAt": shown["createdAt"],
        }

    async def list_webhooks(self, _: Request, account: Account) -> JsonAnswer:
        """GET /webhooks: how each is doing, without secrets."""
        webhooks = await asyncio.to_thread(self.backend.webhooks.list, account.id)
        return 200, {"webhooks": [_body(webhook) for webhook in webhooks]}

    async def delete_webhook(self, request: Request, account: Account) -> JsonAnswer:
        """DELETE /webhooks/{id}."""
        await asyncio.to_thread(self.backend.webhooks.remove, account.id, request.path_params["id"])
        return 200, {"deleted": True}


def compose(delivery: EventDelivery, bodies: JobBodies) -> WebhookCall:
    """Give the call for the end of a job, signed with the webhook's secret; the vendor signs no time."""
    webhook, job = delivery.webhook, delivery.job
    if webhook is None:
        raise ValueError(delivery)
    payload = {
        "event": delivery.event,
        "timestamp": iso_time(delivery.made_at + bodies.backend.skew()),
        "data": _data(job, bodies.outputs(job, job.details.get("address", ""))),
    }
    body = json.dumps(payload, separators=(",", ":")).encode()
    signature = hmac.new(webhook.secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-Webhook-Event": delivery.event,
        "X-Webhook-Id": webhook.id,
        "X-Webhook-Signature": f"sha256={signature}",
    }
    return WebhookCall(webhook.url, headers, body)


def _data(job: ServiceJob, outputs: dict[str, Any] | None) -> dict[str, Any]:
    is_video = job.kind is JobKind.YOUTUBE
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


def _body(webhook: AccountWebhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": list(webhook.events),
        "isActive": webhook.is_active,
        "failCount": webhook.fail_count,
        "lastError": webhook.last_error,
        "lastCalledAt": iso_time(webhook.last_called_at),
        "createdAt": iso_time(webhook.created_at),
    }
