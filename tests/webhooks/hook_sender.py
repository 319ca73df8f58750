"""Signed deliveries as each vendor's page describes them, made without the code under test."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

SECRET = "whsec_0123456789abcdef"
SENT_AT = "2026-03-31T12:30:00Z"


def mac(secret: str, message: bytes) -> str:
    """HMAC-SHA256 in hexadecimal, spelled out from RFC 2104."""
    key = secret.encode()
    key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()


class StemSplitSender:
    """What StemSplit posts."""

    kind = "stemsplit"

    def body(self, job_id: str = "clxxx123", status: str = "COMPLETED", **changes: Any) -> bytes:
        """A delivery's body; the keys are those of the reference page's example."""
        link = {"url": "https://storage.test/vocals.mp3?sig=s3cret", "expiresAt": "2026-03-31T13:30:00Z"}
        data = {
            "jobId": job_id,
            "status": status,
            "input": {"fileName": "song.mp3", "durationSeconds": 180, "fileSizeBytes": 4_500_000},
            "options": {"outputType": "BOTH", "quality": "BEST", "outputFormat": "MP3"},
            "outputs": {"vocals": link} if status == "COMPLETED" else None,
            "creditsCharged": 180,
            "createdAt": "2026-03-31T12:00:00Z",
            "completedAt": "2026-03-31T12:02:30Z",
        }
        event = "job.completed" if status == "COMPLETED" else "job.failed"
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return json.dumps({"event": event, "timestamp": now, "data": data, **changes}).encode()

    def headers(self, body: bytes, secret: str = SECRET, **_: Any) -> dict[str, str]:
        """The headers of a delivery."""
        return {"X-Webhook-Signature": f"sha256={mac(secret, body)}", "X-Webhook-Id": "whk_1"}


class AIStemSplitterSender:
    """What AIStemSplitter posts."""

    kind = "aistemsplitter"

    def body(self, job_id: str = "split_123", status: str = "COMPLETED", **changes: Any) -> bytes:
        """A delivery's body."""
        is_done = status == "COMPLETED"
        data = {"id": job_id, "status": "succeeded" if is_done else "failed"}
        event = "audio.split.completed" if is_done else "audio.split.failed"
        return json.dumps({"event": event, "data": data, **changes}).encode()

    def headers(self, body: bytes, secret: str = SECRET, age: int = 0) -> dict[str, str]:
        """The headers of a delivery signed `age` seconds ago."""
        at = int(time.time()) - age
        return {"AIStemSplitter-Signature": f"t={at},v1={mac(secret, f'{at}.'.encode() + body)}"}


Sender = StemSplitSender | AIStemSplitterSender
SENDERS = (StemSplitSender(), AIStemSplitterSender())
