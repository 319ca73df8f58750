"""Which webhook deliveries the end of a job calls for, queued in the transaction that ends it.

StemSplit calls every webhook of the account; AIStemSplitter the one URL given with the split.
"""

from __future__ import annotations

import json
import sqlite3

JOB_EVENTS = {"COMPLETED": "job.completed", "FAILED": "job.failed"}
SPLIT_EVENTS = {"COMPLETED": "audio.split.completed", "FAILED": "audio.split.failed"}
"""The second name is inferred: the vendor shows only the first."""


def queue_deliveries(connection: sqlite3.Connection, job: sqlite3.Row, now: float) -> None:
    """Queue the deliveries that the end of `job` calls for."""
    if job["kind"] == "split":
        if json.loads(job["details"]).get("webhook_url"):
            _insert(connection, job["id"], None, SPLIT_EVENTS[job["status"]], now)
        return
    event = JOB_EVENTS[job["status"]]
    webhooks = connection.execute("SELECT * FROM hooks WHERE account = ? AND is_active", (job["account"],))
    for webhook in webhooks.fetchall():
        if event in json.loads(webhook["events"]):
            _insert(connection, job["id"], webhook["id"], event, now)


def _insert(connection: sqlite3.Connection, job: str, webhook: str | None, event: str, now: float) -> None:
    query = "INSERT INTO deliveries (job, hook, event, made_at, due_at) VALUES (?, ?, ?, ?, ?)"
    connection.execute(query, (job, webhook, event, now, now))
