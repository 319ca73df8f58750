"""Published tracks that are made again: paid once more for each time that is asked, and never without stems."""

from __future__ import annotations

import json

import pytest

from stemline.budget import Limits
from stemline.errors import LedgerConflict
from stemline.ledger import PlanCounts
from stemline.ledger.queries import PublishedShares
from stemline.records import Code, CollectedTrack, Failure, Job, Phase, State, Submission

MOVED = "/moved/1.mp3"


@pytest.fixture
def night(case):
    """Track 1 is published by a run that has ended; a second run is about to ask for it again."""
    case.published()
    case.ledger.runs.finish(case.run_id, 0, {})
    case.run_id = case.start()
    return case


def plan(case, again: dict[str, int] | None = None, **changes: object) -> PlanCounts:
    return case.ledger.tracks.plan(case.run_id, [case.track(1, **changes)], again=again)


def attempt(case, token: str = "again") -> str:  # noqa: S107 - an attempt's
    """Have the track sent and made once more; give the token."""
    track = case.ledger.tracks.next_planned(case.run_id, 1)[0]
    case.ledger.attempts.reserve(case.run_id, track, token, 10, Limits())
    case.ledger.attempts.mark_sending(token)
    case.ledger.attempts.record_submission(token, Submission(f"job-{token}", 10))
    return token


def collect(case, token: str) -> None:
    job = Job(f"job-{token}", Phase.DONE, credits_charged=10)
    case.ledger.attempts.record_ready(token, job)
    facts = case.stems()
    case.ledger.attempts.record_collected(
        CollectedTrack(token, facts.stems, None, None, None, None, case.clock())
    )


def publish(case, token: str) -> None:
    case.ledger.batches.open(case.run_id, f"b-{token}", [token])
    case.ledger.batches.publish(f"b-{token}")


def states(case) -> dict[str, tuple[str, str]]:
    names = ("token", "state", "code")
    with case.ledger.database.read() as connection:
        rows = connection.exec_driver_sql(f"SELECT {', '.join(names)} FROM attempts").all()
    return {token: (state, code) for token, state, code in rows}


def status(case):
    return case.ledger.tracks.status(case.run_id, ["t1"])["t1"]


def test_a_published_track_that_is_asked_for_again_is_planned_and_says_why(night):
    assert night.ledger.remakes.numbers(night.provider, night.recipe, ["t1"]) == {"t1": 1}

    assert plan(night, {"t1": 1}) == PlanCounts(new=0, known=1, revived=1)

    found = status(night)
    assert (found.state, found.code, found.failures) == (State.PLANNED, Code.OK, 0)
    assert "made again" in found.sentence
    assert states(night) == {"a1": ("published", "ok")}
    assert night.ledger.queries.counts(night.run_id) == {State.PLANNED: 1}


def test_a_published_track_that_nobody_asks_for_stays_as_it_stands(night):
    assert plan(night, {"t2": 1}) == PlanCounts(0, 1, 0)
    assert night.ledger.queries.counts(night.run_id) == {State.PUBLISHED: 1}
    assert night.ledger.queries.history("t1")[-1]["verb"] == "publish"


def test_another_number_than_the_newest_attempt_has_plans_nothing(night):
    for number in (0, 2):
        assert plan(night, {"t1": number}).revived == 0
    assert night.state() == State.PUBLISHED


def test_the_older_attempt_stays_published_until_the_new_one_is(night):
    plan(night, {"t1": 1})
    collect(night, attempt(night))
    assert states(night) == {"a1": ("published", "ok"), "again": ("collected", "ok")}

    publish(night, "again")

    assert states(night) == {"a1": ("expired", "superseded"), "again": ("published", "ok")}
    assert night.state() == State.PUBLISHED
    assert night.ledger.queries.counts(night.run_id) == {State.PUBLISHED: 1}
    assert night.ledger.queries.published_shares(night.run_id) == PublishedShares(1, 0, 0)


def test_it_is_paid_twice_in_sum_and_once_each_time(night):
    plan(night, {"t1": 1})
    collect(night, attempt(night))
    publish(night, "again")

    with night.ledger.database.read() as connection:
        query = "SELECT token, sum(amount) FROM credit_entries WHERE kind = 'charge' GROUP BY token"
        charged = dict(connection.exec_driver_sql(query).tuples().all())
        totals = "SELECT reserved, charged FROM credit_totals WHERE period = 'all'"
        assert tuple(connection.exec_driver_sql(totals).one()) == (0, 20)
    assert charged == {"a1": 10, "again": 10}
    assert night.spent() == (0, 10)


