"""The ledger as one object: every verb and every read over one database."""

from __future__ import annotations

from stemline.ledger import migration
from stemline.ledger.inbox import Inbox
from stemline.ledger.store import Clock, utc_now


class Ledger(Inbox):
    """The database that owns the state of every track, attempt and credit.

    Each verb is one transaction and writes its event. A ledger may be used from several threads and opened
    by several processes. The verbs stand in the module of their subject: run, track, attempt, outcome,
    batch, lease, inbox; the reads in recovery, figure and reading.
    """


def open_ledger(url: str, *, clock: Clock = utc_now) -> Ledger:
    """Open (and if need be make or upgrade) the ledger at a SQLAlchemy URL; use it as a context manager.

    Raises ConfigError for a URL, file or version that is not a ledger of ours, and StorageError when the
    database cannot be reached or written.
    """
    ledger = Ledger(url, clock=clock)
    try:
        migration.apply(ledger)
    except BaseException:
        ledger.close()
        raise
    return ledger
