"""The ledger: the SQL database that owns the state of every track, attempt and credit."""

from __future__ import annotations

from stemline.ledger.adoption_step import AdoptedBatch, AdoptionCounts
from stemline.ledger.backfill_record import Backfill, BackfillOrder, BackfillState, FrozenRow, SliceProgress
from stemline.ledger.balance import BalanceReading
from stemline.ledger.correction import PublishedAttempt
from stemline.ledger.dataset_registry import KnownDataset
from stemline.ledger.failure import is_for_good
from stemline.ledger.gauge import MoneyAtRisk, RunGauges
from stemline.ledger.inbox import ReceivedEvent
from stemline.ledger.lease import LEASE_SECONDS, Lease
from stemline.ledger.ledger import Ledger, open_ledger, view_ledger
from stemline.ledger.lost_job import LostJob
from stemline.ledger.pilot import PilotQuestion, PilotStanding, PilotTrack
from stemline.ledger.planning import PlanCounts
from stemline.ledger.quarantine import CollectAgain
from stemline.ledger.queries import MeasuredTrack, PublishedShares, PublishedTrack, TrackTiming
from stemline.ledger.redrive import RedriveGroup
from stemline.ledger.row_mapping import BatchRow, RunRecord, TrackStatus
from stemline.ledger.run_account import RunOutcome, TrackAccount
from stemline.ledger.track import WrittenRow
from stemline.ledger.traffic import TrafficReading

__all__ = [
    "LEASE_SECONDS",
    "AdoptedBatch",
    "AdoptionCounts",
    "Backfill",
    "BackfillOrder",
    "BackfillState",
    "BalanceReading",
    "BatchRow",
    "CollectAgain",
    "FrozenRow",
    "KnownDataset",
    "Lease",
    "Ledger",
    "LostJob",
    "MeasuredTrack",
    "MoneyAtRisk",
    "PilotQuestion",
    "PilotStanding",
    "PilotTrack",
    "PlanCounts",
    "PublishedAttempt",
    "PublishedShares",
    "PublishedTrack",
    "ReceivedEvent",
    "RedriveGroup",
    "RunGauges",
    "RunOutcome",
    "RunRecord",
    "SliceProgress",
    "TrackAccount",
    "TrackStatus",
    "TrackTiming",
    "TrafficReading",
    "WrittenRow",
    "is_for_good",
    "open_ledger",
    "view_ledger",
]
