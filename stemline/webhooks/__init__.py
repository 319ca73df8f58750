"""Webhooks: hearing from a provider that a job has ended, instead of asking."""

from __future__ import annotations

from stemline.webhooks.listener import Hearing, listen, listening
from stemline.webhooks.receiver import Post, create_app
from stemline.webhooks.secret import SecretFile
from stemline.webhooks.server import serve_receiver

__all__ = ["Hearing", "Post", "SecretFile", "create_app", "listen", "listening", "serve_receiver"]
