"""A dispatcher over a real ledger and a vendor that misbehaves, with a collector that only reconciliation."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from misbehaving_vendor import MisbehavingVendor, running_vendor
from sqlalchemy import select

from stemline.budget import Limits
from stemline.client import Access, RetryPolicy
from stemline.dispatcher import LeasedKey, ReadyQueue, RunParameters, running_dispatchers
from stemline.ledger import Ledger, open_ledger
from stemline.ledger.tables import attempts
from stemline.providers import load_provider
from stemline.records import CollectedTrack, Recipe, StemFile, Track
from stemline.settings import ProviderFacts, load_facts

RECIPE = Recipe("both", "fast", "flac")
KEY_ID = "key"
STEM = StemFile("vocals", "v.flac", "flac", 44_100, 2, 1, 1.0, 1, "ab", None, None, "ok")
FACTS = load_facts("local").model_copy(
    update={"sweep_seconds": 0.02, "latency_seconds": 0.0, "speed": 0.0, "grace_seconds": 0.6}
)
END_SECONDS = 30
"""A dispatcher that is not done by then hangs."""


@dataclass
class DispatcherHarness:
    """A ledger, a vendor, and runs over them."""

    ledger: Ledger
    vendor: MisbehavingVendor
    reads: Counter = field(default_factory=Counter)
    """How often each track came out of the dispatcher."""
    group: object = None
    facts: ProviderFacts = FACTS

    def plan(self, *names: str, key_id: str = KEY_ID) -> str:
        """Begin a run over tracks of ten seconds."""
        run_id = self.ledger.runs.start("night", "local", RECIPE, "digest", key_id)
        tracks = [
            Track(name, f"http://music.test/{name}.mp3", number, duration_seconds=10.0)
            for number, name in enumerate(names)
        ]
        self.ledger.tracks.plan(run_id, tracks)
        return run_id

    def parameters(self, run_id: str, **changes) -> RunParameters:
        usual = {
            "run_id": run_id,
            "kind": "local",
            "recipe": RECIPE,
            "read_limits": Limits,
            "on_limit": "stop",
            "max_in_flight": 10,
            "requests_per_minute": 60_000,
            "max_attempts": 3,
            "tolerate": None,
            "read_selected": lambda: 3,
            "retry_policy": RetryPolicy(3, 0.01, 0.02, first_probe_seconds=0.02, longest_probe_seconds=0.1),
        }
        return RunParameters(**{**usual, **changes})

    def attempt_state(self, token: str) -> str:
        """Give an attempt's own state, which may be `released` where its track's is not."""
        with self.ledger.database.read() as connection:
            return connection.execute(select(attempts.c.state).where(attempts.c.token == token)).scalar_one()

    def hold(self, key_id: str) -> LeasedKey:
        fence = self.ledger.leases.acquire(key_id, "tests", 60)
        return LeasedKey(Access(self.vendor.url, f"sk_{key_id}", {}), key_id, fence)

    @contextmanager
    def running(self, run_id: str, *, key_ids=(KEY_ID,), **changes):
        keys = [self.hold(key_id) for key_id in key_ids]
        parameters, ready_queue = (
            self.parameters(run_id, **changes),
            ReadyQueue(producers=len(keys)),
        )
        with running_dispatchers(
            self.ledger, load_provider(self.facts), keys, parameters, ready_queue
        ) as group:
            self.group = group
            guard = threading.Timer(END_SECONDS, ready_queue.close)
            guard.start()
            try:
                yield group
                assert guard.is_alive(), "the dispatcher hangs"
            finally:
                guard.cancel()

    def work(
        self, run_id: str, *, stale: dict[str, int] | None = None, is_gone: bool = False, **changes
    ) -> dict[str, int]:
        """Run to the end, collecting all but the first `stale` deliveries of a track; give the counts by state."""
        left = dict(stale or {})
        with self.running(run_id, **changes) as group:
            for ready in group.ready_tracks():
                relinks = []
                track_id = ready.attempt.track.track_id
                self.reads[track_id] += 1
                if left.get(track_id, 0) > 0:
                    left[track_id] -= 1
                    relinks.append(ready.attempt)
                else:
                    self.ledger.attempts.record_collected(collected(ready.attempt.token, self.ledger.clock()))
                gone = [attempt.token for attempt in relinks] if is_gone else []
                group.acknowledge([ready.attempt.token], relinks, gone)
            group.settle()
        return {str(state): count for state, count in self.ledger.queries.counts(run_id).items()}


def collected(token, now) -> CollectedTrack:
    return CollectedTrack(token, (STEM,), 120.0, "C major", "provider", "provider", now)


@pytest.fixture
def vendor():
    with running_vendor() as vendor:
        yield vendor


@pytest.fixture
def harness(tmp_path, vendor, monkeypatch):
    monkeypatch.setattr("stemline.dispatcher.poller.RELINK_SECONDS", (0.0, 0.01, 0.02, 0.03, 0.04))
    monkeypatch.setattr("stemline.dispatcher.submitter.PILOT_SECONDS", 0.5)
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        yield DispatcherHarness(ledger, vendor)
