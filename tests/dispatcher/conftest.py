"""A dispatcher over a real ledger and a vendor that misbehaves, with a collector that only books."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from bad_vendor import Vendor, open_for_business

from stemline.budget import Limits
from stemline.client import Access, Patience
from stemline.dispatcher import HeldKey, Orders, Outbox, dispatching
from stemline.ledger import Ledger, open_ledger
from stemline.providers import load_provider
from stemline.records import CollectedTrack, Recipe, StemFile, Track
from stemline.settings import load_facts

RECIPE = Recipe("both", "fast", "flac")
KEY_ID = "key"
STEM = StemFile("vocals", "v.flac", "flac", 44_100, 2, 1, 1.0, 1, "ab", None, None, "ok")
FACTS = load_facts("local").model_copy(
    update={"sweep_seconds": 0.02, "latency_seconds": 0.0, "speed": 0.0, "grace_seconds": 0.6}
)
END_SECONDS = 30
"""A dispatcher that is not done by then hangs."""


@dataclass
class Yard:
    """A ledger, a vendor, and runs over them."""

    ledger: Ledger
    vendor: Vendor
    reads: Counter = field(default_factory=Counter)
    """How often each track came out of the dispatcher."""
    dispatch: object = None

    def plan(self, *names: str) -> str:
        """Begin a run over tracks of ten seconds."""
        run_id = self.ledger.start_run("night", "local", RECIPE, "digest", KEY_ID)
        tracks = [
            Track(name, f"http://music.test/{name}.mp3", number, duration_seconds=10.0)
            for number, name in enumerate(names)
        ]
        self.ledger.plan(run_id, tracks)
        return run_id

    def orders(self, run_id: str, **changes) -> Orders:
        orders = {
            "run_id": run_id,
            "kind": "local",
            "recipe": RECIPE,
            "read_limits": Limits,
            "on_limit": "stop",
            "max_in_flight": 10,
            "requests_per_minute": 60_000,
            "max_attempts": 3,
            "tolerate": None,
            "selected": 3,
            "patience": Patience(3, 0.01, 0.02, first_probe_seconds=0.02, longest_probe_seconds=0.1),
        }
        return Orders(**{**orders, **changes})

    def hold(self, key_id: str) -> HeldKey:
        fence = self.ledger.acquire_lease(key_id, "tests", 60)
        return HeldKey(Access(self.vendor.url, f"sk_{key_id}", {}), key_id, fence)

    @contextmanager
    def dispatching(self, run_id: str, *, key_ids=(KEY_ID,), **changes):
        keys = [self.hold(key_id) for key_id in key_ids]
        orders, outbox = self.orders(run_id, **changes), Outbox(10, 0.05, chutes=len(keys))
        with dispatching(self.ledger, load_provider(FACTS), keys, orders, outbox) as dispatch:
            self.dispatch = dispatch
            guard = threading.Timer(END_SECONDS, outbox.close)
            guard.start()
            try:
                yield dispatch
                assert guard.is_alive(), "the dispatcher hangs"
            finally:
                guard.cancel()

    def work(
        self, run_id: str, *, stale: dict[str, int] | None = None, is_gone: bool = False, **changes
    ) -> dict[str, int]:
        """Run to the end, collecting all but the first `stale` deliveries of a track; give the counts by state."""
        left = dict(stale or {})
        with self.dispatching(run_id, **changes) as dispatch:
            for batch in dispatch.batches():
                relinks = []
                for ready in batch:
                    track_id = ready.attempt.track.track_id
                    self.reads[track_id] += 1
                    if left.get(track_id, 0) > 0:
                        left[track_id] -= 1
                        relinks.append(ready.attempt)
                    else:
                        self.ledger.record_collected(collected(ready.attempt.token, self.ledger.clock()))
                gone = [attempt.token for attempt in relinks] if is_gone else []
                dispatch.settle([ready.attempt.token for ready in batch], relinks, gone)
        return {str(state): count for state, count in self.ledger.counts(run_id).items()}


def collected(token, now) -> CollectedTrack:
    return CollectedTrack(token, (STEM,), 120.0, "C major", "provider", "provider", now)


@pytest.fixture
def vendor():
    with open_for_business() as vendor:
        yield vendor


@pytest.fixture
def yard(tmp_path, vendor):
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        yield Yard(ledger, vendor)
