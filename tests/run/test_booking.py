"""What a run books of a track that another one has collected at the same time: nothing, and nothing breaks off."""

from __future__ import annotations

import pytest
from support.night import open_night

from stemline.collector import Relink
from stemline.errors import LedgerConflict
from stemline.records import Code, CollectedTrack, Failure, Job, Phase, ReadyTrack, State
from stemline.run.run import Run


@pytest.fixture
def night(tmp_path):
    with open_night(tmp_path) as night:
        yield night


def book(night, token, outcome, **told):
    """Book as a run does that knows nothing of the other one."""
    run = Run(None, None, None, night.ledger, night.store, night.layout, night.run_id, {}, None, None)
    return run.book(ReadyTrack(night.ledger.attempts.get(token), Job("job-a", Phase.DONE), **told), outcome)


def failure(token, state):
    return Failure(token, state, Code.DOWNLOAD_FAILED, "It broke off.", is_retryable=True)


@pytest.mark.parametrize("is_published", [False, True])
@pytest.mark.parametrize("state", [State.READY, State.QUARANTINED, None])
def test_the_second_of_two_that_collect_one_track_changes_nothing(night, is_published, state):
    token = night.collect("a")
    (row,) = night.ledger.batches.collected([token])
    if is_published:
        night.publisher.publish(night.run_id, [token])
    before = night.ledger.queries.history("a")
    outcome = row.collected if state is None else failure(token, state)
    assert isinstance(outcome, CollectedTrack) == (state is None)
    assert book(night, token, outcome) is None
    assert night.ledger.queries.history("a") == before


def test_what_nobody_has_collected_is_not_passed_over(night):
    token = night.collect("a")
    (row,) = night.ledger.batches.collected([token])
    night.ledger.tracks.states = lambda *_: {"a": State.PROCESSING}
    with pytest.raises(LedgerConflict):
        book(night, token, failure(token, State.READY))
    assert row.attempt.token == token


def test_a_link_that_is_refused_until_no_fresh_one_is_asked_for_is_told_with_its_track(night):
    token = night.pay("a")
    refused = Relink(token, "127.0.0.1 answers the link to vocals.flac with status 403.")
    book(night, token, refused, is_last=False)
    assert not list(night.ledger.queries.failures(night.run_id))
    book(night, token, refused, is_last=True)
    (told,) = night.ledger.queries.failures(night.run_id)
    assert (told.state, told.code) == (State.READY, Code.DOWNLOAD_FAILED)
    assert told.sentence == refused.sentence
    assert len(night.ledger.recovery.ready("local")) == 1
