"""The ledger: the SQL database that owns the state of every track, attempt and credit."""

from __future__ import annotations

from stemline.ledger.book import Ledger, open_ledger
from stemline.ledger.lease import Lease
from stemline.ledger.plan import Planned
from stemline.ledger.row import BatchRow, Run, TrackStatus
from stemline.ledger.track import Redrivable

__all__ = ["BatchRow", "Lease", "Ledger", "Planned", "Redrivable", "Run", "TrackStatus", "open_ledger"]
