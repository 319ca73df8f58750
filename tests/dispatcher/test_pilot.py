"""The pilot: the first tracks of a provider and recipe come back verified before others are paid for."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.postgresql import new_schema

from stemline.errors import PilotFailed
from stemline.ledger import CollectAgain, PilotQuestion, open_ledger
from stemline.records import Code, CollectedTrack, Failure, State, StemFile, Track

NAMES = tuple("abcdefgh")
SIZE = 3
STEM = StemFile("vocals", "v.flac", "flac", 44_100, 2, 1, 1.0, 1, "ab", None, None, "ok")
EVER = datetime.min.replace(tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request, harness):
    """The same over either kind of database."""
    if request.param == "sqlite":
        yield harness
        return
    with open_ledger(new_schema(request.getfixturevalue("postgresql"))) as ledger:
        yield replace(harness, ledger=ledger)


def collected(token, now):
    return CollectedTrack(token, (STEM,), 120.0, "C major", "provider", "provider", now)


def quarantine(harness, ready):
    reason = f"Every stem of {ready.attempt.track.track_id} is silent."
    harness.ledger.attempts.fail(Failure(ready.attempt.token, State.QUARANTINED, Code.ALL_SILENT, reason))


def keep(harness, ready):
    harness.ledger.attempts.record_collected(collected(ready.attempt.token, harness.ledger.clock()))


def other_format(harness, ready):
    found = collected(ready.attempt.token, harness.ledger.clock())
    stems = tuple(replace(stem, format="mp3", verification="format") for stem in found.stems)
    harness.ledger.attempts.record_collected(replace(found, stems=stems))


def never_comes(harness, ready):
    harness.ledger.attempts.fail(
        Failure(ready.attempt.token, State.READY, Code.DOWNLOAD_FAILED, "A web page came.", is_retryable=True)
    )


def work(harness, run_id, *book, **changes):
    """Run to the end; what comes is booked by the first of `book`, the next, and by the last ever after."""
    ways = list(book)
    with harness.running(run_id, **{"pilot": SIZE, **changes}) as group:
        for ready in group.ready_tracks():
            harness.reads[ready.attempt.track.track_id] += 1
            (ways.pop(0) if len(ways) > 1 else ways[0])(harness, ready)
            group.acknowledge([ready.attempt.token], [])
        group.settle()
        return group


def counts(harness, run_id):
    return {str(state): count for state, count in harness.ledger.queries.counts(run_id).items()}


def standing(harness, run_id="", **changes):
    question = PilotQuestion("local", harness.parameters(run_id).recipe, SIZE, ("key",), run_id, **changes)
    return harness.ledger.pilots.standing(question)


def test_only_the_first_are_sent_until_they_have_come_back_verified(either):
    run_id, seen = either.plan(*NAMES), []

    def look(either, ready):
        seen.append(len(either.vendor.jobs))
        keep(either, ready)

    group = work(either, run_id, look)
    assert group.reason is None
    assert counts(either, run_id) == {"collected": len(NAMES)}
    assert max(seen[:SIZE]) == SIZE
    assert standing(either).is_passed
    sent = either.vendor.tracks()
    assert (sorted(sent[:SIZE]), sorted(sent)) == (list(NAMES[:SIZE]), list(NAMES))


@pytest.mark.parametrize("bad", [quarantine, other_format, never_comes])
def test_a_bad_provider_costs_as_many_tracks_and_is_said_to_be_what_it_is(harness, bad):
    run_id = harness.plan(*NAMES)
    group = work(harness, run_id, bad)
    assert isinstance(group.reason, PilotFailed)
    assert group.reason.exit_code == 3
    assert len(harness.vendor.jobs) == SIZE
    said = {
        "quarantine": "{0}: Every stem of {0} is silent.",
        "other_format": "{0}: Its stems are mp3 and not flac.",
    }
    sentence = said.get(bad.__name__, "{0}: A web page came.")
    assert any(sentence.format(name) in group.reason.message for name in NAMES[:SIZE])
    assert harness.ledger.queries.codes(run_id)[Code.PILOT] == len(NAMES) - SIZE
    assert counts(harness, run_id)["held"] == len(NAMES) - SIZE


@pytest.mark.long
def test_no_later_run_spends_on_others_until_a_person_decides(either):
    """Night after night: what is bad is collected again for nothing, and stays what it is."""
    run_id = either.plan(*NAMES)
    work(either, run_id, quarantine)
    for _ in range(2):
        run_id = either.plan(*NAMES)
        assert either.ledger.quarantine.collect_again(CollectAgain(run_id, EVER, ("key",))) == SIZE
        group = work(either, run_id, quarantine)
        assert "--accept" in group.reason.fix
        assert "provider.pilot=0" in group.reason.fix
        assert counts(either, run_id) == {"quarantined": SIZE, "held": len(NAMES) - SIZE}
    assert len(either.vendor.jobs) == SIZE


def test_even_a_day_later_what_is_being_collected_again_leaves_no_room_for_others(harness):
    work(harness, harness.plan(*NAMES), quarantine)
    run_id = harness.plan(*NAMES)
    harness.ledger.quarantine.collect_again(CollectAgain(run_id, EVER, ("key",)))
    found = standing(harness, run_id, job_timeout_seconds=0.0)
    assert (found.under_way, found.room, len(found.uncollected)) == (SIZE, 0, SIZE)


def test_a_person_who_accepts_them_ends_it(harness):
    work(harness, harness.plan(*NAMES), quarantine)
    for ready in harness.ledger.recovery.ready("local"):
        keep(harness, ready)
    for attempt in [each for name in "abc" for each in harness.ledger.attempts.of_track("local", name)]:
        harness.ledger.quarantine.accept(collected(attempt.token, harness.ledger.clock()))
    group = work(harness, harness.plan(*NAMES), keep)
    assert group.reason is None
    assert len(harness.vendor.jobs) == len(NAMES)


def test_less_than_half_bad_is_no_reason_to_stop(harness):
    run_id = harness.plan(*NAMES)
    group = work(harness, run_id, quarantine, keep)
    assert group.reason is None
    assert counts(harness, run_id) == {"collected": len(NAMES) - 1, "quarantined": 1}


def test_what_the_provider_refuses_neither_counts_nor_stands_in_the_way(harness):
    harness.vendor.submits = ["422"] * 4
    run_id = harness.plan(*NAMES)
    group = work(harness, run_id, keep)
    assert group.reason is None
    assert counts(harness, run_id) == {"collected": 4, "failed": 4}
    assert not standing(harness).bad


def test_a_job_that_fails_is_tried_again_as_part_of_the_pilot(harness):
    harness.vendor.endings = {"a": ["FAILED"]}
    run_id = harness.plan(*NAMES)
    assert work(harness, run_id, keep).reason is None
    assert harness.vendor.tracks()[:4].count("a") == 2
    assert counts(harness, run_id) == {"collected": len(NAMES)}


def test_a_failure_that_no_run_is_about_any_more_stands_in_nobodys_way(harness):
    harness.vendor.endings = {name: ["FAILED"] * 2 for name in "abc"}
    work(harness, harness.plan("a", "b", "c"), keep, max_attempts=1)
    assert len(standing(harness, max_attempts=1).bad) == SIZE
    found = standing(harness, harness.plan("d"), max_attempts=9)
    assert (found.bad, found.room) == ((), SIZE)


def test_a_stuck_job_of_the_pilot_makes_room_for_another(harness):
    """It counts as bad as long as it is late: were all of them stuck, nothing more would be sent."""
    harness.vendor.endings = {"a": ["PROCESSING"] * 99}
    run_id = harness.plan(*NAMES)
    group = work(harness, run_id, keep, job_timeout_seconds=0.3)
    assert group.reason is None
    assert counts(harness, run_id) == {"collected": len(NAMES) - 1, "processing": 1}


def test_a_provider_whose_jobs_are_all_stuck_gets_no_more_than_the_pilot(harness):
    harness.vendor.endings = {name: ["PROCESSING"] * 99 for name in NAMES}
    for _ in range(2):
        group = work(harness, harness.plan(*NAMES), keep, job_timeout_seconds=0.3)
        assert "is not done after" in group.reason.message
    assert len(harness.vendor.jobs) == SIZE


def test_a_provider_whose_answers_cannot_be_read_gets_no_more_than_the_pilot(harness):
    """It may have charged for each of them: they are unknown, which counts as bad."""
    harness.vendor.submits = ["garbage"] * 99
    group = work(harness, harness.plan(*NAMES), keep)
    assert isinstance(group.reason, PilotFailed)
    assert harness.vendor.requests.count("POST jobs") <= SIZE


def test_submits_without_an_answer_may_be_paid_and_count_as_bad(harness):
    run_id = harness.plan(*NAMES)
    for name in "ab":
        track = Track(name, f"http://music.test/{name}.mp3", 0, duration_seconds=10.0)
        harness.ledger.attempts.reserve(
            run_id, track, f"t{name}", 10, harness.parameters(run_id).read_limits()
        )
        harness.ledger.attempts.mark_sending(f"t{name}")
        harness.ledger.attempts.mark_unknown(f"t{name}", "The submit got no answer.")
    assert standing(harness).is_failed


def test_tracks_that_were_published_before_need_no_pilot(harness):
    """However they came into the ledger."""
    work(harness, harness.plan("x", "y", "z"), keep, pilot=0)
    run_id, seen = harness.plan(*NAMES), []

    def look(harness, ready):
        seen.append(len(harness.vendor.jobs))
        keep(harness, ready)

    work(harness, run_id, look)
    assert min(seen) > 0
    assert len(harness.vendor.jobs) == len(NAMES) + 3


def test_a_run_with_nothing_to_send_does_not_fail_on_an_old_pilot(harness):
    work(harness, harness.plan(*NAMES), quarantine)
    run_id = harness.ledger.runs.start("night", "local", harness.parameters("").recipe, "digest", "key")
    assert work(harness, run_id, keep).reason is None


@pytest.mark.long
def test_two_keys_of_one_run_share_a_pilot(either):
    run_id = either.plan(*NAMES)
    group = work(either, run_id, quarantine, key_ids=("key", "key2"))
    assert isinstance(group.reason, PilotFailed)
    assert len(either.vendor.jobs) == SIZE


def test_a_key_that_ends_without_submitting_keeps_the_other_one_waiting_for_nothing(harness):
    """It had nothing to do from its start, while the other one has a job of the pilot that does not come."""
    harness.vendor.endings = {"a": ["PROCESSING"] * 99}
    work(harness, harness.plan("a"), keep, job_timeout_seconds=0.1)
    run_id = harness.plan("a")
    group = work(harness, run_id, keep, key_ids=("key", "key2"), job_timeout_seconds=0.3)
    assert group.reason is None
    assert counts(harness, run_id) == {"processing": 1}


def test_a_key_that_waits_for_the_pilot_is_woken_by_what_comes_of_it(harness, monkeypatch):
    """Were it to look by itself alone, it would do so after the test is given up."""
    monkeypatch.setattr("stemline.dispatcher.submitter.PILOT_SECONDS", 100.0)
    harness.vendor.endings = {"a": ["FAILED"]}
    group = work(harness, harness.plan(*NAMES), keep, key_ids=("key", "key2", "key3", "key4"))
    assert group.reason is None
    assert sorted(set(harness.vendor.tracks())) == list(NAMES)


@pytest.mark.parametrize("book", [quarantine, keep])
@pytest.mark.long
def test_two_runs_with_a_key_each_share_a_pilot(either, vendor, book):
    """Both begin at once, with nothing known of the provider: no submit may slip past the other's."""
    begin, groups = threading.Barrier(2), []
    runs = [either.plan(*NAMES, key_id=key_id) for key_id in ("key", "key2")]

    def one(run_id, key_id):
        mine = replace(either, reads=Counter())
        begin.wait(10)
        groups.append(work(mine, run_id, book, key_ids=(key_id,)))

    threads = [threading.Thread(target=one, args=pair) for pair in zip(runs, ("key", "key2"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(groups) == 2
    if book is quarantine:
        assert len(vendor.jobs) == SIZE
        assert all(isinstance(group.reason, PilotFailed) for group in groups)
    else:
        assert sorted(vendor.tracks()) == list(NAMES)
        assert [group.reason for group in groups] == [None, None]


@pytest.mark.long
def test_a_run_that_was_cut_off_goes_on_with_its_pilot(either):
    """What was on its way then takes its room until it is known what came of it."""
    run_id = either.plan(*NAMES)
    with either.running(run_id, pilot=SIZE) as group:
        for _, _ in zip(range(SIZE), group.ready_tracks(), strict=False):
            pass  # the process ends here: the three are paid, and nobody has collected them
    assert len(either.vendor.jobs) == SIZE
    group = work(either, either.plan(*NAMES), quarantine)
    assert isinstance(group.reason, PilotFailed)
    assert len(either.vendor.jobs) == SIZE
