"""The ledger's tables as queries see them: names and types.

What the database itself enforces (keys, one live attempt per track, one charge per attempt) is written in
migrations/*.sql, which make the tables; a test keeps the two in step.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Integer,
    MetaData,
    RowMapping,
    Table,
    Text,
    and_,
)
from sqlalchemy.types import TypeDecorator

Cells = Mapping[str, Any] | RowMapping
"""A row by column name, read or to be written."""

TRACK_KEY = ("track_id", "recipe", "provider")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC instant; SQLite keeps it as naive UTC text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the instant in UTC."""
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the stored instant as an aware one."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

migrations = Table("migrations", metadata, Column("name", Text), Column("applied_at", UtcDateTime))

runs = Table(
    "runs",
    metadata,
    Column("run_id", Text),
    Column("name", Text),
    Column("provider", Text),
    Column("recipe", Text),
    Column("config_digest", Text),
    Column("key_id", Text),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("exit_code", Integer),
    Column("totals", Text),
    Column("standing", BigInteger),
    Column("left_as_they_stood", Text),
    Column("backfill", Text),
)

run_tracks = Table("run_tracks", metadata, Column("run_id", Text), Column("track_id", Text))
"""What a run is about; `runs.standing` counts what was published before it began."""

tracks = Table(
    "tracks",
    metadata,
    Column("track_id", Text),
    Column("recipe", Text),
    Column("provider", Text),
    Column("location", Text),
    Column("position", BigInteger),
    Column("priority", BigInteger),
    Column("duration_seconds", Float(53)),
    Column("size_bytes", BigInteger),
    Column("credits", BigInteger),
    Column("columns", Text),
    Column("state", Text),
    Column("code", Text),
    Column("sentence", Text),
    Column("is_retryable", Boolean),
    Column("failures", Integer),
    Column("run_id", Text),
    Column("updated_at", UtcDateTime),
    Column("published_as", Text),
)

attempts = Table(
    "attempts",
    metadata,
    Column("token", Text),
    Column("track_id", Text),
    Column("recipe", Text),
    Column("provider", Text),
    Column("number", Integer),
    Column("run_id", Text),
    Column("key_id", Text),
    Column("state", Text),
    Column("code", Text),
    Column("sentence", Text),
    Column("credits_reserved", BigInteger),
    Column("credits_charged", BigInteger),
    Column("is_disputed", Boolean),
    Column("reserved_at", UtcDateTime),
    Column("sent_at", UtcDateTime),
    Column("job_id", Text),
    Column("estimated_seconds", Float(53)),
    Column("source_sha256", Text),
    Column("request", Text),
    Column("ready_at", UtcDateTime),
    Column("job", Text),
    Column("result", Text),
    Column("batch_id", Text),
    Column("updated_at", UtcDateTime),
    Column("dataset_id", Text),
    Column("replaces", Text),
    Column("links_expire_at", UtcDateTime),
)

entries = Table(
    "credit_entries",
    metadata,
    Column("entry_id", BigInteger),
    Column("at", UtcDateTime),
    Column("token", Text),
    Column("run_id", Text),
    Column("provider", Text),
    Column("kind", Text),
    Column("amount", BigInteger),
    Column("day", Text),
    Column("month", Text),
)

totals = Table(
    "credit_totals",
    metadata,
    Column("provider", Text),
    Column("period", Text),
    Column("reserved", BigInteger),
    Column("charged", BigInteger),
)

charge_totals = Table(
    "charge_totals",
    metadata,
    Column("provider", Text),
    Column("span", Text),
    Column("starts", Text),
    Column("charged", BigInteger),
)

events = Table(
    "events",
    metadata,
    Column("event_id", BigInteger),
    Column("at", UtcDateTime),
    Column("run_id", Text),
    Column("track_id", Text),
    Column("token", Text),
    Column("verb", Text),
    Column("from_state", Text),
    Column("to_state", Text),
    Column("detail", Text),
)

batches = Table(
    "batches",
    metadata,
    Column("batch_id", Text),
    Column("run_id", Text),
    Column("members", Integer),
    Column("opened_at", UtcDateTime),
    Column("published_at", UtcDateTime),
    Column("merged_into", Text),
)

parts = Table(
    "parts",
    metadata,
    Column("dataset_id", Text),
    Column("part_key", Text),
    Column("size_bytes", BigInteger),
    Column("sha256", Text),
    Column("row_count", BigInteger),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("tombstone_id", Text),
    Column("forgotten_at", UtcDateTime),
    Column("content", Text),
)

identity = Table(
    "identity",
    metadata,
    Column("number", Integer),
    Column("ledger_id", Text),
    Column("made_at", UtcDateTime),
)

datasets = Table(
    "datasets",
    metadata,
    Column("provider", Text),
    Column("recipe", Text),
    Column("dataset_id", Text),
    Column("url", Text),
    Column("unnamed", Text),
    Column("tracks", BigInteger),
    Column("last_batch", Text),
    Column("adopted", Text),
    Column("is_adopting", Boolean),
    Column("made_at", UtcDateTime),
)

rejects = Table(
    "rejects",
    metadata,
    Column("run_id", Text),
    Column("row_number", BigInteger),
    Column("track_id", Text),
    Column("location", Text),
    Column("code", Text),
    Column("sentence", Text),
)

inbox = Table(
    "inbox",
    metadata,
    Column("number", BigInteger),
    Column("provider", Text),
    Column("job_id", Text),
    Column("phase", Text),
    Column("occurred_at", UtcDateTime),
    Column("received_at", UtcDateTime),
    Column("digest", Text),
    Column("job", Text),
)

leases = Table(
    "leases",
    metadata,
    Column("key_id", Text),
    Column("holder", Text),
    Column("fence", BigInteger),
    Column("expires_at", UtcDateTime),
    Column("gives_way", Boolean),
    Column("wanted_until", UtcDateTime),
)

request_traffic = Table(
    "request_traffic",
    metadata,
    Column("run_id", Text),
    Column("key_id", Text),
    Column("at", UtcDateTime),
    Column("sent", BigInteger),
    Column("throttled", BigInteger),
    Column("sent_last_minute", BigInteger),
    Column("granted_a_minute", BigInteger),
)

backfills = Table(
    "backfills",
    metadata,
    Column("name", Text),
    Column("state", Text),
    Column("made_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("provider", Text),
    Column("recipe", Text),
    Column("config_digest", Text),
    Column("manifest_digest", Text),
    Column("code_version", Text),
    Column("facts", Text),
    Column("request", Text),
    Column("ceiling", BigInteger),
    Column("share", Float(53)),
)

backfill_tracks = Table(
    "backfill_tracks",
    metadata,
    Column("backfill", Text),
    Column("position", BigInteger),
    Column("slice", Text),
    Column("track_id", Text),
    Column("dated", Text),
    Column("priority", BigInteger),
    Column("duration_seconds", Float(53)),
    Column("row_digest", Text),
    Column("track", Text),
    Column("credits", BigInteger),
    Column("last_attempt", Integer),
)
"""The frozen rows by `position`, the order they are sent in; `last_attempt` is that of those that are made again."""

SAME_TRACK = and_(*(attempts.c[name] == tracks.c[name] for name in TRACK_KEY))
"""How attempts are joined with their tracks."""
QUEUE_ORDER = (tracks.c.priority.desc(), tracks.c.position, tracks.c.track_id)
"""The order in which tracks are sent: highest priority first, then as the manifest has them."""
