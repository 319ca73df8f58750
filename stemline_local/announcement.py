"""What is to be told to whom when a job ends, written down in the transaction that ends it.

StemSplit tells every webhook of the account; AIStemSplitter the one URL given with the split.
"""

from __future__ import annotations

import json
import sqlite3

EVENTS = {"COMPLETED": "job.completed", "FAILED": "job.failed"}
SPLIT_EVENTS = {"COMPLETED": "audio.split.completed", "FAILED": "audio.split.failed"}
"""The second name is inferred: the vendor shows only the first."""


def announce(connection: sqlite3.Connection, job: sqlite3.Row, now: float) -> None:
    """Queue the deliveries that the end of `job` calls for."""
    if job["kind"] == "split":
        if json.loads(job["details"]).get("webhook_url"):
            _queue(connection, job["id"], None, SPLIT_EVENTS[job["status"]], now)
        return
    event = EVENTS[job["status"]]
    hooks = connection.execute("SELECT * FROM hooks WHERE account = ? AND is_active", (job["account"],))
    for hook in hooks.fetchall():
        if event in json.loads(hook["events"]):
            _queue(connection, job["id"], hook["id"], event, now)


def _queue(connection: sqlite3.Connection, job: str, hook: str | None, event: str, now: float) -> None:
    query = "INSERT INTO deliveries (job, hook, event, made_at, due_at) VALUES (?, ?, ?, ?, ?)"
    connection.execute(query, (job, hook, event, now, now))
