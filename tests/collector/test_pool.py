"""Tracks are collected side by side and given in batches while others are on their way: a slow one holds up nobody."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from stemline.budget import Limits
from stemline.collector import CollectTarget
from stemline.collector.pool import collecting
from stemline.collector.runners.thread_runner import SPARE, ThreadRunner, thread_runner
from stemline.dataset.layout import DatasetLayout
from stemline.dispatcher import ReadyQueue
from stemline.errors import StorageError
from stemline.ledger import open_ledger
from stemline.ledger.tables import batches
from stemline.publisher import Publisher
from stemline.records import CollectedTrack, Failure, Recipe, State, Submission
from stemline.run import collected_batches
from stemline.run.collected_batches import CollectedBatches
from stemline.storage import open_store

LONG = 3_600.0
RECIPE = Recipe("both", "best", "flac")


@pytest.fixture
def target(tmp_path):
    return CollectTarget(str(tmp_path / "dataset"), concurrency=3)


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        yield ledger


class Night:
    """A run's ledger, queue and dataset, without its dispatchers."""

    def __init__(self, ledger, target, ready):
        self.ledger, self.target, self._ready = ledger, target, ready
        self.queue = ReadyQueue()
        self.run_id = ledger.runs.start("night", "local", RECIPE, "digest", "key")
        store = open_store(target.url, target.storage_options)
        self.publisher = Publisher(ledger, store, DatasetLayout())
        self.outcomes = {}

    def put(self, *names):
        for name in names:
            track = self._ready(name)
            attempt = track.attempt
            self.ledger.tracks.plan(self.run_id, [attempt.track])
            self.ledger.attempts.reserve(self.run_id, attempt.track, attempt.token, 2, Limits())
            self.ledger.attempts.mark_sending(attempt.token)
            self.ledger.attempts.record_submission(attempt.token, Submission(track.job.job_id, 2))
            self.ledger.attempts.record_ready(attempt.token, track.job)
            self.queue.put(track)

    def book(self, ready, outcome):
        self.outcomes[ready.attempt.track.track_id] = outcome
        if not isinstance(outcome, CollectedTrack):
            return None
        self.ledger.attempts.record_collected(outcome)
        return outcome.token

    def published(self):
        """The tracks of each batch, as the dataset has them by now."""
        query = select(batches.c.members).where(batches.c.published_at.is_not(None))
        with self.ledger.database.read() as connection:
            return sorted(connection.scalars(query), reverse=True)

    def publish(self, collected):
        tokens = collected.next_batch()
        if tokens:
            self.publisher.publish(self.run_id, tokens)
        return tokens

    @contextmanager
    def collecting(self, batch_tracks, batch_seconds=LONG):
        collected = CollectedBatches(self.book, batch_tracks, batch_seconds)
        with thread_runner(self.target) as runner, collecting(self.queue.tracks(), runner) as pool:
            collected.begin(pool, self.queue.close)
            yield collected


@pytest.fixture
def night(ledger, target, ready):
    return Night(ledger, target, ready)


def test_others_are_published_while_the_download_of_one_stalls(night, storage):
    storage.faults["/slow/vocals"] = [("stall", 100)]
    night.put("slow")
    night.put(*(f"t{number}" for number in range(6)))
    night.queue.close()
    with night.collecting(3) as collected:
        assert storage.stalled.wait(10)
        assert night.publish(collected)
        assert night.publish(collected)
        assert night.published() == [3, 3]
        assert not storage.going_on.is_set()
        assert "slow" not in night.outcomes
        storage.going_on.set()
        assert night.publish(collected) == ["token-slow"]
        assert collected.next_batch() == []
        assert collected.is_over
    assert night.ledger.queries.counts(night.run_id) == {State.PUBLISHED: 7}


