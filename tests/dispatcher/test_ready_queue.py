"""What a collector is given next: what expires first, once it is there, until nothing more can come."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue

import pytest

from stemline.dispatcher import ReadyQueue
from stemline.records import Attempt, Job, Output, Phase, ReadyTrack, Recipe, Track

RECIPE = Recipe("both", "fast", "flac")
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def ready(name, expires_in=None):
    attempt = Attempt(name, Track(name, f"/music/{name}.wav", 1), RECIPE, "local", 1, 10)
    expires_at = None if expires_in is None else NOW + timedelta(seconds=expires_in)
    return ReadyTrack(attempt, Job(f"job-{name}", Phase.DONE, outputs=(Output("vocals", "x", expires_at),)))


def names(tracks):
    return [track.attempt.token for track in tracks]


@pytest.fixture
def queue():
    return ReadyQueue()


def test_what_expires_first_is_given_first_and_what_came_first_among_equals(queue):
    for name, seconds in (("late", 900), ("never", None), ("soon", 60), ("late too", 900), ("sooner", 30)):
        queue.put(ready(name, seconds))
    queue.close()
    assert names(queue.tracks()) == ["sooner", "soon", "late", "late too", "never"]


def test_nothing_is_given_when_nothing_came(queue):
    queue.close()
    assert list(queue.tracks()) == []


def test_it_ends_only_when_every_producer_is_closed():
    queue = ReadyQueue(producers=2)
    queue.producers[0].close()
    queue.producers[1].put(ready("a"))
    tracks = queue.tracks()
    assert names([next(tracks)]) == ["a"]
    queue.producers[1].close()
    assert list(tracks) == []


def test_a_track_put_from_another_thread_wakes_the_collector(queue):
    taken = SimpleQueue()
    thread = threading.Thread(target=lambda: [taken.put(track) for track in queue.tracks()])
    thread.start()
    for name in "abc":
        queue.put(ready(name))
        assert taken.get(timeout=10).attempt.token == name
    queue.close()
    thread.join()


def test_no_track_is_lost_or_doubled_between_threads():
    queue = ReadyQueue(producers=2)

    def fill(name, producer):
        for number in range(200):
            producer.put(ready(f"{name}{number}"))
        producer.close()

    threads = [threading.Thread(target=fill, args=pair) for pair in zip("ab", queue.producers, strict=True)]
    for thread in threads:
        thread.start()
    wanted = [f"{name}{number}" for name in "ab" for number in range(200)]
    assert sorted(names(queue.tracks())) == sorted(wanted)
