"""Accounts and their credits: one credit is one second of audio.

Credits leave the balance when a job is accepted and come back when it fails, in the same transaction as
the job's own change, so that a crash between the two cannot happen.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from stemline_local.jobs.database import ServiceDatabase
from stemline_local.options import ApiKey
from stemline_local.refusal import Refusal, RefusalReason


@dataclass(frozen=True, slots=True)
class Account:
    """Whom an API key belongs to; revoked when the key was known once and is no longer given."""

    id: str
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class CreditBalance:
    """What an account has left, in seconds of audio, and when that last changed."""

    seconds: int
    updated_at: float


class Accounts:
    """The accounts of the keys the service was started with, and of earlier keys."""

    def __init__(self, database: ServiceDatabase, keys: Iterable[ApiKey], now: float) -> None:
        """Open an account for each key that has none yet."""
        self._database = database
        opened = [(account_id(key.key), key.credits, now) for key in keys]
        with database.transaction() as connection:
            connection.executemany("INSERT INTO accounts VALUES (?, ?, ?) ON CONFLICT DO NOTHING", opened)
            stored = [row["id"] for row in connection.execute("SELECT id FROM accounts")]
        current = {identity for identity, _, _ in opened}
        self._accounts = {identity: Account(identity, identity not in current) for identity in stored}

    def find(self, key: str) -> Account | None:
        """Give the account of a key; None for one that was never given."""
        return self._accounts.get(account_id(key))

    def balance(self, account: Account) -> CreditBalance:
        """Give what an account has left."""
        query = "SELECT balance_seconds, updated_at FROM accounts WHERE id = ?"
        with self._database.transaction() as connection:
            row = connection.execute(query, (account.id,)).fetchone()
        return CreditBalance(row["balance_seconds"], row["updated_at"])


def account_id(key: str) -> str:
    """Give the name of a key's account; the key itself is never stored."""
    return "api_" + hashlib.sha256(key.encode()).hexdigest()[:24]


def reserve(connection: sqlite3.Connection, account: str, seconds: int, now: float) -> None:
    """Take credits out of a balance, inside the caller's transaction.

    Raises:
        Refusal: the balance does not cover them.
    """
    query = (
        "UPDATE accounts SET balance_seconds = balance_seconds - :seconds, updated_at = :now"
        " WHERE id = :account AND balance_seconds >= :seconds"
    )
    if not connection.execute(query, {"seconds": seconds, "account": account, "now": now}).rowcount:
        raise Refusal(
            RefusalReason.INSUFFICIENT_CREDITS,
            f"Not enough credits: this job needs {seconds}.",
            required_seconds=seconds,
        )


def refund(connection: sqlite3.Connection, account: str, seconds: int, now: float) -> None:
    """Give reserved credits back, inside the caller's transaction."""
    query = "UPDATE accounts SET balance_seconds = balance_seconds + ?, updated_at = ? WHERE id = ?"
    connection.execute(query, (seconds, now, account))
