"""The ledger: the SQL database that owns the state of every track, attempt and credit."""

from __future__ import annotations

from stemline.ledger.inbox import ReceivedEvent
from stemline.ledger.lease import LEASE_SECONDS, Lease
from stemline.ledger.ledger import Ledger, open_ledger
from stemline.ledger.planning import PlanCounts
from stemline.ledger.queries import PublishedTrack, TrackTiming
from stemline.ledger.row_mapping import BatchRow, RunRecord, TrackStatus
from stemline.ledger.track import RedriveGroup

__all__ = [
    "LEASE_SECONDS",
    "BatchRow",
    "Lease",
    "Ledger",
    "PlanCounts",
    "PublishedTrack",
    "ReceivedEvent",
    "RedriveGroup",
    "RunRecord",
    "TrackStatus",
    "TrackTiming",
    "open_ledger",
]
