"""What a redrive takes, foretold and done: the same tracks both times."""

from __future__ import annotations

import pytest

from stemline.records import Code, Failure, State


@pytest.fixture
def broken(case):
    """Tracks that failed (1 and 2), were given up (3) and expired (4), and one that is published (5)."""
    for number in (1, 2):
        case.processing(number)
        case.ledger.fail(Failure(f"a{number}", State.FAILED, Code.JOB_FAILED, "It broke."))
    case.sent(3)
    case.ledger.mark_unknown("a3", "Nobody knows.")
    case.ledger.fail(Failure("a3", State.FAILED, Code.SUBMIT_UNANSWERED, "Given up."))
    case.ready(4)
    case.ledger.fail(Failure("a4", State.EXPIRED, Code.OUTPUTS_EXPIRED, "Gone."))
    case.published(5)
    return case


def foretell(case, codes=None, limit=None):
    found = case.ledger.redrivable(case.provider, case.recipe, codes, limit=limit)
    return {group.code: (group.tracks, group.credits, group.is_paid_again) for group in found}


@pytest.mark.parametrize(
    ("codes", "limit", "expected", "moved"),
    [
        (None, None, {"job_failed": (2, 20, False)}, ["t1", "t2"]),
        (None, 1, {"job_failed": (1, 10, False)}, ["t1"]),
        ([Code.OUTPUTS_EXPIRED], None, {"outputs_expired": (1, 10, True)}, ["t4"]),
        ([Code.SUBMIT_UNANSWERED], None, {"submit_unanswered": (1, 10, True)}, ["t3"]),
        ([Code.JOB_FAILED, Code.OUTPUTS_EXPIRED], 2, {"job_failed": (2, 20, False)}, ["t1", "t2"]),
        ([Code.TOO_LONG], None, {}, []),
    ],
)
def test_what_is_foretold_is_what_is_done(broken, codes, limit, expected, moved):
    assert foretell(broken, codes, limit) == expected
    run = broken.start()
    assert broken.ledger.redrive(run, codes, limit=limit) == len(moved)
    assert [status.track_id for status in broken.ledger.track_list(run, State.PLANNED)] == moved


def test_a_track_of_unknown_length_is_counted_apart(case):
    case.ledger.plan(case.run_id, [case.track(1, duration_seconds=None)])
    case.ledger.fail_track(case.run_id, "t1", Code.SOURCE_UNREACHABLE, "Not there.")
    (group,) = case.ledger.redrivable(case.provider, case.recipe)
    assert (group.tracks, group.credits, group.unmeasured) == (1, 0, 1)


def test_the_key_of_an_attempt_is_known(case):
    case.sent(1)
    assert case.ledger.key_of("a1") == "key-1"
    assert case.ledger.key_of("nothing") is None