def test_saying_it_twice_never_pays_a_third_time(night):
    plan(night, {"t1": 1})
    plan(night, {"t1": 1})
    collect(night, attempt(night))
    publish(night, "again")

    assert plan(night, {"t1": 1}).revived == 0

    assert night.state() == State.PUBLISHED
    assert night.ledger.remakes.numbers(night.provider, night.recipe, ["t1"]) == {"t1": 2}
    assert plan(night, {"t1": 2}).revived == 1


def test_what_never_was_accepted_is_no_attempt_that_was_made(night):
    plan(night, {"t1": 1})
    track = night.ledger.tracks.next_planned(night.run_id, 1)[0]
    night.ledger.attempts.reserve(night.run_id, track, "refused", 10, Limits())
    night.ledger.attempts.release("refused", Code.OUT_OF_CREDITS, "No credits.", state=State.HELD)
    assert night.ledger.remakes.give_up(night.provider, night.recipe, ["t1"]) == 1
    assert night.state() == State.PUBLISHED

    assert plan(night, {"t1": 1}).revived == 1


@pytest.mark.parametrize(
    ("state", "code", "is_retryable"),
    [
        (State.FAILED, Code.REFUSED, False),
        (State.FAILED, Code.JOB_FAILED, True),
        (State.EXPIRED, Code.OUTPUTS_EXPIRED, False),
    ],
)
def test_a_failure_leaves_the_track_published_as_it_was(night, state, code, is_retryable):
    plan(night, {"t1": 1}, location=MOVED, duration_seconds=20.0, columns={"label": "new"})
    attempt(night)
    failure = Failure("again", state, code, "It broke.", is_retryable=is_retryable)
    night.ledger.attempts.fail(failure, credits_charged=10 if state is State.EXPIRED else 0)
    assert night.state() == state

    assert night.ledger.remakes.end_in_vain(night.run_id) == 1

    found = status(night)
    assert (found.state, found.code) == (State.PUBLISHED, Code.NOT_MADE_AGAIN)
    assert "could not be made again" in found.sentence
    assert found.sentence.endswith("It broke.")
    assert found.location == "/music/1.mp3"
    assert states(night)["a1"] == ("published", "ok")
    assert night.ledger.tracks.written(night.provider, night.recipe, ["t1"])["t1"].columns == "{}"
    assert plan(night, {"t1": 1}).revived == 0
    assert night.ledger.remakes.end_in_vain(night.run_id) == 0


def test_a_failure_is_tried_again_while_attempts_are_left_and_no_longer(night):
    plan(night, {"t1": 1})
    for number in range(3):
        assert night.ledger.tracks.retry_failed(night.run_id) == (number > 0)
        attempt(night, f"try-{number}")
        failed = Failure(f"try-{number}", State.FAILED, Code.JOB_FAILED, "It broke.", is_retryable=True)
        night.ledger.attempts.fail(failed, credits_charged=0)
    assert night.ledger.tracks.retry_failed(night.run_id) == 0

    night.ledger.remakes.end_in_vain(night.run_id)

    assert plan(night, {"t1": 1}).revived == 0
    assert night.state() == State.PUBLISHED


def test_failures_of_long_ago_do_not_count(night):
    with night.ledger.database.write() as connection:
        connection.exec_driver_sql("UPDATE tracks SET failures = 2")
    plan(night, {"t1": 1})
    attempt(night)
    failed = Failure("again", State.FAILED, Code.JOB_FAILED, "It broke.", is_retryable=True)
    night.ledger.attempts.fail(failed, credits_charged=0)
    assert night.ledger.tracks.retry_failed(night.run_id) == 1


def test_a_run_that_does_not_ask_for_it_does_not_send_it(night):
    plan(night, {"t1": 1}, location=MOVED)
    night.ledger.runs.finish(night.run_id, 130, {})
    later = night.run_id = night.start()

    assert plan(night) == PlanCounts(0, 1, 0)

    assert night.ledger.tracks.next_planned(later, 10) == []
    found = night.ledger.tracks.status(later, ["t1"])["t1"]
    assert (found.state, found.code, found.location) == (State.PUBLISHED, Code.NOT_MADE_AGAIN, "/music/1.mp3")
    assert night.ledger.queries.counts(later) == {State.PUBLISHED: 1}


def test_what_a_living_run_is_to_make_again_is_left_to_it(night):
    night.ledger.leases.acquire("key-1", "host:1", 60)
    plan(night, {"t1": 1})
    backfill = night.run_id
    nightly = night.ledger.runs.start("nightly", night.provider, night.recipe, "digest", "key-2")

    assert night.ledger.tracks.plan(nightly, [night.track(1)]) == PlanCounts(0, 1, 0)

    assert night.ledger.tracks.next_planned(nightly, 10) == []
    assert night.ledger.queries.counts(nightly) == {State.PUBLISHED: 1}
    assert [each.track_id for each in night.ledger.tracks.next_planned(backfill, 10)] == ["t1"]


