"""Whatever happens to jobs in whatever order, no credit is lost and none is made."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from service_state import ACCOUNT, OUTCOME, RETENTION, ServiceState, order
from support.random_examples import examples

from stemline_local.jobs.job import (
    IdempotencyKey,
    JobPage,
    JobStatus,
)
from stemline_local.refusal import Refusal, RefusalReason


class CreditMachine(RuleBasedStateMachine):
    """Jobs are accepted, started, ended and expire, and the service restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.store = ServiceState(Path(self.folder.name))
        self.running: list[str] = []
        self.repeats: dict[str, tuple[str, int]] = {}

    @rule(key=st.sampled_from("abc"), seconds=st.integers(1, 3))
    def accept_once(self, key: str, seconds: int) -> None:
        """The same key and body give one job for ever; the same key and another body give none."""
        known = self.repeats.get(key)
        try:
            job = self.store.jobs.accept(order(seconds), IdempotencyKey(key, str(seconds)))
        except Refusal as refusal:
            reason = refusal.reason
        else:
            assert (job.id, seconds) == self.repeats.setdefault(key, (job.id, seconds))
            return
        is_other = known is not None and known[1] != seconds
        assert reason is (
            RefusalReason.IDEMPOTENCY_CONFLICT if is_other else RefusalReason.INSUFFICIENT_CREDITS
        )

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

    @rule(data=st.data(), action=st.sampled_from(["complete", "fail", "requeue"]))
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
            self.store.jobs.requeue(job_id)

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
        jobs, _ = self.store.jobs.page(ACCOUNT, JobPage(1_000))
        spent = sum(job.credits_required for job in jobs if job.status is not JobStatus.FAILED)
        assert self.store.balance() == 100 - spent

    @invariant()
    def only_a_finished_job_is_charged(self) -> None:
        jobs, _ = self.store.jobs.page(ACCOUNT, JobPage(1_000))
        finished = (JobStatus.COMPLETED, JobStatus.EXPIRED)
        assert all(job.credits_charged == job.credits_required * (job.status in finished) for job in jobs)

    def teardown(self) -> None:
        self.store.database.close()
        self.folder.cleanup()


TestCreditConservation = CreditMachine.TestCase
TestCreditConservation.settings = settings(max_examples=examples(10), stateful_step_count=25, deadline=None)
