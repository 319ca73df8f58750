"""The durable store: what a client was told is still true after any crash."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from local_service import Clock

from stemline.errors import UsageError
from stemline_local import ApiKey
from stemline_local.credits import Accounts, account_id
from stemline_local.database import Database
from stemline_local.fault import Faults
from stemline_local.job import Job, Order, Outcome, Page, Repeat, Status, new_id
from stemline_local.jobs import MAX_CRASHES, Jobs
from stemline_local.pool import Plan, Pool
from stemline_local.refusal import Reason, Refusal
from stemline_local.storage import Storage

ACCOUNT = account_id("sk_live_first")
RETENTION = 1_000.0


def order(seconds: int = 10, account: str = ACCOUNT) -> Order:
    return Order(
        new_id(), account, "song.mp3", seconds, 99, "sources/x/input.mp3", "four", "best", "mp3", seconds
    )


class Store:
    """The service's state in a folder, with one account of 100 credits and one of 50."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.folder = folder
        self.open()

    def open(self) -> None:
        self.database = Database(self.folder / "service.db")
        keys = (ApiKey("sk_live_first", 100), ApiKey("sk_live_second", 50))
        self.accounts = Accounts(self.database, keys, self.clock())
        self.jobs = Jobs(self.database, self.clock, RETENTION)

    def reopen(self) -> None:
        self.database.close()
        self.open()

    def balance(self, key: str = "sk_live_first") -> int:
        return self.accounts.balance(self.accounts.find(key)).seconds

    def started(self, seconds: int = 10) -> Job:
        self.jobs.accept(order(seconds))
        return self.jobs.claim()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


OUTCOME = Outcome({"vocals": "outputs/x/vocals.mp3"}, 120.0, "Gm")


def test_accepting_reserves_the_credits(store: Store) -> None:
    job = store.jobs.accept(order(30))

    assert (job.status, job.credits_required, job.credits_charged) == (Status.PENDING, 30, 0)
    assert store.balance() == 70


def test_a_job_past_the_balance_is_refused_and_leaves_no_trace(store: Store) -> None:
    store.jobs.accept(order(100))

    with pytest.raises(Refusal) as refusal:
        store.jobs.accept(order(1))

    assert refusal.value.reason is Reason.INSUFFICIENT_CREDITS
    assert refusal.value.facts == {"required_seconds": 1}
    assert store.balance() == 0
    assert store.jobs.page(ACCOUNT, Page())[1] == 1


def test_clients_that_submit_at_once_cannot_spend_the_same_credits(store: Store) -> None:
    def submit(_: int) -> bool:
        try:
            store.jobs.accept(order(30))
        except Refusal:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(submit, range(16)))

    assert sum(accepted) == 3
    assert store.balance() == 10


def test_a_finished_job_is_charged_what_was_reserved(store: Store) -> None:
    job = store.started(30)
    store.jobs.complete(job.id, OUTCOME)

    done = store.jobs.find(ACCOUNT, job.id)

    assert (done.status, done.credits_charged, done.outputs) == (Status.COMPLETED, 30, OUTCOME.outputs)
    assert (done.bpm, done.key, done.expires_at) == (120.0, "Gm", store.clock.now + RETENTION)
    assert store.balance() == 70


def test_a_failed_job_gives_its_credits_back_once(store: Store) -> None:
    job = store.started(30)
    store.jobs.fail(job.id, "No sound.")
    store.jobs.fail(job.id, "No sound.")

    failed = store.jobs.find(ACCOUNT, job.id)

    assert (failed.status, failed.error, failed.credits_charged) == (Status.FAILED, "No sound.", 0)
    assert store.balance() == 100


def test_a_finished_job_cannot_fail_any_more(store: Store) -> None:
    job = store.started(30)
    store.jobs.complete(job.id, OUTCOME)
    store.jobs.fail(job.id, "too late")
    assert not store.jobs.put_back(job.id)

    assert store.jobs.find(ACCOUNT, job.id).status is Status.COMPLETED
    assert store.balance() == 70


def test_jobs_are_started_in_order_and_once(store: Store) -> None:
    ids = [store.jobs.accept(order(1)).id for _ in range(3)]

    assert [store.jobs.claim().id for _ in range(3)] == ids
    assert store.jobs.claim() is None


def test_what_was_running_is_pending_after_a_restart_and_paid_once(store: Store) -> None:
    running, pending = store.started(30), store.jobs.accept(order(20))
    store.reopen()

    assert store.jobs.resume() == 2
    assert store.balance() == 50
    assert [store.jobs.claim().id for _ in range(2)] == [running.id, pending.id]


def test_a_job_that_kills_its_worker_twice_fails(store: Store) -> None:
    job = store.started(30)
    verdicts = []
    for _ in range(MAX_CRASHES):
        verdicts.append(store.jobs.put_back(job.id))
        store.jobs.claim()

    assert verdicts == [True, False]
    assert store.jobs.find(ACCOUNT, job.id).status is Status.FAILED
    assert store.balance() == 100


def test_a_restart_is_not_held_against_a_job(store: Store) -> None:
    job = store.started()
    for _ in range(5):
        store.reopen()
        store.jobs.resume()
        assert store.jobs.claim().id == job.id


def test_outputs_expire_and_are_handed_out_for_deletion_once(store: Store) -> None:
    job = store.started()
    store.jobs.complete(job.id, OUTCOME)
    store.clock.now += RETENTION - 1
    assert store.jobs.take_expired() == []
    store.clock.now += 1

    assert store.jobs.find(ACCOUNT, job.id).status is Status.EXPIRED
    assert store.jobs.take_expired() == [job.id]
    assert store.jobs.take_expired() == []
    assert store.jobs.find(ACCOUNT, job.id).credits_charged == 10


