"""The durable store: what a client was told is still true after any crash."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from service_state import ACCOUNT, OUTCOME, RETENTION, ServiceState, order

from stemline_local import ApiKey
from stemline_local.faults import ActiveFaults
from stemline_local.files.file_storage import FileStorage
from stemline_local.jobs.accounts import Accounts, account_id
from stemline_local.jobs.job import (
    JobPage,
    JobStatus,
)
from stemline_local.jobs.job_store import MAX_CRASHES
from stemline_local.refusal import Refusal, RefusalReason
from stemline_local.workers.engine_pool import EnginePool, PoolSettings


def test_accepting_reserves_the_credits(store: ServiceState) -> None:
    job = store.jobs.accept(order(30))

    assert (job.status, job.credits_required, job.credits_charged) == (JobStatus.PENDING, 30, 0)
    assert store.balance() == 70


def test_a_job_past_the_balance_is_refused_and_leaves_no_trace(store: ServiceState) -> None:
    store.jobs.accept(order(100))

    with pytest.raises(Refusal) as refusal:
        store.jobs.accept(order(1))

    assert refusal.value.reason is RefusalReason.INSUFFICIENT_CREDITS
    assert refusal.value.facts == {"required_seconds": 1}
    assert store.balance() == 0
    assert store.jobs.page(ACCOUNT, JobPage())[1] == 1


def test_clients_that_submit_at_once_cannot_spend_the_same_credits(store: ServiceState) -> None:
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


def test_a_finished_job_is_charged_what_was_reserved(store: ServiceState) -> None:
    job = store.started(30)
    store.jobs.complete(job.id, OUTCOME)

    done = store.jobs.find(ACCOUNT, job.id)

    assert (done.status, done.credits_charged, done.outputs) == (JobStatus.COMPLETED, 30, OUTCOME.outputs)
    assert (done.bpm, done.key, done.expires_at) == (120.0, "Gm", store.clock.now + RETENTION)
    assert store.balance() == 70


def test_a_failed_job_gives_its_credits_back_once(store: ServiceState) -> None:
    job = store.started(30)
    store.jobs.fail(job.id, "No sound.")
    store.jobs.fail(job.id, "No sound.")

    failed = store.jobs.find(ACCOUNT, job.id)

    assert (failed.status, failed.error, failed.credits_charged) == (JobStatus.FAILED, "No sound.", 0)
    assert store.balance() == 100


def test_a_finished_job_cannot_fail_any_more(store: ServiceState) -> None:
    job = store.started(30)
    store.jobs.complete(job.id, OUTCOME)
    store.jobs.fail(job.id, "too late")
    assert not store.jobs.requeue(job.id)

    assert store.jobs.find(ACCOUNT, job.id).status is JobStatus.COMPLETED
    assert store.balance() == 70


def test_jobs_are_started_in_order_and_once(store: ServiceState) -> None:
    ids = [store.jobs.accept(order(1)).id for _ in range(3)]

    assert [store.jobs.claim().id for _ in range(3)] == ids
    assert store.jobs.claim() is None


def test_what_was_running_is_pending_after_a_restart_and_paid_once(store: ServiceState) -> None:
    running, pending = store.started(30), store.jobs.accept(order(20))
    store.reopen()

    assert store.jobs.resume() == 2
    assert store.balance() == 50
    assert [store.jobs.claim().id for _ in range(2)] == [running.id, pending.id]


def test_a_job_that_kills_its_engine_twice_fails(store: ServiceState) -> None:
    job = store.started(30)
    verdicts = []
    for _ in range(MAX_CRASHES):
        verdicts.append(store.jobs.requeue(job.id))
        store.jobs.claim()

    assert verdicts == [True, False]
    assert store.jobs.find(ACCOUNT, job.id).status is JobStatus.FAILED
    assert store.balance() == 100


def test_a_restart_is_not_held_against_a_job(store: ServiceState) -> None:
    job = store.started()
    for _ in range(5):
        store.reopen()
        store.jobs.resume()
        assert store.jobs.claim().id == job.id


def test_outputs_expire_and_are_handed_out_for_deletion_once(store: ServiceState) -> None:
    job = store.started()
    store.jobs.complete(job.id, OUTCOME)
    store.clock.now += RETENTION - 1
    assert store.jobs.take_expired() == []
    store.clock.now += 1

    assert store.jobs.find(ACCOUNT, job.id).status is JobStatus.EXPIRED
    assert store.jobs.take_expired() == [job.id]
    assert store.jobs.take_expired() == []
    assert store.jobs.find(ACCOUNT, job.id).credits_charged == 10


def test_a_page_is_newest_first_and_of_one_status(store: ServiceState) -> None:
    ids = [store.jobs.accept(order(1)).id for _ in range(5)]
    store.jobs.fail(store.jobs.claim().id, "No sound.")

    everything, total = store.jobs.page(ACCOUNT, JobPage(2, 1))
    failed, failed_total = store.jobs.page(ACCOUNT, JobPage(status=JobStatus.FAILED))

    assert ([job.id for job in everything], total) == ([ids[3], ids[2]], 5)
    assert ([job.id for job in failed], failed_total) == ([ids[0]], 1)


def test_another_accounts_job_is_unknown(store: ServiceState) -> None:
    job = store.jobs.accept(order())

    with pytest.raises(Refusal) as refusal:
        store.jobs.find(account_id("sk_live_second"), job.id)

    assert refusal.value.reason is RefusalReason.UNKNOWN_JOB


def test_the_pace_is_learned(store: ServiceState) -> None:
    assert store.jobs.pace() is None
    job = store.started(40)
    assert store.jobs.waiting_seconds() == 40
    store.clock.now += 10
    store.jobs.complete(job.id, OUTCOME)

    assert store.jobs.pace() == pytest.approx(0.25)
    assert store.jobs.waiting_seconds() == 0


def test_the_estimate_counts_all_that_waits_and_all_that_work(store: ServiceState) -> None:
    pool = EnginePool(
        store.jobs,
        FileStorage(store.folder / "files"),
        PoolSettings(2, 2, "auto"),
        store.clock,
        ActiveFaults(),
        bool,
    )
    store.jobs.accept(order(60))
    running = store.jobs.claim()
    store.jobs.accept(order(20))
    assert pool.estimated_seconds() == 1 + 4  # 80 s of audio, two workers, a tenth of real time
    store.clock.now += 60
    store.jobs.complete(running.id, OUTCOME)

    assert pool.estimated_seconds() == 1 + 10  # 20 s of audio, in real time as it turned out


def test_a_key_that_is_no_longer_given_is_revoked_and_keeps_its_balance(store: ServiceState) -> None:
    store.jobs.accept(order(30))
    later = Accounts(store.database, (ApiKey("sk_live_second", 999),), store.clock())

    assert later.find("sk_live_first").is_revoked
    assert not later.find("sk_live_second").is_revoked
    assert later.balance(later.find("sk_live_second")).seconds == 50
    assert later.balance(later.find("sk_live_first")).seconds == 70
    assert later.find("sk_live_third") is None
