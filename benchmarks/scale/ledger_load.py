"""One machine's share of the load on a ledger: keys that submit in threads, and the thread that books outcomes.

As a run has them: ledger, track queue, booking and publisher are the real ones; nothing is separated or fetched.
"""

from __future__ import annotations

import inspect
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from sqlalchemy import Connection, event

from stemline.activity import SecondOffsets, StemActivity
from stemline.budget import BudgetHold, Limits
from stemline.clock import utc_now
from stemline.dataset.layout import DatasetLayout
from stemline.dispatcher.track_queue import TrackQueue
from stemline.errors import LedgerConflict
from stemline.ledger import LEASE_SECONDS, BalanceReading, KnownDataset, Ledger, open_ledger
from stemline.ledger.database import LedgerDatabase
from stemline.publisher import Publisher
from stemline.records import (
    CollectedTrack,
    Job,
    Output,
    Phase,
    ReadyTrack,
    Recipe,
    StemFile,
    Submission,
    Track,
)
from stemline.run.booking import Booking
from stemline.run.summary import MixTally
from stemline.settings.section import ExecutionSettings
from stemline.storage import open_store

RECIPE = Recipe("four", "best", "flac")
STEMS = ("vocals", "drums", "bass", "other")
TRACK_SECONDS = 180
TRACKS_A_SECOND = 0.5
"""What a key of 60 requests a minute submits at most: a track takes two."""
BATCH_TRACKS: int = ExecutionSettings.model_fields["batch_tracks"].default
HUGE = 10**12
LIMITS = Limits(run=HUGE, day=HUGE, month=HUGE, balance=HUGE, balance_at=utc_now() - timedelta(hours=1))
"""Every limit is there to be checked, and none is reached."""
PLAN_TRACKS = 10_000
LEVELS = (-20.5,) * TRACK_SECONDS
OFFSETS = SecondOffsets(*(tuple(range(0, step * TRACK_SECONDS, step)) for step in (9_001, 44_100)), 86)
ACTIVITY = StemActivity(LEVELS, OFFSETS).pack()
KNOWN = KnownDataset(
    "stemsplit",
    RECIPE.name,
    "set",
    "set",
    unnamed="none",
    tracks=0,
    last_batch=None,
    adopted={},
    is_adopting=False,
)


@dataclass(frozen=True)
class Load:
    """What one machine does."""

    url: str
    folder: str
    number: int
    keys: int
    seconds: float
    """Of the phases that do not end by themselves."""
    tracks: int
    """Planned by its run; the same ones by each machine's."""
    round_trip_seconds: float = 0.0
    """Added to each statement, as if the server were elsewhere."""


class Lock(NamedTuple):
    """One transaction; all times in seconds."""

    verb: str
    waited: float
    """Until it was the only writer."""
    held: float
    """As the only writer, the commit included."""
    cpu: float
    """Of that, what its thread computed: on a busy machine all else is waiting, too."""