def test_a_page_is_newest_first_and_of_one_status(store: Store) -> None:
    ids = [store.jobs.accept(order(1)).id for _ in range(5)]
    store.jobs.fail(store.jobs.claim().id, "No sound.")

    everything, total = store.jobs.page(ACCOUNT, Page(2, 1))
    failed, failed_total = store.jobs.page(ACCOUNT, Page(status=Status.FAILED))

    assert ([job.id for job in everything], total) == ([ids[3], ids[2]], 5)
    assert ([job.id for job in failed], failed_total) == ([ids[0]], 1)


def test_another_accounts_job_is_unknown(store: Store) -> None:
    job = store.jobs.accept(order())

    with pytest.raises(Refusal) as refusal:
        store.jobs.find(account_id("sk_live_second"), job.id)

    assert refusal.value.reason is Reason.UNKNOWN_JOB


def test_the_pace_is_learned(store: Store) -> None:
    assert store.jobs.pace() is None
    job = store.started(40)
    assert store.jobs.waiting_seconds() == 40
    store.clock.now += 10
    store.jobs.complete(job.id, OUTCOME)

    assert store.jobs.pace() == pytest.approx(0.25)
    assert store.jobs.waiting_seconds() == 0


def test_the_estimate_counts_all_that_waits_and_all_that_work(store: Store) -> None:
    pool = Pool(store.jobs, Storage(store.folder / "files"), Plan(2, 2, "auto"), store.clock, Faults(), bool)
    store.jobs.accept(order(60))
    running = store.jobs.claim()
    store.jobs.accept(order(20))
    assert pool.estimated_seconds() == 1 + 4  # 80 s of audio, two workers, a tenth of real time
    store.clock.now += 60
    store.jobs.complete(running.id, OUTCOME)

    assert pool.estimated_seconds() == 1 + 10  # 20 s of audio, in real time as it turned out


def test_a_key_that_is_no_longer_given_is_revoked_and_keeps_its_balance(store: Store) -> None:
    store.jobs.accept(order(30))
    later = Accounts(store.database, (ApiKey("sk_live_second", 999),), store.clock())

    assert later.find("sk_live_first").is_revoked
    assert not later.find("sk_live_second").is_revoked
    assert later.balance(later.find("sk_live_second")).seconds == 50
    assert later.balance(later.find("sk_live_first")).seconds == 70
    assert later.find("sk_live_third") is None


def test_a_key_is_not_kept_in_the_database(store: Store) -> None:
    store.reopen()
    store.database.close()

    assert b"sk_live_first" not in (store.folder / "service.db").read_bytes()


def test_a_second_service_on_the_same_folder_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="in use by another service"):
        Database(store.folder / "service.db")


class Life(RuleBasedStateMachine):
    """Whatever happens in whatever order, no credit is lost and none is made."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.store = Store(Path(self.folder.name))
        self.running: list[str] = []
        self.repeats: dict[str, tuple[str, int]] = {}

    @rule(key=st.sampled_from("abc"), seconds=st.integers(1, 3))
    def accept_once(self, key: str, seconds: int) -> None:
        """The same key and body give one job for ever; the same key and another body give none."""
        known = self.repeats.get(key)
        try:
            job = self.store.jobs.accept(order(seconds), Repeat(key, str(seconds)))
        except Refusal as refusal:
            reason = refusal.reason
        else:
            assert (job.id, seconds) == self.repeats.setdefault(key, (job.id, seconds))
            return
        is_other = known is not None and known[1] != seconds
        assert reason is (Reason.REPEATED_OTHERWISE if is_other else Reason.INSUFFICIENT_CREDITS)

    @rule(seconds=st.integers(1, 40))
    def accept(self, seconds: int) -> None:
        try:
            self.store.jobs.accept(order(seconds))
        except Refusal:
            assert self.store.balance() < seconds

    @rule()
    def claim(self) -> None:
        job = self.store.jobs.claim()
        if job:
            self.running.append(job.id)

    @rule(data=st.data(), action=st.sampled_from(["complete", "fail", "put_back"]))
    def end(self, data: st.DataObject, action: str) -> None:
        if not self.running:
            return
        job_id = data.draw(st.sampled_from(self.running))
        self.running.remove(job_id)
        if action == "complete":
            self.store.jobs.complete(job_id, OUTCOME)
        elif action == "fail":
            self.store.jobs.fail(job_id, "No sound.")
        else:
            self.store.jobs.put_back(job_id)

    @rule()
    def restart(self) -> None:
        self.store.reopen()
        self.store.jobs.resume()
        self.running.clear()

    @rule()
    def two_weeks_pass(self) -> None:
        self.store.clock.now += RETENTION
        self.store.jobs.take_expired()

    @invariant()
    def no_credit_is_lost_or_made(self) -> None:
        jobs, _ = self.store.jobs.page(ACCOUNT, Page(1_000))
        spent = sum(job.credits_required for job in jobs if job.status is not Status.FAILED)
        assert self.store.balance() == 100 - spent

    @invariant()
    def only_a_finished_job_is_charged(self) -> None:
        jobs, _ = self.store.jobs.page(ACCOUNT, Page(1_000))
        finished = (Status.COMPLETED, Status.EXPIRED)
        assert all(job.credits_charged == job.credits_required * (job.status in finished) for job in jobs)

    def teardown(self) -> None:
        self.store.database.close()
        self.folder.cleanup()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=10, stateful_step_count=25, deadline=None)
