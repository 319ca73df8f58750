"""The steps of keys and attempts: what a dispatcher, a collector and a publisher do, and what the model expects."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from killable_ledger import KillableLedgers
from ledger_model import FIRST_BALANCE, KEYS, PROVIDER, LedgerModel, ModelAttempt, ModelTrack

from stemline.budget import BudgetHold, Limits
from stemline.errors import LeaseHeld, LedgerConflict
from stemline.ledger import Ledger
from stemline.ledger.lease import NOBODY
from stemline.records import Attempt, Code, CollectedTrack, Failure, Job, Phase, State, StemFile, Submission

STEM = StemFile("vocals", "v.flac", "flac", 44_100, 2, 1, 1.0, 1, "ab", None, None, "ok")
ENDINGS = {State.QUARANTINED: Code.ALL_SILENT, State.EXPIRED: Code.OUTPUTS_EXPIRED}
LEASE_SECONDS = 60.0


class LedgerSteps:
    """What the processes of runs do; a machine says whose turn it is."""

    ledger: Ledger
    model: LedgerModel
    processes: KillableLedgers
    turn: int
    batches: int = 0

    def a_run(self, draw: st.DrawFn) -> str:
        """Give one of the two newest runs."""
        return draw(st.sampled_from(self.model.present_runs))

    # the keys

    def acquire(self, key_id: str, _: int) -> None:
        holder = f"process-{self.turn}-{self.processes.restarts[self.turn]}"
        if self.model.is_free(key_id, holder):
            fence = self.ledger.leases.acquire(key_id, holder, LEASE_SECONDS)
            assert fence == self.model.hold_key(key_id, holder, LEASE_SECONDS)
        else:
            with pytest.raises(LeaseHeld):
                self.ledger.leases.acquire(key_id, holder, LEASE_SECONDS)

    def renew(self, key_id: str, behind: int) -> None:
        fence = self.fence(key_id) - behind
        if self.is_present(key_id, fence) and self.model.leases[key_id].holder != NOBODY:
            self.ledger.leases.renew(key_id, fence, LEASE_SECONDS)
            self.model.leases[key_id].expires_at = self.model.now + timedelta(seconds=LEASE_SECONDS)
        else:
            with pytest.raises(LeaseHeld):
                self.ledger.leases.renew(key_id, fence, LEASE_SECONDS)

    def release(self, key_id: str, behind: int) -> None:
        fence = self.fence(key_id) - behind
        self.ledger.leases.release(key_id, fence)
        if self.is_present(key_id, fence):
            self.model.leases[key_id].expires_at, self.model.leases[key_id].holder = self.model.now, NOBODY

    def fence(self, key_id: str) -> int:
        """Give the newest fence there is."""
        return self.model.leases[key_id].fence if key_id in self.model.leases else 0

    def is_present(self, key_id: str, fence: int) -> bool:
        return fence > 0 and fence == self.fence(key_id)

    # an attempt

    def move_on(self, draw: st.DrawFn) -> None:
        run_id = self.a_run(draw)
        one = draw(st.sampled_from([None, *self.model.open_attempts()]))
        if one is not None:
            self.proceed(one, draw)
        elif self.model.waiting(run_id):
            self.reserve(run_id, draw)

    def reserve(self, run_id: str, draw: st.DrawFn) -> None:
        model = self.model
        planned = self.ledger.tracks.next_planned(run_id, 10)
        rows = {row.track_id: row for row in model.waiting(run_id)}
        assert [track.track_id for track in planned] == sorted(rows)
        track, amount, key_id = (
            draw(st.sampled_from(planned)),
            draw(st.integers(0, 20)),
            draw(st.sampled_from(KEYS)),
        )
        token, refusal = f"a{len(model.attempts)}", model.refusal(run_id, amount)
        outcome = self.ledger.attempts.reserve(run_id, track, token, amount, model.limits, key_id=key_id)
        if refusal is not None:
            assert isinstance(outcome, BudgetHold)
            assert outcome.code is refusal
            return
        assert isinstance(outcome, Attempt)
        model.reserve(ModelAttempt(token, rows[track.track_id], run_id, key_id, model.day, amount))
        self.check_floor()
        with pytest.raises(LedgerConflict):
            self.ledger.attempts.reserve(run_id, track, f"{token}x", 0, Limits())

    def check_floor(self) -> None:
        """What is reserved may all be charged, whatever the balance read last had shown of it: the floor is kept."""
        floor, spent = self.model.limits.floor, self.model.spent("all")
        assert floor is None or FIRST_BALANCE - spent.total >= floor

    def proceed(self, one: ModelAttempt, draw: st.DrawFn) -> None:
        """Take an attempt one step further on the good way."""
        if one.state == "submitting" and not one.is_sent:
            self.send(one, self.fence(one.key_id) - draw(st.sampled_from([0, 0, 0, 1])))
        elif one.state in {"submitting", "unknown"}:
            self.accept(one, draw)
        elif one.state == "processing":
            self.finish(one, draw)
        elif one.state == "ready":
            self.collect(one)
        else:
            self.publish(one.row)

    def send(self, one: ModelAttempt, fence: int) -> None:
        """Nobody whose lease was let go, ran out or went to somebody else can let a paid request go."""
        lease = self.model.leases.get(one.key_id)
        lasts = lease is not None and lease.holder != NOBODY and lease.expires_at > self.model.now
        if lasts and self.is_present(one.key_id, fence):
            self.ledger.attempts.mark_sending(one.token, fence=fence, request={"token": one.token})
            one.is_sent = True
        else:
            with pytest.raises(LeaseHeld):
                self.ledger.attempts.mark_sending(one.token, fence=fence, request={})
            self.acquire(one.key_id, 0)

    def accept(self, one: ModelAttempt, draw: st.DrawFn) -> None:
        price = draw(st.none() | st.integers(-5, 2).map(lambda more: max(0, one.reserved + more)))
        submission = Submission(f"j{one.token}", price)
        self.ledger.attempts.record_submission(one.token, submission)
        if price is not None:
            self.model.correct(one, price)
        one.taken = one.reserved if draw(st.booleans()) else 0
        self.go(one, State.PROCESSING)
        self.ledger.attempts.record_submission(one.token, submission)

    def finish(self, one: ModelAttempt, draw: st.DrawFn) -> None:
        charged = draw(st.none() | st.integers(-5, 2).map(lambda more: max(0, one.reserved + more)))
        job = Job(f"j{one.token}", Phase.DONE, credits_charged=charged)
        assert self.ledger.attempts.record_ready(one.token, job)
        self.model.book(one, one.reserved if charged is None else charged)
        self.go(one, State.READY)
        assert not self.ledger.attempts.record_ready(one.token, job)

    def collect(self, one: ModelAttempt) -> None:
        collected = CollectedTrack(one.token, (STEM,), 120.0, "Am", None, None, self.model.now)
        assert self.ledger.attempts.record_collected(collected)
        self.go(one, State.COLLECTED)
        assert not self.ledger.attempts.record_collected(collected)

    def publish(self, row: ModelTrack) -> None:
        """Do what a publisher does, which may have been killed between opening a batch and publishing it."""
        if tokens := self.ledger.batches.collected_unbatched(PROVIDER, row.recipe):
            self.batches += 1
            self.ledger.batches.open(next(reversed(self.model.runs)), f"b{self.batches}", tokens)
        _, tokens = self.ledger.remakes.waiting(PROVIDER, row.recipe, 10)
        if tokens:
            self.batches += 1
            self.ledger.batches.open(next(reversed(self.model.runs)), f"b{self.batches}", tokens)
        opened, _ = self.ledger.remakes.waiting(PROVIDER, row.recipe, 0)
        for batch in [*opened, *self.ledger.batches.unpublished(PROVIDER, row.recipe)]:
            rows = self.ledger.batches.rows(batch)
            assert self.ledger.batches.publish(batch) == len(rows)
            for published in rows:
                one = self.model.of_token(published.attempt.token)
                for older in self.model.in_state("published"):
                    if older.row is one.row:
                        older.state = "expired"
                one.row.is_remade = False
                self.go(one, State.PUBLISHED)

    def fail(self, one: ModelAttempt, draw: st.DrawFn) -> None:
        """Take an attempt to one of its bad ends."""
        if one.state == "ready":
            self.fail_collecting(one, draw(st.sampled_from([State.FAILED, *ENDINGS])))
        elif one.state == "processing" and draw(st.integers(0, 3)) == 0:
            self.expire(one)
        elif one.state in {"processing", "unknown"}:
            self.fail_job(one, is_free=draw(st.booleans()), is_retryable=draw(st.booleans()))
        elif one.state == "submitting" and one.is_sent and draw(st.booleans()):
            self.ledger.attempts.mark_unknown(one.token, "No answer.")
            self.go(one, State.UNKNOWN, Code.SUBMIT_UNANSWERED)
        elif one.state == "submitting":
            self.give_back(
                one, draw(st.sampled_from([State.PLANNED, State.FAILED, State.HELD, State.REJECTED]))
            )

    def fail_collecting(self, one: ModelAttempt, end: State) -> None:
        """What is paid is not paid twice: a download that failed leaves it ready."""
        code = ENDINGS.get(end, Code.DOWNLOAD_FAILED)
        state = State.READY if end is State.FAILED else end
        assert self.ledger.attempts.fail(Failure(one.token, end, code, "Broke.")) is state
        self.go(one, state, code)

    def expire(self, one: ModelAttempt) -> None:
        self.ledger.attempts.fail(Failure(one.token, State.EXPIRED, Code.OUTPUTS_EXPIRED, "Gone."))
        self.model.book(one, one.reserved)
        self.go(one, State.EXPIRED, Code.OUTPUTS_EXPIRED)

    def fail_job(self, one: ModelAttempt, *, is_free: bool, is_retryable: bool) -> None:
        code = Code.SUBMIT_UNANSWERED if one.state == "unknown" else Code.JOB_FAILED
        failure = Failure(one.token, State.FAILED, code, "Broke.", is_retryable)
        self.ledger.attempts.fail(failure, credits_charged=0 if is_free else None)
        if is_free:
            self.model.book(one, 0)
        one.is_disputed = not is_free
        self.go(one, State.FAILED, code, is_retryable=is_retryable)

    def give_back(self, one: ModelAttempt, end: State) -> None:
        self.ledger.attempts.release(one.token, Code.REFUSED, "Refused.", state=end, is_retryable=True)
        self.go(one, end, Code.REFUSED, is_retryable=True)
        one.state, one.reserved = "released", 0

    def go(self, one: ModelAttempt, state: State, code: Code = Code.OK, **facts: Any) -> None:
        one.state = state.value
        one.row.go(state, code, **facts)