@dataclass
class LoadResult:
    """What one phase came to on one machine."""

    tracks: int = 0
    """Submitted, or booked where nothing is submitted."""
    conflicts: int = 0
    """Tracks that another machine was faster to reserve."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    statements: int = 0
    locks: list[Lock] = field(default_factory=list)


class Machine:
    """A run on a machine of its own."""

    def __init__(self, load: Load, ledger: Ledger) -> None:
        self._load, self._ledger = load, ledger
        self._run_id = ledger.runs.start(f"machine-{load.number}", "stemsplit", RECIPE, "digest")
        self._fences = {
            key: ledger.leases.acquire(key, "bench", 60 * LEASE_SECONDS) for key in self._key_ids()
        }
        _plan(ledger, self._run_id, load.tracks)
        ledger.datasets.add(KNOWN)
        ledger.datasets.write_into(KNOWN)
        self._queue = TrackQueue(ledger, self._run_id)
        store = open_store(str(Path(load.folder) / f"dataset-{load.number}"))
        self._publisher = Publisher(ledger, store, DatasetLayout())
        self._booking = Booking(ledger, self._publisher, MixTally())
        self._ready: SimpleQueue[ReadyTrack] = SimpleQueue()
        self._spare: list[str] = []
        """Collected and not published: they are the batch of the last phase."""
        self.result = LoadResult()

    def submit_fast(self) -> None:
        """Have every key submit as fast as it can."""
        self._in_threads(lambda key_id, _: self._submit_until(key_id, time.monotonic() + self._load.seconds))

    def book_fast(self) -> None:
        """Book and publish all that was submitted, as if all of it were collected at this instant."""
        left = self._ready.qsize()
        self.result.tracks = left
        while left:
            size = min(BATCH_TRACKS, left if self._spare else max(1, left // 2))
            tokens = [self._book(self._ready.get()) for _ in range(size)]
            left -= size
            if self._spare:
                self._publish(tokens)
            else:
                self._spare = tokens

    def work_at_pace(self) -> None:
        """Have every key submit at its pace and book it meanwhile; publish a batch in the middle."""
        ends_at = time.monotonic() + self._load.seconds
        booking = threading.Thread(target=self._book_until, args=(ends_at,))
        booking.start()
        self._in_threads(lambda key_id, place: self._submit_paced(key_id, place, ends_at))
        booking.join()

    def _key_ids(self) -> list[str]:
        return [f"key-{self._load.number}-{number}" for number in range(self._load.keys)]

    def _in_threads(self, work: Callable[[str, float], None]) -> None:
        """Work with every key in a thread of its own; it is told the key's place among them, from 0 to 1."""
        keys = self._key_ids()
        threads = [
            threading.Thread(target=work, args=(key_id, number / len(keys)))
            for number, key_id in enumerate(keys)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _submit_until(self, key_id: str, ends_at: float) -> None:
        while time.monotonic() < ends_at and self._submit(key_id):
            pass

    def _submit_paced(self, key_id: str, place: float, ends_at: float) -> None:
        due = time.monotonic() + place / TRACKS_A_SECOND
        while due < ends_at:
            time.sleep(max(0.0, due - time.monotonic()))
            self._submit(key_id)
            due += 1 / TRACKS_A_SECOND

    def _submit(self, key_id: str) -> bool:
        """Bring the next track from planned to ready, as a dispatcher does; give whether there was one."""
        attempts, token = self._ledger.attempts, f"sl{uuid.uuid4().hex[:20]}"
        track = self._queue.next_track(key_id)
        if track is None:
            return False
        try:
            reserved = attempts.reserve(self._run_id, track, token, TRACK_SECONDS, LIMITS, key_id=key_id)
        except LedgerConflict:  # another machine was faster
            self._queue.note_rival()
            self.result.conflicts += 1
            return self._submit(key_id)
        finally:
            self._queue.reserved(track)
        assert not isinstance(reserved, BudgetHold)  # noqa: S101 - no limit is reached
        request = {
            "sourceUrl": track.location,
            "outputType": "FOUR",
            "quality": "BEST",
            "outputFormat": "FLAC",
        }
        reading = BalanceReading(HUGE, utc_now())
        attempts.mark_sending(token, fence=self._fences[key_id], request=request, balance=reading)
        attempt = attempts.record_submission(token, Submission(f"job-{token}", TRACK_SECONDS))
        links = tuple(Output(stem, f"https://links.example/{token}/{stem}", utc_now()) for stem in STEMS)
        job = Job(
            f"job-{token}", Phase.DONE, credits_charged=TRACK_SECONDS, outputs=links, bpm=120.0, key="Am"
        )
        attempts.record_ready(token, job)
        self._ready.put(ReadyTrack(attempt, job))
        self.result.tracks += 1
        return True

    def _book(self, ready: ReadyTrack) -> str:
        self._booking.book(ready, _collected(ready.attempt.token))
        return ready.attempt.token

    def _book_until(self, ends_at: float) -> None:
        half = ends_at - self._load.seconds / 2
        while (now := time.monotonic()) < ends_at:
            if now >= half and self._spare:
                self._publish(self._spare)
                self._spare = []
            try:
                self._book(self._ready.get(timeout=max(0.0, (half if self._spare else ends_at) - now)))
            except Empty:
                continue

    def _publish(self, tokens: list[str]) -> None:
        self._publisher.publish(self._run_id, tokens)


PHASES: tuple[tuple[str, Callable[[Machine], None]], ...] = (
    ("keys as fast as they can", Machine.submit_fast),
    ("outcomes as fast as they can", Machine.book_fast),
    ("both at the keys' pace, one batch published", Machine.work_at_pace),
)


def work(
    load: Load, wait_for_others: Callable[[], object], tell: Callable[[list[LoadResult]], object]
) -> None:
    """Go through all phases together with the other machines, and tell what came of each."""
    found = []
    with open_ledger(load.url) as ledger:
        machine = Machine(load, ledger)
        _watch_statements(ledger, machine, load.round_trip_seconds)
        with _timed_locks(machine):
            for _, phase in PHASES:
                wait_for_others()
                machine.result = LoadResult()
                began, busy = time.monotonic(), time.process_time()
                phase(machine)
                machine.result.seconds = time.monotonic() - began
                machine.result.cpu_seconds = time.process_time() - busy
                found.append(machine.result)
    tell(found)


@contextmanager
def _timed_locks(machine: Machine) -> Iterator[None]:
    """Note for each transaction how long it waited to be the only writer, and how long it was."""
    write = LedgerDatabase.write

    @contextmanager
    def timed(database: LedgerDatabase) -> Iterator[Connection]:
        caller = inspect.currentframe()
        for _ in range(2):  # past the context manager, to the verb
            caller = caller.f_back if caller is not None else None
        asked = began = time.monotonic()
        busy = time.thread_time()
        try:
            with write(database) as connection:
                began, busy = time.monotonic(), time.thread_time()
                yield connection
        finally:
            verb = caller.f_code.co_name if caller is not None else ""
            held, cpu = time.monotonic() - began, time.thread_time() - busy
            machine.result.locks.append(Lock(verb, began - asked, held, cpu))

    LedgerDatabase.write = timed  # type: ignore[method-assign]
    try:
        yield
    finally:
        LedgerDatabase.write = write  # type: ignore[method-assign]


def _watch_statements(ledger: Ledger, machine: Machine, round_trip_seconds: float) -> None:
    """Count the statements, and have each take as long as the way to a server elsewhere."""
    engine = ledger.database._engine  # noqa: SLF001 - there is no other way to what it executes

    def travel(*_: object) -> None:
        machine.result.statements += 1
        if round_trip_seconds:
            time.sleep(round_trip_seconds)

    event.listen(engine, "before_cursor_execute", travel)
    event.listen(engine, "commit", travel)


def _plan(ledger: Ledger, run_id: str, count: int) -> None:
    for first in range(0, count, PLAN_TRACKS):
        numbers = range(first, min(first + PLAN_TRACKS, count))
        rows = [
            Track(
                f"track-{n:08}",
                f"https://music.example/{n:08}.flac",
                n,
                duration_seconds=float(TRACK_SECONDS),
            )
            for n in numbers
        ]
        ledger.tracks.plan(run_id, rows)


def _collected(token: str) -> CollectedTrack:
    frames = 44_100 * TRACK_SECONDS
    stems = tuple(
        StemFile(
            stem,
            f"audio/{token}/{stem}.flac",
            "flac",
            44_100,
            2,
            frames,
            float(TRACK_SECONDS),
            12_000_000,
            "ab" * 32,
            -1.5,
            -20.5,
            "ok",
            activity=ACTIVITY,
        )
        for stem in STEMS
    )
    return CollectedTrack(token, stems, 120.0, "Am", "provider", "provider", utc_now())
