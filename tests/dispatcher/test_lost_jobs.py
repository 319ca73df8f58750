"""A job that the provider says it does not know: asked for again, looked for in its list, and paid for once."""

from __future__ import annotations

import pytest

from stemline.dispatcher.lost_jobs import DENIALS
from stemline.dispatcher.overcharge import Overcharge
from stemline.dispatcher.pilot import Pilot
from stemline.dispatcher.track_queue import PAGE_TRACKS, TrackQueue
from stemline.ledger import LostJob, PilotQuestion
from stemline.records import Code
from stemline.settings import load_facts

FOR_EVER = 1_000


def lose(harness, vendor, *names: str) -> None:
    """Run over tracks whose jobs the vendor shows nowhere; they are there all the same."""
    vendor.denied, vendor.unlisted = dict.fromkeys(["job0", "job1", "job2"], FOR_EVER), True
    run_id = harness.plan(*names)
    assert harness.work(run_id) == {"failed": len(names)}
    assert harness.ledger.queries.codes(run_id) == {Code.JOB_LOST: len(names)}
    vendor.denied, vendor.unlisted = {}, False
    vendor.requests.clear()


def redrive(harness, key_id: str = "key") -> str:
    run_id = harness.ledger.runs.start("night", "local", harness.parameters("").recipe, "digest", key_id)
    assert harness.ledger.redrive_queue.redrive(run_id, [Code.JOB_LOST])
    return run_id


def charged(harness) -> int:
    spending = harness.ledger.credits.spending(harness.ledger.runs.last("night").run_id)
    return spending.month.charged


def test_what_a_later_run_finds_forgotten_has_expired_and_is_not_asked_for_again(harness, vendor):
    run_id = harness.plan("a")
    with harness.running(run_id) as group:
        for _ in group.ready_tracks():
            break  # paid, and the process ends before it is collected
    vendor.jobs.clear()
    run_id = harness.plan("a")
    assert harness.work(run_id) == {"expired": 1}
    assert harness.ledger.queries.codes(run_id) == {Code.OUTPUTS_EXPIRED: 1}
    vendor.requests.clear()
    harness.work(harness.plan("a"))
    assert "GET jobs/job0" not in vendor.requests


def test_one_answer_that_there_is_no_such_job_is_not_believed(harness, vendor):
    vendor.denied = {"job0": 1, "job1": DENIALS - 1}
    assert harness.work(harness.plan("a", "b", "c")) == {"collected": 3}
    assert sorted(vendor.tracks()) == ["a", "b", "c"]


def test_paid_outputs_do_not_expire_for_one_answer_that_there_is_no_such_job(harness, vendor):
    with harness.running(harness.plan("a")) as group:
        for _ in group.ready_tracks():
            break
    vendor.denied = {"job0": 1}
    assert harness.work(harness.plan("a")) == {"collected": 1}


def test_a_job_that_the_list_shows_is_left_to_the_next_run(harness, vendor):
    vendor.denied = {"job0": FOR_EVER}
    run_id = harness.plan("a")
    assert harness.work(run_id) == {"processing": 1}
    assert harness.ledger.queries.codes(run_id) == {Code.JOB_LATE: 1}
    assert sum(request == "GET jobs/job0" for request in vendor.requests) == DENIALS
    vendor.denied = {}
    assert harness.work(harness.plan("a")) == {"collected": 1}
    assert vendor.tracks() == ["a"]


def test_a_submit_answered_with_a_wrong_id_finds_its_job_by_its_token(harness, vendor):
    vendor.id_of = lambda job: "jobX" if job["track"] == "a" else job["id"]
    assert harness.work(harness.plan("a", "b")) == {"collected": 2}
    assert sorted(vendor.tracks()) == ["a", "b"]


def test_a_later_run_asks_once_more_and_collects_what_is_there_for_nothing(harness, vendor):
    lose(harness, vendor, "a", "b")
    assert harness.work(harness.plan("a", "b")) == {"collected": 2}
    assert len(vendor.jobs) == 2
    assert charged(harness) == 20


def test_a_later_run_asks_for_what_stays_lost_once(harness, vendor):
    lose(harness, vendor, "a")
    vendor.denied = {"job0": FOR_EVER}
    assert harness.work(harness.plan("a")) == {"failed": 1}
    assert [request for request in vendor.requests if request != "GET balance"] == ["GET jobs/job0"]


@pytest.mark.parametrize("booked", ["disputed", "charged", "released"])
def test_a_redrive_takes_up_a_lost_job_that_is_there_and_charges_it_once(
    harness, vendor, monkeypatch, booked
):
    if booked != "charged":  # what the balance proves at the end of a run is said below
        monkeypatch.setattr(harness.ledger.credits, "charge_disputed", lambda _: 0)
    lose(harness, vendor, "a")
    lost_in = harness.ledger.runs.last("night").run_id
    if booked == "released":
        assert harness.ledger.credits.release_disputed(lost_in) == 10
    assert harness.work(redrive(harness)) == {"collected": 1}
    assert len(vendor.jobs) == 1
    assert charged(harness) == 10
    spending = harness.ledger.credits.spending(lost_in)
    assert spending.run.reserved == 0


