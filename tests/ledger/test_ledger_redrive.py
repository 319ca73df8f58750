"""What a redrive takes, previewed and done: the same tracks both times."""

from __future__ import annotations

import pytest

from stemline.budget import Limits
from stemline.records import Code, Failure, State


@pytest.fixture
def broken(case):
    """Tracks that failed (1 and 2), were given up (3), expired (4) and got lost (6), and one that is published (5)."""
    for number in (1, 2):
        case.processing(number)
        case.ledger.attempts.fail(Failure(f"a{number}", State.FAILED, Code.JOB_FAILED, "It broke."))
    case.sent(3)
    case.ledger.attempts.mark_unknown("a3", "Nobody knows.")
    case.ledger.attempts.fail(Failure("a3", State.FAILED, Code.SUBMIT_UNANSWERED, "Given up."))
    case.ready(4)
    case.ledger.attempts.fail(Failure("a4", State.EXPIRED, Code.OUTPUTS_EXPIRED, "Gone."))
    case.published(5)
    case.processing(6)
    case.ledger.attempts.fail(Failure("a6", State.FAILED, Code.JOB_LOST, "The provider does not know it."))
    return case


def preview(case, codes=None, limit=None):
    found = case.ledger.redrive_queue.redrivable(case.provider, case.recipe, codes, limit=limit)
    return {group.code: (group.tracks, group.credits, group.is_paid_again) for group in found}


@pytest.mark.parametrize(
    ("codes", "limit", "expected", "moved"),
    [
        (None, None, {"job_failed": (2, 20, False)}, ["t1", "t2"]),
        (None, 1, {"job_failed": (1, 10, False)}, ["t1"]),
        ([Code.OUTPUTS_EXPIRED], None, {"outputs_expired": (1, 10, True)}, ["t4"]),
        ([Code.SUBMIT_UNANSWERED], None, {"submit_unanswered": (1, 10, True)}, ["t3"]),
        ([Code.JOB_LOST], None, {"job_lost": (1, 10, True)}, ["t6"]),
        ([Code.JOB_FAILED, Code.OUTPUTS_EXPIRED], 2, {"job_failed": (2, 20, False)}, ["t1", "t2"]),
        ([Code.TOO_LONG], None, {}, []),
    ],
)
def test_a_preview_shows_what_a_redrive_does(broken, codes, limit, expected, moved):
    assert preview(broken, codes, limit) == expected
    run = broken.start()
    assert broken.ledger.redrive_queue.redrive(run, codes, limit=limit) == len(moved)
    assert [status.track_id for status in broken.ledger.queries.track_list(run, State.PLANNED)] == moved


def test_a_track_of_unknown_length_is_counted_apart(case):
    case.ledger.tracks.plan(case.run_id, [case.track(1, duration_seconds=None)])
    case.ledger.attempts.reserve(case.run_id, case.track(1, duration_seconds=None), "a1", 10, Limits())
    case.ledger.attempts.release("a1", Code.SOURCE_UNREACHABLE, "Not there.", state=State.FAILED)
    (group,) = case.ledger.redrive_queue.redrivable(case.provider, case.recipe)
    assert (group.tracks, group.credits, group.unmeasured) == (1, 0, 1)


def test_the_key_of_an_attempt_is_known(case):
    case.sent(1)
    assert case.ledger.attempts.key_of("a1") == "key-1"
    assert case.ledger.attempts.key_of("nothing") is None
