"""The state of a service in a folder, without a server: accounts and jobs."""

from __future__ import annotations

from pathlib import Path

from local_service import Clock

from stemline_local import ApiKey
from stemline_local.jobs.accounts import Accounts, account_id
from stemline_local.jobs.database import ServiceDatabase
from stemline_local.jobs.job import (
    JobOrder,
    JobOutcome,
    ServiceJob,
    new_id,
)
from stemline_local.jobs.job_store import JobStore

ACCOUNT = account_id("sk_live_first")
RETENTION = 1_000.0
OUTCOME = JobOutcome({"vocals": "outputs/x/vocals.mp3"}, 120.0, "Gm")


def order(seconds: int = 10, account: str = ACCOUNT) -> JobOrder:
    return JobOrder(
        new_id(), account, "song.mp3", seconds, 99, "sources/x/input.mp3", "four", "best", "mp3", seconds
    )


class ServiceState:
    """The service's state in a folder, with one account of 100 credits and one of 50."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.folder = folder
        self.open()

    def open(self) -> None:
        self.database = ServiceDatabase(self.folder / "service.db")
        keys = (ApiKey("sk_live_first", 100), ApiKey("sk_live_second", 50))
        self.accounts = Accounts(self.database, keys, self.clock())
        self.jobs = JobStore(self.database, self.clock, RETENTION)

    def reopen(self) -> None:
        self.database.close()
        self.open()

    def balance(self, key: str = "sk_live_first") -> int:
        return self.accounts.balance(self.accounts.find(key)).seconds

    def started(self, seconds: int = 10) -> ServiceJob:
        self.jobs.accept(order(seconds))
        return self.jobs.claim()
