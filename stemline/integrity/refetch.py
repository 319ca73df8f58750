"""Audio that is gone or altered fetched once more from the provider: it is paid, and nothing is ever paid for again.

What comes is stored only where it is, byte for byte, what was verified: no row of a table changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stemline.client import Access, Client, Lane, Pacer, RetryPolicy
from stemline.collector.download import Downloader, new_client
from stemline.collector.spool import Spool, derive_stems, most_bytes, wanted_links
from stemline.dataset.paths import attempt_folder
from stemline.errors import StemlineError
from stemline.integrity.finding import RepairOutcome, StemOwner
from stemline.ledger import Ledger
from stemline.plan.capacity import runs_own_service
from stemline.providers import load_provider
from stemline.records import MIX, Attempt, Job, ReadyTrack
from stemline.run.access import key_id_of, open_accesses
from stemline.settings import Settings, load_facts
from stemline.storage import Store, file_sha256, scratch_folder

JOBS_AT_ONCE = 50
"""So many jobs are read before their stems are fetched: links last for minutes."""
BACK = "Fetched again from the provider for nothing."
AGAIN = (
    "`stemline backfill CONFIG --mode all --where SQL`, with a filter for its row, has the track made again"
)
PAY_AGAIN = f"Put the object back from a copy, or pay again: {AGAIN}."
FREE_AGAIN = f"Made again it costs nothing: {AGAIN}."
_TOLERANCE_SECONDS = 1.0

Wanted = Mapping[str, StemOwner]
"""Objects by path, with what the stems table tells of them."""


@dataclass(frozen=True, slots=True)
class Refetch:
    """Fetches the stems of published tracks again."""

    settings: Settings
    store: Store
    ledger: Ledger

    def run(self, wanted: Wanted) -> Iterator[RepairOutcome]:
        """Give what became of each object."""
        by_attempt: dict[str, tuple[Attempt, dict[str, StemOwner]]] = {}
        for path, owner in sorted(wanted.items()):
            attempt = self._attempt(path, owner)
            if attempt is None:
                yield RepairOutcome(
                    path, is_mended=False, sentence=f"No attempt of this ledger made it. {self._again}"
                )
            else:
                by_attempt.setdefault(attempt.token, (attempt, {}))[1][path] = owner
        made = list(by_attempt.values())
        if not made:
            return
        facts = load_facts(self.settings.provider.kind)
        with open_accesses(self.settings, facts) as accesses:
            for start in range(0, len(made), JOBS_AT_ONCE):
                yield from self._fetch_some(made[start : start + JOBS_AT_ONCE], accesses)

    @property
    def _is_free(self) -> bool:
        return runs_own_service(self.settings, load_facts(self.settings.provider.kind))

    @property
    def _again(self) -> str:
        """How what cannot be fetched is had all the same."""
        return FREE_AGAIN if self._is_free else PAY_AGAIN

    @property
    def _gone(self) -> str:
        own = "The local service lets go of what is published."
        return own if self._is_free else "The provider no longer has it."

    def _attempt(self, path: str, owner: StemOwner) -> Attempt | None:
        """Give the attempt in whose folder an object lies, if this configuration's provider made it."""
        if owner.provider != self.settings.provider.kind:
            return None
        folder = path.removeprefix("audio/").rpartition("/")[0]
        every = self.ledger.attempts.of_track(owner.provider, owner.track_id)
        return next((each for each in every if each.job_id and attempt_folder(each) == folder), None)

    def _fetch_some(
        self, some: Sequence[tuple[Attempt, dict[str, StemOwner]]], accesses: Sequence[Access]
    ) -> Iterator[RepairOutcome]:
        jobs = asyncio.run(self._read_jobs([attempt for attempt, _ in some], accesses))
        with new_client(1) as client:
            downloader = Downloader(client, time.sleep)
            for attempt, objects in some:
                job = jobs[attempt.token]
                if isinstance(job, Job):
                    yield from self._fetch(ReadyTrack(attempt, job), objects, downloader)
                    continue
                for path in objects:
                    yield RepairOutcome(path, is_mended=False, sentence=f"{job} {self._again}")

    async def _read_jobs(
        self, attempts: Sequence[Attempt], accesses: Sequence[Access]
    ) -> dict[str, Job | str]:
        """Give the jobs of attempts with fresh links, or why there are none."""
        facts = load_facts(self.settings.provider.kind)
        provider = load_provider(facts)
        pacer = Pacer(facts.pace(self.settings.provider))
        found: dict[str, Job | str] = {}
        for access in accesses:
            mine = [each for each in attempts if self._is_of(each, access)]
            async with Client(provider, access, pacer, RetryPolicy(tries=2)) as client:
                for each in mine:
                    try:
                        found[each.token] = await client.run(provider.read_job(each.job_id or ""), Lane.POLL)
                    except StemlineError as error:
                        found[each.token] = error.message
        other = "It was made with an API key that the configuration no longer holds."
        return {each.token: found.get(each.token, other) for each in attempts}

    def _is_of(self, attempt: Attempt, access: Access) -> bool:
        return self.ledger.attempts.key_of(attempt.token) in {None, key_id_of(access)}

    def _fetch(
        self, ready: ReadyTrack, objects: Mapping[str, StemOwner], downloader: Downloader
    ) -> Iterator[RepairOutcome]:
        """Fetch some of the stems of one track."""
        for path, owner in objects.items():
            try:
                with scratch_folder() as folder:
                    problem = self._restore(
                        ready, (path, owner), Spool(downloader, self.store, ready, folder)
                    )
            except StemlineError as error:
                problem = f"{error.message} {self._again}"
            yield RepairOutcome(path, is_mended=not problem, sentence=problem or BACK)

    def _restore(self, ready: ReadyTrack, wanted: tuple[str, StemOwner], spool: Spool) -> str:
        """Store an object again; give why not, empty where it is stored."""
        path, owner = wanted
        links = wanted_links(ready)
        file = spool.folder / Path(path).name
        if owner.stem in links:
            spool.downloader.fetch(links[owner.stem], file, most_bytes(ready))
        elif owner.stem == MIX:
            return (
                f"It is a copy of its source, {ready.attempt.track.location}: put that back under this name."
            )
        else:
            spool.download()
            derived = derive_stems(ready, spool.stems, _TOLERANCE_SECONDS)
            if owner.stem not in derived:
                return f"{self._gone} {self._again}"
            file = derived[owner.stem]
        if owner.sha256 is not None and file_sha256(file) != owner.sha256:
            return f"The provider gives other bytes than those that were verified. {self._again}"
        self.store.put_file(path, file)
        return ""
