"""What stands behind every dialect: accounts, jobs, files, links, limits and workers."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stemline_local.credits import Account, Accounts, Balance
from stemline_local.database import Database
from stemline_local.delivery import Compose, Messenger, Queue
from stemline_local.fault import Faults
from stemline_local.hook import Hooks
from stemline_local.intake import Intake
from stemline_local.job import Kind, Status
from stemline_local.jobs import Jobs
from stemline_local.options import ApiKey, Options
from stemline_local.pool import Plan, Pool
from stemline_local.ratelimit import RateLimit
from stemline_local.reach import Reach, is_public
from stemline_local.signing import Signer
from stemline_local.source import Fetcher
from stemline_local.storage import Storage
from stemline_local.video import VideoFile, Videos

logger = logging.getLogger(__name__)

TIDY_EVERY_SECONDS = 60
OWN_CREDITS = 1_000_000_000
"""More than thirty years of audio: who sets no limit meets none."""
UPLOAD_KEPT_SECONDS = 86_400
"""How long an upload without a job is kept."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts; a dialect takes what it needs."""

    database: Database
    accounts: Accounts
    jobs: Jobs
    storage: Storage
    signer: Signer
    limit: RateLimit
    pool: Pool
    intake: Intake
    hooks: Hooks
    messenger: Messenger
    videos: Videos
    faults: Faults
    clock: Callable[[], float]
    options: Options

    @property
    def link_seconds(self) -> int:
        """How long a download link works."""
        return self.options.link_seconds

    def balance(self, account: Account, request: str) -> Balance:
        """Give what an account has left, or had a while ago when a fault says so."""
        balance = self.accounts.balance(account)
        fault = self.faults.strikes("balance_lags", request)
        if fault is None:
            return balance
        unseen = self.jobs.reserved_since(account.id, self.clock() - fault.seconds)
        return Balance(balance.seconds + unseen, balance.updated_at)

    def skew(self) -> float:
        """Give by how many seconds the clock is wrong that webhooks are stamped with."""
        fault = self.faults.strikes("clock_skew", "POST webhook")
        return fault.seconds if fault else 0.0

    def webhook_secret(self, account_id: str) -> str:
        """Give what signs an account's webhooks where a vendor has one secret for all of them."""
        return "whsec_" + self.signer.sign("webhook", account_id)[:48]

    @asynccontextmanager
    async def running(self, composers: Mapping[Kind, Compose]) -> AsyncIterator[None]:
        """Separate, tell, and throw away what has expired, until the end; then let go of the folder."""
        work = (self.pool.run(), self.messenger.run(composers), self._keep_tidy())
        tasks = [asyncio.create_task(each) for each in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.database.close()

    async def _keep_tidy(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.tidy)
            except Exception:  # tidying is tried again; serving goes on
                logger.exception("tidying up failed")
            await asyncio.sleep(TIDY_EVERY_SECONDS)

    def tidy(self) -> None:
        """Delete the outputs of expired jobs and forgotten uploads."""
        for job_id in self.jobs.take_expired():
            self.storage.remove(f"outputs/{job_id}")
        self.storage.remove_older("uploads", before=self.clock() - UPLOAD_KEPT_SECONDS)


def open_backend(options: Options, clock: Callable[[], float]) -> Backend:
    """Open the folder of `options`.

    Raises:
        UsageError: another service holds it.
    """
    check_engine(options.engine)
    options.folder.mkdir(parents=True, exist_ok=True)
    database = Database(options.folder / "service.db")
    storage = Storage(options.folder / "files")
    jobs = Jobs(database, clock, options.retention_seconds)
    _remove_leftovers(jobs, storage)
    faults = Faults.from_file(options.faults)
    hooks = Hooks(database, clock, options.webhook_failures)
    messenger = _messenger(options, hooks, Queue(database), clock, faults)
    pool = Pool(jobs, storage, _plan(options), clock, faults, messenger.wake)
    fetcher = Fetcher(storage, (lambda _: True) if options.allow_private_sources else is_public)
    return Backend(
        database=database,
        accounts=Accounts(database, options.keys, clock()),
        jobs=jobs,
        storage=storage,
        signer=Signer(_kept(options.folder / "link-secret").encode(), clock),
        limit=RateLimit(options.requests_per_minute, options.window, clock),
        pool=pool,
        intake=Intake(jobs, pool, storage, fetcher, options.minimum_seconds, faults),
        hooks=hooks,
        messenger=messenger,
        videos=VideoFile.read(options.videos),
        faults=faults,
        clock=clock,
        options=options,
    )


def _messenger(
    options: Options, hooks: Hooks, queue: Queue, clock: Callable[[], float], faults: Faults
) -> Messenger:
    reach = Reach.of_webhooks(may_be_private=options.may_call_private)
    return Messenger(queue, hooks, reach, clock, options.webhook_seconds, faults)


def _plan(options: Options) -> Plan:
    running = options.max_running or options.workers
    return Plan(min(options.workers, running), running, options.engine, options.speed)


def _remove_leftovers(jobs: Jobs, storage: Storage) -> None:
    """Delete what a server that died could not: sources that are done with, and half-made outputs."""
    storage.remove_others("sources", jobs.ids(Status.PENDING, Status.PROCESSING))
    storage.remove_others("outputs", jobs.ids(Status.COMPLETED, Status.EXPIRED))


def check_engine(kind: str) -> None:
    """Find out now, rather than at the first job, that an engine is not there.

    Raises:
        UsageError: its package or its weights are missing.
    """
    if kind == "demucs":
        from stemline_local.engine import load_engine  # noqa: PLC0415 - a second that others need not wait

        load_engine(kind)


def own_keys(folder: Path) -> tuple[ApiKey, ...]:
    """Give the keys the service makes for itself, one a vendor: a folder keeps its own, and they never run dry."""
    folder.mkdir(parents=True, exist_ok=True)
    secret = _kept(folder / "api-key")
    return tuple(ApiKey(prefix + secret, OWN_CREDITS) for prefix in ("sk_live_", "ast_live_"))


def _kept(path: Path) -> str:
    """Give the secret of a file that only its owner can read; made the first time."""
    path.touch(mode=0o600)
    if not path.read_text():
        path.write_text(secrets.token_hex(24))
    return path.read_text()
