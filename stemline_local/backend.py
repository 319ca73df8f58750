"""What every dialect works on: accounts, jobs, files, links, limits, engine processes and webhooks."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from stemline_local.faults import ActiveFaults
from stemline_local.files.file_storage import FileStorage
from stemline_local.files.outbound import OutboundPolicy, is_public
from stemline_local.files.presigned_link import LinkSigner
from stemline_local.files.source_download import SourceDownloader
from stemline_local.files.video_catalogue import VideoCatalogue
from stemline_local.job_intake import JobIntake
from stemline_local.jobs.accounts import Account, Accounts, CreditBalance
from stemline_local.jobs.database import ServiceDatabase
from stemline_local.jobs.job import JobKind, JobStatus
from stemline_local.jobs.job_store import JobStore
from stemline_local.options import ServiceOptions
from stemline_local.rate_limit import RequestRateLimit
from stemline_local.secret_files import make_folder, read_secret
from stemline_local.webhooks.account_webhooks import AccountWebhooks
from stemline_local.webhooks.webhook_delivery import ComposeCall, DeliveryQueue, WebhookSender
from stemline_local.workers.engine_pool import EnginePool, PoolSettings

logger = logging.getLogger(__name__)

TIDY_EVERY_SECONDS = 60
UPLOAD_KEPT_SECONDS = 86_400
"""How long an upload without a job is kept."""


@dataclass(frozen=True, slots=True)
class ServiceBackend:
    """The parts of the service; a dialect takes what it needs."""

    database: ServiceDatabase
    accounts: Accounts
    jobs: JobStore
    storage: FileStorage
    signer: LinkSigner
    limit: RequestRateLimit
    pool: EnginePool
    intake: JobIntake
    webhooks: AccountWebhooks
    webhook_sender: WebhookSender
    videos: VideoCatalogue
    faults: ActiveFaults
    clock: Callable[[], float]
    options: ServiceOptions
    answers: Counter[int] = field(default_factory=Counter)
    """How many answers of the API had each status."""

    @property
    def link_seconds(self) -> int:
        """How long a download link works."""
        return self.options.link_seconds

    def balance(self, account: Account, request: str) -> CreditBalance:
        """Give what an account has left, or had a while ago when a fault says so."""
        balance = self.accounts.balance(account)
        fault = self.faults.strikes("balance_lags", request)
        if fault is None:
            return balance
        unseen = self.jobs.reserved_since(account.id, self.clock() - fault.seconds)
        return CreditBalance(balance.seconds + unseen, balance.updated_at)

    def skew(self) -> float:
        """Give by how many seconds the clock is wrong that webhooks are stamped with."""
        fault = self.faults.strikes("clock_skew", "POST webhook")
        return fault.seconds if fault else 0.0

    def webhook_secret(self, account_id: str) -> str:
        """Give what signs an account's webhooks where a vendor has one secret for all of them."""
        return "whsec_" + self.signer.sign("webhook", account_id)[:48]

    @asynccontextmanager
    async def running(self, call_makers: Mapping[JobKind, ComposeCall]) -> AsyncIterator[None]:
        """Separate, send webhooks and delete what has expired, until the end of the block; then close the database."""
        loops = (self.pool.run(), self.webhook_sender.run(call_makers), self._tidy_regularly())
        tasks = [asyncio.create_task(each) for each in loops]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.database.close()

    async def _tidy_regularly(self) -> None:
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


def open_backend(options: ServiceOptions, clock: Callable[[], float]) -> ServiceBackend:
    """Open the folder of `options`.

    Raises:
        UsageError: another service holds it.
    """
    check_engine(options.engine)
    make_folder(options.folder)
    database = ServiceDatabase(options.folder / "service.db")
    storage = FileStorage(options.folder / "files")
    jobs = JobStore(database, clock, options.retention_seconds)
    _remove_leftovers(jobs, storage)
    faults = ActiveFaults.from_file(options.faults)
    webhooks = AccountWebhooks(database, clock, options.webhook_failures)
    webhook_sender = _webhook_sender(options, webhooks, DeliveryQueue(database), clock, faults)
    pool = EnginePool(jobs, storage, _pool_settings(options), clock, faults, webhook_sender.wake)
    downloader = SourceDownloader(storage, (lambda _: True) if options.allow_private_sources else is_public)
    return ServiceBackend(
        database=database,
        accounts=Accounts(database, options.keys, clock()),
        jobs=jobs,
        storage=storage,
        signer=LinkSigner(read_secret(options.folder / "link-secret").encode(), clock),
        limit=RequestRateLimit(options.requests_per_minute, options.window, clock),
        pool=pool,
        intake=JobIntake(jobs, pool, storage, downloader, options.minimum_seconds, faults),
        webhooks=webhooks,
        webhook_sender=webhook_sender,
        videos=VideoCatalogue.read(options.videos),
        faults=faults,
        clock=clock,
        options=options,
    )


def _webhook_sender(
    options: ServiceOptions,
    webhooks: AccountWebhooks,
    queue: DeliveryQueue,
    clock: Callable[[], float],
    faults: ActiveFaults,
) -> WebhookSender:
    policy = OutboundPolicy.for_webhooks(may_be_private=options.may_call_private)
    return WebhookSender(queue, webhooks, policy, clock, options.webhook_seconds, faults)


def _pool_settings(options: ServiceOptions) -> PoolSettings:
    running = options.max_running or options.workers
    return PoolSettings(min(options.workers, running), running, options.engine, options.speed)


def _remove_leftovers(jobs: JobStore, storage: FileStorage) -> None:
    """Delete what a server that died could not: sources that are done with, and half-made outputs."""
    storage.remove_others("sources", jobs.ids(JobStatus.PENDING, JobStatus.PROCESSING))
    storage.remove_others("outputs", jobs.ids(JobStatus.COMPLETED, JobStatus.EXPIRED))


def check_engine(kind: str) -> None:
    """Find out now, rather than at the first job, that an engine is not there.

    Raises:
        UsageError: its package or its weights are missing.
    """
    if kind == "demucs":
        from stemline_local.engine import load_engine  # noqa: PLC0415 - a second that others need not wait

        load_engine(kind)
