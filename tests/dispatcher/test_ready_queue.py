"""When ready tracks are given out: many, waited long, nothing more to come."""

from __future__ import annotations

import threading

import pytest

from stemline.dispatcher import ReadyQueue
from stemline.records import Attempt, Job, Phase, ReadyTrack, Recipe, Track

LONG = 3_600.0
RECIPE = Recipe("both", "fast", "flac")


def ready(name):
    attempt = Attempt(name, Track(name, f"/music/{name}.wav", 1), RECIPE, "local", 1, 10)
    return ReadyTrack(attempt, Job(f"job-{name}", Phase.DONE))


def names(batch):
    return [track.attempt.token for track in batch]


@pytest.fixture
def patient():
    """A queue that waits an hour for a third track."""
    return ReadyQueue(3, LONG)


def test_a_full_batch_goes_at_once_and_the_rest_when_it_is_closed(patient):
    for name in "abcd":
        patient.put(ready(name))
    batches = patient.batches()
    assert names(next(batches)) == ["a", "b", "c"]
    patient.close()
    assert names(next(batches)) == ["d"]
    assert next(batches, None) is None


def test_nothing_is_given_when_nothing_came(patient):
    patient.close()
    assert list(patient.batches()) == []


def test_a_batch_that_waited_long_enough_goes_alone():
    ready_queue = ReadyQueue(100, 0.01)
    ready_queue.put(ready("a"))
    assert names(next(ready_queue.batches())) == ["a"]


def test_waiting_ends_when_no_more_can_come(patient):
    patient.put(ready("a"))
    timer = threading.Timer(0.05, patient.producers[0].set_idle, kwargs={"is_idle": True})
    timer.start()
    assert names(next(patient.batches())) == ["a"]
    timer.join()


def test_a_track_put_from_another_thread_wakes_the_collector(patient):
    def fill():
        for name in "abc":
            patient.put(ready(name))

    thread = threading.Timer(0.05, fill)
    thread.start()
    assert names(next(patient.batches())) == ["a", "b", "c"]
    thread.join()


def test_no_track_is_lost_or_doubled_between_threads():
    ready_queue, wanted = ReadyQueue(7, 0.001), [f"{name}{number}" for name in "ab" for number in range(200)]

    def fill(name):
        for number in range(200):
            ready_queue.put(ready(f"{name}{number}"))

    threads = [threading.Thread(target=fill, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    closer = threading.Thread(target=lambda: ([thread.join() for thread in threads], ready_queue.close()))
    closer.start()
    batches = list(ready_queue.batches())
    closer.join()
    assert sorted(name for batch in batches for name in names(batch)) == sorted(wanted)
    assert all(0 < len(batch) <= 7 for batch in batches)
