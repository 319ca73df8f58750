from __future__ import annotations

from stemline.ledger import PublishedTrack
from stemline.records import State


def test_published_tracks_stream_in_the_order_of_the_queue(case):
    for number in (3, 1, 2):
        case.published(number)
    case.collected(4)
    case.plan(5)
    assert [track.token for track in case.ledger.queries.published_tracks(case.run_id)] == ["a1", "a2", "a3"]


def test_a_published_track_comes_with_its_instants_and_its_music(case, clock):
    attempt = case.ready(1)
    ready_at = clock()
    clock.advance(minutes=2)
    case.ledger.attempts.record_collected(case.stems(1))
    case.ledger.batches.open(case.run_id, "b1", [attempt.token])
    case.ledger.batches.publish("b1")
    assert list(case.ledger.queries.published_tracks(case.run_id)) == [
        PublishedTrack("a1", ready_at, clock(), 120.5, "Am", "provider", None)
    ]


def test_a_track_published_before_a_run_is_counted_there_and_listed_where_it_was_published(case, clock):
    case.published(1)
    first, published_at = case.run_id, clock()
    clock.advance(days=1)
    case.run_id = case.start()
    case.plan(1)
    assert case.ledger.queries.counts(case.run_id) == {State.PUBLISHED: 1}
    assert list(case.ledger.queries.published_tracks(case.run_id)) == []
    assert [track.published_at for track in case.ledger.queries.published_tracks(first)] == [published_at]


def test_a_stream_left_early_frees_the_ledger(case):
    for number in (1, 2):
        case.published(number)
    stream = case.ledger.queries.published_tracks(case.run_id)
    next(stream)
    stream.close()
    assert case.published(3).token == "a3"


def test_results_are_what_the_dataset_is_told(case):
    case.published(2)
    case.collected(1)
    case.ready(3)
    found = case.ledger.queries.results(["a2", "a1", "a3", "nobody"])
    assert [row.attempt.token for row in found] == ["a1", "a2"]
    assert found[1] == case.ledger.batches.rows("b2")[0]