@pytest.mark.parametrize(("size", "parts"), [(3, [3, 3, 1]), (7, [7]), (500, [7])])
@pytest.mark.long
def test_the_dataset_gets_a_part_for_so_many_tracks_and_one_for_the_rest(night, size, parts):
    night.put(*(f"t{number}" for number in range(7)))
    night.queue.close()
    with night.collecting(size) as collected:
        while not collected.is_over:
            night.publish(collected)
    assert night.published() == parts
    assert len(list((open_store(night.target.url)).list("tracks"))) == len(parts)


def test_a_batch_that_is_old_enough_is_published_while_more_may_come(night):
    night.put("a")
    with night.collecting(500, batch_seconds=0.01) as collected:
        assert night.publish(collected) == ["token-a"]
        assert not collected.is_over
        night.queue.close()
        assert night.publish(collected) == []
    assert night.published() == [1]


def test_interrupted_it_waits_for_what_is_at_hand_only_so_long(night, storage, monkeypatch):
    """What is collected by then is published; the rest stays ready, and no failure is booked for it."""
    monkeypatch.setattr(collected_batches, "INTERRUPT_SECONDS", 0.2)
    storage.faults["/slow/vocals"] = [("stall", 100)]
    night.put("slow", "a", "b")
    with night.collecting(500) as collected:
        assert storage.stalled.wait(10)
        collected.interrupt()
        assert sorted(night.publish(collected)) == ["token-a", "token-b"]
        assert collected.is_over
        storage.going_on.set()
    assert night.ledger.queries.counts(night.run_id) == {State.PUBLISHED: 2, State.READY: 1}


def test_a_store_that_is_down_ends_it_and_what_was_collected_before_is_not_lost(night, target):
    """The next run publishes it, and pays nothing for it."""
    night.put("a")
    audio = Path(target.url, "audio")
    with night.collecting(2) as collected:
        assert night.book(*collected._pool.take())
        audio.rename(audio.with_name("aside"))
        audio.write_text("no folder any more")
        night.put("b")
        with pytest.raises(StorageError):
            collected.next_batch()
    audio.unlink()
    audio.with_name("aside").rename(audio)
    assert night.ledger.queries.counts(night.run_id) == {State.COLLECTED: 1, State.READY: 1}
    assert night.publisher.publish_leftovers(night.run_id, "local", RECIPE) == 1


def test_what_a_track_could_not_be_collected_for_is_booked_and_others_go_on(night, storage):
    night.put("a", "b")
    del storage.files["/a/vocals"]
    night.queue.close()
    with night.collecting(500) as collected:
        assert night.publish(collected) == ["token-b"]
    assert not isinstance(night.outcomes["a"], CollectedTrack | Failure)


class TestARunner:
    """Threads take so many tracks at once, whatever waits."""

    def test_only_as_many_tracks_are_in_hand_as_there_is_room(self, ready):
        queue, begun, go_on = ReadyQueue(), threading.Semaphore(0), threading.Event()

        def collect(_):
            begun.release()
            go_on.wait(10)

        runner = ThreadRunner(collect, 2)
        for number in range(9):
            queue.put(ready(f"t{number}"))
        queue.close()
        with collecting(queue.tracks(), runner) as pool:
            assert all(begun.acquire(timeout=10) for _ in range(2))
            # One waits for a thread; all others stay where what expires first goes first.
            assert 9 - len(queue._waiting) <= 2 + SPARE
            go_on.set()
            found = [pool.take() for _ in range(9)]
            assert pool.take() is None
            assert pool.is_over
        assert sorted(track.attempt.track.track_id for track, _ in found) == [f"t{n}" for n in range(9)]
        runner.close()

    def test_what_collecting_dies_of_is_raised_where_tracks_are_booked(self, ready):
        def collect(_):
            raise StorageError("The disk is full.")

        queue, runner = ReadyQueue(), ThreadRunner(collect, 1)
        queue.put(ready("a"))
        with collecting(queue.tracks(), runner) as pool, pytest.raises(StorageError, match="full"):
            pool.take()
        queue.close()
        runner.close()