def test_a_redrive_looks_in_the_list_before_it_pays(harness, vendor):
    lose(harness, vendor, "a")
    vendor.denied = {"job0": FOR_EVER}
    assert harness.work(redrive(harness)) == {"processing": 1}
    assert len(vendor.jobs) == 1


def test_a_redrive_pays_again_for_what_is_nowhere(harness, vendor):
    lose(harness, vendor, "a")
    vendor.denied, vendor.unlisted = {"job0": FOR_EVER}, True
    vendor.on_post = lambda: setattr(vendor, "unlisted", False)
    assert harness.work(redrive(harness)) == {"collected": 1}
    assert vendor.tracks() == ["a", "a"]


def test_a_redrive_that_cannot_ask_for_a_lost_job_does_not_pay(harness, vendor):
    lose(harness, vendor, "a")
    vendor.broken = {"jobs/job0": FOR_EVER}
    run_id = redrive(harness)
    assert harness.work(run_id) == {"failed": 1}
    assert harness.ledger.queries.codes(run_id) == {Code.JOB_LOST: 1}
    assert len(vendor.jobs) == 1


def test_the_key_that_made_a_lost_job_asks_for_it(harness, vendor):
    vendor.own_credits = {"sk_first": 100, "sk_second": 100}
    vendor.denied, vendor.unlisted = {"job0": FOR_EVER}, True
    assert harness.work(harness.plan("a", key_id="first"), key_ids=("first",)) == {"failed": 1}
    vendor.denied, vendor.unlisted = {}, False
    assert harness.work(redrive(harness, "second"), key_ids=("second", "first")) == {"collected": 1}
    assert len(vendor.jobs) == 1


def test_what_another_key_must_ask_for_or_has_in_hand_leaves_nothing_for_a_key(harness):
    """A key that was told of more behind the pilot looked for it again and again, without a pause."""
    run_id = harness.plan("a", "b", "c")
    question = PilotQuestion("local", harness.parameters("").recipe, 3, ("first", "second"), run_id, 3, 600.0)
    lost = {"a": LostJob(None, "first"), "b": LostJob(None, "first")}
    pilot = Pilot(harness.ledger, question)
    queue = TrackQueue(harness.ledger, run_id, ("first", "second"), pilot, lost=lost)
    assert queue.may_have_more("second")
    assert queue.next_track("second").track_id == "c"
    assert not queue.may_have_more("second")
    assert queue.may_have_more("first")
    assert [queue.next_track("first").track_id for _ in "ab"] == ["a", "b"]
    assert not queue.may_have_more("first")


def test_a_key_finds_its_own_behind_a_page_of_lost_jobs_of_another(harness):
    names = [f"t{number:03d}" for number in range(PAGE_TRACKS + 3)]
    run_id = harness.plan(*names)
    lost = {name: LostJob(None, "first") for name in names[:-1]}
    queue = TrackQueue(harness.ledger, run_id, ("first", "second"), lost=lost)
    assert queue.next_track("second").track_id == names[-1]
    assert queue.next_track("second") is None
    assert queue.next_track("first").track_id == names[0]


@pytest.fixture
def second_dialect(harness, vendor):
    """The same harness at a vendor that has no list."""
    facts = load_facts("aistemsplitter")
    quick = {"sweep_seconds": 0.02, "latency_seconds": 0.0, "speed": 0.0, "grace_seconds": 0.6}
    harness.facts = facts.model_copy(update=quick)
    return vendor


def test_a_vendor_without_a_list_is_asked_again_before_a_job_is_lost(harness, second_dialect):
    second_dialect.denied = {"job0": DENIALS - 1}
    assert harness.work(harness.plan("a")) == {"collected": 1}
    assert len(second_dialect.jobs) == 1


@pytest.mark.parametrize("is_redrive", [False, True])
def test_a_vendor_without_a_list_gives_a_lost_job_to_a_later_run(harness, second_dialect, is_redrive):
    second_dialect.denied = {"job0": DENIALS}
    assert harness.work(harness.plan("a")) == {"failed": 1}
    assert harness.work(redrive(harness) if is_redrive else harness.plan("a")) == {"collected": 1}
    assert len(second_dialect.jobs) == 1
    assert charged(harness) == 10


def test_charges_far_above_what_the_audio_is_worth_are_counted(harness, vendor):
    vendor.shown_charge = 60
    harness.work(harness.plan("a", "b"))
    assert harness.group.overcharge == Overcharge(2, 120, 20)
    vendor.shown_charge = 15
    harness.work(harness.plan("c"))
    assert harness.group.overcharge == Overcharge()
