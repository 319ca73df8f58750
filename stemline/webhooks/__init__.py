"""Webhooks: a provider tells that a job has ended, instead of being asked."""

from __future__ import annotations

from stemline.webhooks.listener import WebhookRoute, receive_webhooks, receiving_webhooks
from stemline.webhooks.receiver import ReceiverSettings, create_app
from stemline.webhooks.secret import SecretFile
from stemline.webhooks.server import serve_receiver

__all__ = [
    "ReceiverSettings",
    "SecretFile",
    "WebhookRoute",
    "create_app",
    "receive_webhooks",
    "receiving_webhooks",
    "serve_receiver",
]
