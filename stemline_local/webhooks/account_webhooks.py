"""The webhooks that accounts have registered, as StemSplit has them: called at the end of every job of the account."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

from stemline_local.jobs.database import ServiceDatabase
from stemline_local.jobs.job import new_id
from stemline_local.refusal import Refusal, RefusalReason


@dataclass(frozen=True, slots=True)
class AccountWebhook:
    """One registered URL; times are Unix seconds."""

    id: str
    account: str
    url: str
    events: tuple[str, ...]
    secret: str = field(repr=False)
    created_at: float
    is_active: bool
    fail_count: int
    """Calls in a row that failed."""
    last_error: str | None
    last_called_at: float | None

    @classmethod
    def read(cls, row: sqlite3.Row) -> Self:
        """Give the webhook of a row."""
        values = dict(row)
        values["events"] = tuple(json.loads(row["events"]))
        values["is_active"] = bool(row["is_active"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class AccountWebhooks:
    """The webhooks of all accounts."""

    _database: ServiceDatabase
    _clock: Callable[[], float]
    _most_failures: int
    """After so many failed calls in a row a webhook is switched off."""

    def add(self, account: str, url: str, events: Iterable[str]) -> AccountWebhook:
        """Register a URL and give it with its new secret."""
        values = (new_id("whk_"), account, url, json.dumps(list(events)), "whsec_" + secrets.token_hex(24))
        query = (
            "INSERT INTO hooks (id, account, url, events, secret, created_at) VALUES (?, ?, ?, ?, ?, ?)"
            " RETURNING *"
        )
        with self._database.transaction() as connection:
            return AccountWebhook.read(connection.execute(query, (*values, self._clock())).fetchone())

    def list(self, account: str) -> tuple[AccountWebhook, ...]:
        """Give the webhooks of an account, oldest first."""
        query = "SELECT * FROM hooks WHERE account = ? ORDER BY created_at, rowid"
        with self._database.transaction() as connection:
            return tuple(AccountWebhook.read(row) for row in connection.execute(query, (account,)))

    def remove(self, account: str, webhook_id: str) -> None:
        """Delete a webhook and the deliveries that wait for it.

        Raises:
            Refusal: UNKNOWN_WEBHOOK, for another account's webhook too.
        """
        query = "DELETE FROM hooks WHERE account = ? AND id = ?"
        with self._database.transaction() as connection:
            if not connection.execute(query, (account, webhook_id)).rowcount:
                raise Refusal(RefusalReason.UNKNOWN_WEBHOOK, "Webhook not found.")

    def record_call(self, webhook_id: str, error: str | None) -> None:
        """Note how a call went; too many failures in a row switch the webhook off."""
        query = (
            "UPDATE hooks SET last_called_at = :now, last_error = :error,"
            " fail_count = CASE WHEN :error IS NULL THEN 0 ELSE fail_count + 1 END,"
            " is_active = is_active AND (:error IS NULL OR fail_count + 1 < :most) WHERE id = :id"
        )
        values = {"now": self._clock(), "error": error, "most": self._most_failures, "id": webhook_id}
        with self._database.transaction() as connection:
            connection.execute(query, values)
            connection.execute(
                "DELETE FROM deliveries WHERE hook IN (SELECT id FROM hooks WHERE id = ? AND NOT is_active)",
                (webhook_id,),
            )
