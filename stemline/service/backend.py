"""What stands behind every dialect: accounts, jobs, files, links, limits and workers."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from stemline.service.credits import Accounts
from stemline.service.database import Database
from stemline.service.intake import Intake
from stemline.service.jobs import Jobs, Status
from stemline.service.options import ApiKey, Options
from stemline.service.pool import Pool
from stemline.service.ratelimit import RateLimit
from stemline.service.signing import Signer
from stemline.service.source import Fetcher, is_public
from stemline.service.storage import Storage

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
    clock: Callable[[], float]
    link_seconds: int

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Separate jobs and throw away what has expired, until the end; then let go of the folder."""
        tasks = [asyncio.create_task(self.pool.run()), asyncio.create_task(self._keep_tidy())]
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
    options.folder.mkdir(parents=True, exist_ok=True)
    database = Database(options.folder / "service.db")
    storage = Storage(options.folder / "files")
    jobs = Jobs(database, clock, options.retention_seconds)
    _remove_leftovers(jobs, storage)
    pool = Pool(jobs, storage, options.workers, options.engine)
    fetcher = Fetcher(storage, (lambda _: True) if options.allow_private_sources else is_public)
    return Backend(
        database=database,
        accounts=Accounts(database, options.keys, clock()),
        jobs=jobs,
        storage=storage,
        signer=Signer(_kept(options.folder / "link-secret").encode(), clock),
        limit=RateLimit(options.requests_per_minute, options.window, clock),
        pool=pool,
        intake=Intake(jobs, pool, storage, fetcher, options.minimum_seconds),
        clock=clock,
        link_seconds=options.link_seconds,
    )


def _remove_leftovers(jobs: Jobs, storage: Storage) -> None:
    """Delete what a server that died could not: sources that are done with, and half-made outputs."""
    storage.remove_others("sources", jobs.ids(Status.PENDING, Status.PROCESSING))
    storage.remove_others("outputs", jobs.ids(Status.COMPLETED, Status.EXPIRED))


def own_key(folder: Path) -> ApiKey:
    """Give the key the service makes for itself; the same folder has the same key, and it never runs dry."""
    folder.mkdir(parents=True, exist_ok=True)
    return ApiKey("sk_live_" + _kept(folder / "api-key"), OWN_CREDITS)


def _kept(path: Path) -> str:
    """Give the secret of a file that only its owner can read; made the first time."""
    path.touch(mode=0o600)
    if not path.read_text():
        path.write_text(secrets.token_hex(24))
    return path.read_text()