def test_what_is_held_goes_on_when_it_is_asked_for_again(night):
    plan(night, {"t1": 1})
    night.ledger.tracks.hold(night.run_id, Code.BUDGET_DAY, "Too much.")
    night.ledger.runs.finish(night.run_id, 4, {})
    night.clock.advance(days=1)
    night.run_id = night.start()

    plan(night, {"t1": 1})

    assert [each.track_id for each in night.ledger.tracks.next_planned(night.run_id, 10)] == ["t1"]


def test_what_is_under_way_is_not_given_up(night):
    plan(night, {"t1": 1})
    attempt(night)
    assert night.ledger.remakes.give_up(night.provider, night.recipe, ["t1", "t2"]) == 0
    assert night.state() == State.PROCESSING


def test_a_quarantined_second_attempt_can_be_accepted_later(night):
    plan(night, {"t1": 1})
    token = attempt(night)
    night.ledger.attempts.record_ready(token, Job(f"job-{token}", Phase.DONE, credits_charged=10))
    night.ledger.attempts.fail(Failure(token, State.QUARANTINED, Code.TRUNCATED, "It is cut off."))
    night.ledger.remakes.end_in_vain(night.run_id)
    assert night.state() == State.PUBLISHED

    facts = CollectedTrack(token, night.stems().stems, None, None, None, None, night.clock())
    assert night.ledger.quarantine.accept(facts)

    assert states(night) == {"a1": ("published", "ok"), token: ("collected", "ok")}
    assert night.ledger.remakes.among([token]) == {token}
    publish(night, token)
    assert states(night) == {"a1": ("expired", "superseded"), token: ("published", "ok")}


def test_a_superseded_attempt_is_never_accepted(night):
    plan(night, {"t1": 1})
    collect(night, attempt(night))
    publish(night, "again")
    with pytest.raises(LedgerConflict):
        night.ledger.quarantine.accept(night.stems())


def test_what_replaces_older_stems_is_no_leftover_that_is_simply_published(night):
    plan(night, {"t1": 1})
    collect(night, attempt(night))
    key = (night.provider, night.recipe)
    assert night.ledger.batches.collected_unbatched(*key) == []
    assert night.ledger.remakes.waiting(*key, 10) == ([], ["again"])

    night.ledger.batches.open(night.run_id, "b-again", ["again"])

    assert night.ledger.batches.unpublished(*key) == []
    assert night.ledger.remakes.waiting(*key, 10) == (["b-again"], [])
    found = night.ledger.remakes.replaced("b-again")
    assert (found.track_ids, found.batch_ids) == ({"t1"}, {"b1"})


def test_the_audio_of_a_superseded_attempt_is_the_ledgers_until_it_is_removed(night):
    plan(night, {"t1": 1})
    collect(night, attempt(night))
    assert [each.token for page in night.ledger.holdings.replaced() for each in page] == ["a1"]
    publish(night, "again")
    assert [each.token for page in night.ledger.holdings.replaced() for each in page] == ["a1"]
    assert [each.token for page in night.ledger.remakes.superseded() for each in page] == ["a1"]

    night.ledger.remakes.book_removed(["a1", "again"])

    assert list(night.ledger.remakes.superseded()) == []
    assert night.ledger.attempts.get("again").number == 2
    with night.ledger.database.read() as connection:
        (kept,) = connection.exec_driver_sql("SELECT result FROM attempts WHERE token = 'again'").one()
    assert json.loads(kept)["token"] == "again"


def test_a_track_may_not_be_sent_twice_while_it_is_made_again(night):
    plan(night, {"t1": 1})
    track = night.ledger.tracks.next_planned(night.run_id, 1)[0]
    attempt(night)
    with pytest.raises(LedgerConflict):
        night.ledger.attempts.reserve(night.run_id, track, "third", 10, Limits())


def test_the_database_itself_refuses_a_second_attempt_that_replaces_the_same(night):
    plan(night, {"t1": 1})
    attempt(night)
    with (
        pytest.raises(LedgerConflict, match="already has a live attempt"),
        night.ledger.database.write() as connection,
    ):
        connection.exec_driver_sql(
            "INSERT INTO attempts (token, track_id, recipe, provider, number, run_id, state, code, sentence,"
            " credits_reserved, is_disputed, reserved_at, updated_at, replaces)"
            " SELECT 'a3', track_id, recipe, provider, 3, run_id, 'submitting', 'ok', '',"
            " 10, is_disputed, reserved_at, updated_at, 'a1' FROM attempts WHERE token = 'a1'"
        )
