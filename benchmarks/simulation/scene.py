"""A scene: a vendor, a catalogue, keys, and the real dispatchers between them, played to the end on a virtual loop."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from benchmarks.simulation.account import Job, instant
from benchmarks.simulation.aistemsplitter import AIStemSplitter
from benchmarks.simulation.conduct import Conduct
from benchmarks.simulation.loop import VirtualLoop
from benchmarks.simulation.shelf import Shelf
from benchmarks.simulation.stemsplit import StemSplit
from benchmarks.simulation.tally import Tally
from benchmarks.simulation.vendor import API_URL, TRACK_SECONDS, Vendor
from stemline.budget import Limits
from stemline.client import Access, Client
from stemline.dispatcher import Dispatch, HeldKey, Orders, Outbox
from stemline.dispatcher.line import Line
from stemline.dispatcher.state import Floor, Speed
from stemline.dispatcher.worker import Worker
from stemline.ledger import Ledger, open_ledger
from stemline.ledger.lease import LEASE_SECONDS
from stemline.pacing import Pacer
from stemline.providers import load_provider
from stemline.records import Event, Phase, Recipe, Track
from stemline.settings import load_facts
from stemline.settings.section import ProviderSettings

RECIPE = Recipe("four", "best", "mp3")
HOOK_URL = "https://hooks.test/hooks"
PLAN_TRACKS = 10_000
USUAL_IN_FLIGHT: int = ProviderSettings.model_fields["max_in_flight"].default
DIALECTS = {"stemsplit": StemSplit, "aistemsplitter": AIStemSplitter}


@dataclass(frozen=True)
class Scene:
    """What is played."""

    conduct: Conduct = field(default_factory=Conduct)
    tracks: int = 1_000
    is_upload: bool = False
    keys: int = 1
    max_in_flight: int = USUAL_IN_FLIGHT


def play(scene: Scene, folder: Path) -> Tally:
    """Run a catalogue to its end, with the ledger in `folder`, and give what was counted."""
    random.seed(scene.conduct.seed)  # the client draws its pauses from it
    loop = VirtualLoop()

    def clock() -> datetime:
        return instant(loop.time())

    try:
        with open_ledger(f"sqlite:///{folder / 'scene.db'}", clock=clock) as ledger:
            stage = _Stage(scene, ledger, folder)
            loop.run_until_complete(stage.run())
            loop.run_until_complete(loop.shutdown_default_executor())
            return stage.count()
    finally:
        loop.close()


class _Stage:
    """The dispatchers of a run, with simulated vendors in place of the network and a shelf in place of collectors."""

    def __init__(self, scene: Scene, ledger: Ledger, folder: Path) -> None:
        self._scene, self._ledger = scene, ledger
        kind = scene.conduct.dialect
        self._provider = load_provider(load_facts(kind))
        self._run_id = ledger.start_run("scene", kind, RECIPE, "digest", _key_id(0))
        for tracks in _catalogue(scene, folder):
            ledger.plan(self._run_id, tracks)
        self._orders = self._give_orders()
        self._line = Line(ledger, self._run_id)
        numbers = range(scene.keys)
        self._vendors = [
            Vendor(scene.conduct, DIALECTS[kind](), number, self._call_back) for number in numbers
        ]
        self._shelves = [Shelf(ledger, vendor.account) for vendor in self._vendors]
        self._workers = [
            Worker(partial(self._build_floor, number), shelf)  # type: ignore[arg-type] # it stands in for a Chute
            for number, shelf in enumerate(self._shelves)
        ]
        self._dispatch = Dispatch(self._workers, ledger, self._run_id, Outbox(1, 1.0))

    async def run(self) -> None:
        """Have every dispatcher work to its end, all on one clock."""
        for worker, shelf in zip(self._workers, self._shelves, strict=True):
            shelf.worker = worker
        # Not by `start`: a thread of its own would have a clock of its own.
        await asyncio.gather(*(worker._run() for worker in self._workers))  # noqa: SLF001
        if self._dispatch.reason is not None:
            raise self._dispatch.reason

    def count(self) -> Tally:
        """Give what was counted."""
        tally = Tally(requests_per_minute=self._scene.conduct.requests_per_minute)
        for vendor, shelf in zip(self._vendors, self._shelves, strict=True):
            tally.granted.append(vendor.account.granted)
            tally.refused += vendor.account.refused
            tally.jobs += vendor.account.made
            tally.done_at.extend(shelf.done_at)
            tally.collected_at.extend(shelf.collected_at)
        return tally

    def _give_orders(self) -> Orders:
        scene = self._scene
        return Orders(
            run_id=self._run_id,
            kind=scene.conduct.dialect,
            recipe=RECIPE,
            read_limits=Limits,
            on_limit="stop",
            max_in_flight=scene.max_in_flight,
            requests_per_minute=scene.conduct.requests_per_minute,
            max_attempts=3,
            tolerate=None,
            selected=scene.tracks,
            hook_url=HOOK_URL if scene.conduct.calls_back else None,
        )

    def _build_floor(self, number: int) -> Floor:
        access = Access(API_URL, f"key-{number}", {})
        fence = self._ledger.acquire_lease(_key_id(number), "scene", LEASE_SECONDS)
        orders, facts, vendor = self._orders, self._provider.facts, self._vendors[number]
        pacer = Pacer(orders.requests_per_minute)
        client = Client(self._provider, access, pacer, orders.patience, transport=vendor)
        speed = Speed(facts.speed, facts.latency_seconds)
        key = HeldKey(access, _key_id(number), fence)
        shelf = self._shelves[number]
        return Floor(orders, key, self._ledger, client, self._provider, self._line, shelf, speed)  # type: ignore[arg-type]

    def _call_back(self, job: Job) -> None:
        """Put an event into the inbox, as the receiver does, and wake the dispatchers."""
        digest = hashlib.sha256(job.job_id.encode()).hexdigest()
        event = Event(job.job_id, Phase.DONE, instant(job.done_at), digest)
        if self._ledger.receive_event(self._scene.conduct.dialect, event):
            self._dispatch.hear(event)


def _key_id(number: int) -> str:
    return f"key-id-{number}"


def _catalogue(scene: Scene, folder: Path) -> Iterator[list[Track]]:
    """Give the tracks batch by batch: one small file, or web addresses."""
    song = folder / "song.flac"
    song.write_bytes(bytes(1_000))
    for first in range(0, scene.tracks, PLAN_TRACKS):
        numbers = range(first, min(first + PLAN_TRACKS, scene.tracks))
        yield [
            Track(
                f"track-{number:07}",
                str(song) if scene.is_upload else f"https://music.test/{number}.flac",
                number,
                duration_seconds=float(TRACK_SECONDS),
                size_bytes=1_000,
            )
            for number in numbers
        ]
