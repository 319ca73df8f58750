"""The ledger as its users hold it: one database, and a part for each subject that is kept in it."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from sqlalchemy import URL

from stemline.clock import Clock, utc_now
from stemline.ledger import migration
from stemline.ledger.adoption import Adoption
from stemline.ledger.attempt import Attempts
from stemline.ledger.backfill import Backfills
from stemline.ledger.balance import Balances
from stemline.ledger.batch import Batches
from stemline.ledger.correction import Corrections
from stemline.ledger.credit import Credits
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.dataset_registry import DatasetRegistry
from stemline.ledger.forgetting import Forgetting
from stemline.ledger.gauge import Gauges
from stemline.ledger.holdings import Holdings
from stemline.ledger.inbox import Inbox
from stemline.ledger.lease import Leases
from stemline.ledger.lost_job import LostJobs
from stemline.ledger.part import Parts
from stemline.ledger.pilot import Pilots
from stemline.ledger.quarantine import Quarantine
from stemline.ledger.queries import Queries
from stemline.ledger.recovery import Recovery
from stemline.ledger.redrive import RedriveQueue
from stemline.ledger.remake import Remakes
from stemline.ledger.repetition import repeat
from stemline.ledger.retention import Retention
from stemline.ledger.run import Runs
from stemline.ledger.run_account import RunAccounts
from stemline.ledger.track import Tracks
from stemline.ledger.traffic import RequestTraffic


class Ledger:
    """The database that owns the state of every track, attempt and credit.

    Each verb of a part is one transaction and writes its event. A ledger may be used from several threads and
    opened by several processes.
    """

    def __init__(self, database: LedgerDatabase) -> None:
        """Give this database its parts."""
        self.database = database
        self.runs = Runs(database)
        self.backfills = Backfills(database)
        self.tracks = Tracks(database)
        self.redrive_queue = RedriveQueue(database)
        self.remakes = Remakes(database)
        """What is published and paid for once more."""
        self.attempts = Attempts(database)
        self.lost_jobs = LostJobs(database)
        self.credits = Credits(database)
        self.balances = Balances(database)
        self.quarantine = Quarantine(database)
        self.pilots = Pilots(database)
        self.batches = Batches(database)
        self.parts = Parts(database)
        self.holdings = Holdings(database)
        self.corrections = Corrections(database)
        self.datasets = DatasetRegistry(database)
        self.adoption = Adoption(database)
        self.leases = Leases(database)
        self.inbox = Inbox(database)
        self.recovery = Recovery(database)
        """What a run finds under way."""
        self.retention = Retention(database)
        """What is old and no longer kept."""
        self.forgetting = Forgetting(database)
        """What must not be known any more."""
        self.traffic = RequestTraffic(database)
        """What runs have sent with their API keys."""
        self.gauges = Gauges(database)
        """What a run under way is watched by."""
        self.queries = Queries(database)
        """What status, reports and plans read."""
        self.accounts = RunAccounts(database)
        """What each track of a run came to, and the runs before it."""

    @property
    def url(self) -> URL:
        """Where the database is."""
        return self.database.url

    @property
    def name(self) -> str:
        """The URL as it may be shown: without a password."""
        return self.database.name

    def clock(self) -> datetime:
        """Give the instant that a row written now is dated by."""
        return self.database.clock()

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    def __enter__(self) -> Self:
        """Give the open ledger."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def open_ledger(url: str, *, clock: Clock = utc_now) -> Ledger:
    """Open (and if need be make or upgrade) the ledger at a SQLAlchemy URL; use it as a context manager.

    Raises ConfigError for a URL, file or version that is not a ledger of ours, and StorageError when the
    database cannot be reached or written.
    """
    database = LedgerDatabase(url, clock=clock)
    try:
        repeat(lambda: migration.apply(database), lambda error: error.is_locked)
    except BaseException:
        database.close()
        raise
    return Ledger(database)


def view_ledger(url: str) -> Ledger | None:
    """Open the ledger to look at it: nothing is made, upgraded or written. None where there is none yet.

    Raises ConfigError for one of an older version, besides what `open_ledger` raises.
    """
    database = LedgerDatabase(url, is_view=True)
    try:
        is_there = repeat(lambda: migration.is_there(database), lambda error: error.is_locked)
    except BaseException:
        database.close()
        raise
    if not is_there:
        database.close()
        return None
    return Ledger(database)
