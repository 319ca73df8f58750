"""A track collected in a process of a cluster: what is sent there, what happens there, and what comes back.

A cluster may do the same twice, even at once: a worker that its scheduler takes for dead goes on. What one writes is
what the other writes, under the same names; and nothing is removed here, for it may be what the other has just written.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import stemline
from stemline.collector.batch import TrackCollector, new_collector
from stemline.collector.target import CollectResult, CollectTarget
from stemline.errors import StemlineError
from stemline.records import CollectedTrack, ReadyTrack

KEPT_COLLECTORS = 4
"""A worker of a long-lived cluster may serve several datasets."""


@dataclass(frozen=True, slots=True)
class WorkerOutcome:
    """What came of a track in a worker."""

    result: CollectResult | StemlineError
    leftovers: tuple[str, ...] = ()
    """Keys that objects of a track which is not collected may have."""


class _Collectors:
    """The collectors of this process, with their connections, by what they collect for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[bytes, TrackCollector] = OrderedDict()

    def get(self, target: bytes) -> TrackCollector:
        with self._lock:
            if target not in self._kept:
                wanted: CollectTarget = pickle.loads(target)  # noqa: S301 - from the run that sent it
                self._kept[target] = new_collector(wanted)
            self._kept.move_to_end(target)
            while len(self._kept) > KEPT_COLLECTORS:  # what is at work with it keeps it until it is done
                self._kept.popitem(last=False)
            return self._kept[target]


_COLLECTORS = _Collectors()


def worker_version() -> str:
    """Give the version of stemline in the process that carries this out."""
    return stemline.__version__


def collect_in_worker(target: bytes, ready: bytes) -> bytes:
    """Collect a track for a target, both pickled as `pack` does; give the WorkerOutcome, pickled.

    As bytes they pass a scheduler that knows nothing of stemline, and are packed once.
    """
    named: set[str] = set()
    track: ReadyTrack = pickle.loads(ready)  # noqa: S301 - from the run that sent it
    try:
        result = _COLLECTORS.get(target).attempt(track, named)
    except StemlineError as error:
        return pack(WorkerOutcome(error, tuple(named)))
    return pack(WorkerOutcome(result, () if isinstance(result, CollectedTrack) else tuple(named)))


def pack(thing: object) -> bytes:
    """Give an object as it travels."""
    return pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)


def unpack(outcome: bytes) -> WorkerOutcome:
    """Give what came back from a worker."""
    found: WorkerOutcome = pickle.loads(outcome)  # noqa: S301 - from a worker of the cluster that the user named
    return found
