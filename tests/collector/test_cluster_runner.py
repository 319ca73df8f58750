"""Tracks at a cluster: what comes back is reported once, what is left is removed here, a death costs a repetition."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field

import pytest

from stemline.collector import CollectTarget, Relink
from stemline.collector.runners.cluster_runner import AHEAD, DEATHS, ClusterRunner, WorkerDied
from stemline.collector.runners.worker import WorkerOutcome, collect_in_worker, pack, unpack
from stemline.dataset import stem_path
from stemline.errors import ClusterAway, StorageError
from stemline.records import NEVER, Attempt, Failure, Job, Output, Phase, ReadyTrack, Recipe, State, Track
from stemline.storage import open_store

KEY = "audio/ab/t1/local-both-fast-wav/vocals.wav"


def ready_track(url: str = "http://127.0.0.1:9/vocals.wav") -> ReadyTrack:
    track = Track("t1", "/music/1.mp3", 1, duration_seconds=10.0)
    attempt = Attempt("sl0", track, Recipe("vocals", "fast", "wav"), "local", 1, 10)
    return ReadyTrack(attempt, Job("job", Phase.DONE, outputs=(Output("vocals", url, NEVER),)))


@dataclass
class StandIn:
    """A cluster whose workers do as they are told; no engine's own are needed to die at the right moment."""

    answers: list = field(default_factory=list)
    calls: int = 0

    def call(self, _target, _ready, done):
        self.calls += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception) and not isinstance(answer, WorkerDied):
            raise answer
        done(answer)

    def close(self):
        """Nothing was started."""


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path))


@pytest.fixture
def told():
    return []


@pytest.fixture
def collect(tmp_path, told):
    """Have a track collected by workers that answer so; give the stand-in."""

    def collect(*answers, is_closed=False) -> StandIn:
        cluster = StandIn(list(answers))
        runner = ClusterRunner(cluster, CollectTarget(str(tmp_path), concurrency=3))
        assert runner.room == 3 + AHEAD
        if is_closed:
            runner.close()
        runner.submit(ready_track(), lambda _, result: told.append(result))
        return cluster

    return collect


def test_what_is_left_of_a_track_that_is_not_collected_is_removed_here(store, collect, told):
    store.put_bytes(KEY, b"half of a track")
    expired = Relink("sl0", "The links had expired.")
    collect(pack(WorkerOutcome(expired, (KEY, "audio/never/written.wav"))))
    assert told == [expired]
    assert not store.exists(KEY)


def test_what_a_worker_could_not_write_is_raised_where_it_is_booked(collect, told):
    collect(pack(WorkerOutcome(StorageError("The disk is full.", fix="Make room."))))
    (error,) = told
    assert (type(error), error.message, error.fix) == (StorageError, "The disk is full.", "Make room.")


def test_a_worker_that_dies_costs_a_repetition(collect, told):
    found = Relink("sl0", "New links.")
    cluster = collect(*[WorkerDied()] * (DEATHS - 1), pack(WorkerOutcome(found)))
    assert (cluster.calls, told) == (DEATHS, [found])


def test_a_track_at_which_workers_die_is_left_to_a_later_run(collect, told):
    cluster = collect(*[WorkerDied()] * DEATHS)
    (failure,) = told
    assert isinstance(failure, Failure)
    assert (cluster.calls, failure.state, failure.is_retryable) == (DEATHS, State.READY, True)


def test_a_cluster_that_is_gone_ends_the_run(collect, told):
    gone = ClusterAway("The scheduler is gone.", fix="Run again.")
    collect(WorkerDied(), gone)
    assert told == [gone]


@pytest.mark.parametrize("odd", [OSError("The connection is lost."), RuntimeError("A fault of the engine.")])
def test_what_an_engine_raises_as_it_is_given_a_track_ends_the_run(collect, told, odd):
    """Else nobody hears of the track again, and the run waits for it for ever."""
    collect(odd)
    assert told == [odd]


def test_an_outcome_that_cannot_be_read_ends_the_run(collect, told):
    collect(b"of another stemline")
    (error,) = told
    assert isinstance(error, pickle.UnpicklingError)


def test_once_closed_nothing_is_reported(collect, told):
    collect(pack(WorkerOutcome(Relink("sl0", "New links."))), is_closed=True)
    assert told == []


@pytest.mark.long
def test_a_worker_removes_nothing(store):
    """Another worker, taken for dead by its scheduler, may have written it a moment ago."""
    ready = ready_track()
    key = stem_path(ready.attempt, "vocals", "wav")
    store.put_bytes(key, b"what the other has written")
    outcome = unpack(collect_in_worker(pack(CollectTarget(store.url())), pack(ready)))
    assert isinstance(outcome.result, Failure)
    assert key in outcome.leftovers
    assert store.read_bytes(key) == b"what the other has written"
