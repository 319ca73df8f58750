"""Submits that got no answer: their job is adopted, their absence is proven, or they are unknown. Never a guess."""

from __future__ import annotations

from typing import TypeVar

from stemline.client import Lane
from stemline.clock import loop_time
from stemline.dispatcher.account_balance import AccountBalance
from stemline.dispatcher.session import USUAL_SECONDS, DispatcherSession
from stemline.errors import JobFailed, LedgerConflict, RetryableError, StopRun, TerminalError
from stemline.protocol import OtherAttempts, Steps
from stemline.records import Attempt, Code, Job, Submission
from stemline.wording import length

T = TypeVar("T")

SEARCHES_PER_GRACE = 4
JOB_TIMES = 2
"""A vendor may charge when a job is done: so many times what one should take pass before a balance is believed."""
FIX = "`stemline resolve` shows what is known, and resolves it."


class UnansweredSubmits:
    """Finds out what became of the submits of one key that got no answer."""

    def __init__(self, session: DispatcherSession, balance: AccountBalance) -> None:
        """Search for one dispatcher."""
        self._session, self._balance = session, balance
        self._unproven: list[Attempt] = []
        """What is listed nowhere, where that proves nothing."""
        self._searching = 0

    @property
    def may_free(self) -> bool:
        """Whether credits may still be freed: of what is searched for, or what the balance may prove to be absent."""
        return bool(self._searching or self._unproven)

    async def resolve(self, attempt: Attempt) -> None:
        """Adopt the job of a submit without an answer, or free it once it is certain that there is none."""
        session = self._session
        session.submitting += 1
        self._searching += 1
        try:
            await self._resolve(attempt)
        except LedgerConflict:
            self._take_up(attempt)
        finally:
            session.submitting -= 1
            self._searching -= 1
            session.notify()

    async def free_uncharged(self) -> bool:
        """Free what the balance proves to be absent, once nothing else is under way; give whether there was any."""
        session, unproven = self._session, self._unproven
        self._unproven = []
        if not unproven:
            return False
        await session.sleep(max(self._seconds_until_charged(attempt) for attempt in unproven))
        if session.is_stopping or not session.is_idle:
            return False
        await self._balance.read()
        reading, ledger = self._balance.reading, session.ledger
        freed = [each for each in unproven if reading and ledger.balances.prove_absence(each.token, reading)]
        for attempt in freed:
            session.release_attempt(attempt)
        return bool(freed)

    async def _resolve(self, attempt: Attempt) -> None:
        """Resolve a submit; raises LedgerConflict when somebody else has done so meanwhile."""
        session = self._session
        try:
            job = await self._search(attempt)
            if job is None:
                session.release_attempt(attempt)
            else:
                self._adopt_job(attempt, job)
        except TerminalError as error:
            session.ledger.attempts.mark_unknown(attempt.token, str(error))
        except StopRun as error:
            session.ledger.attempts.mark_unknown(
                attempt.token, f"The submit got no answer, and then: {error.message}"
            )
            session.stop(error, is_abandoned=True)

    def _take_up(self, attempt: Attempt) -> None:
        """Go on with what became of a submit whose run was taken for dead and lives: its answer came after all.

        Raises LeaseHeld when it is this run that was.
        """
        session = self._session
        session.lease.renew()
        for known in session.ledger.recovery.in_flight(session.parameters.kind, session.key.key_id):
            if known.token == attempt.token and known.job_id is not None:
                session.add_job(known, known.job_id)

    async def _search(self, attempt: Attempt) -> Job | None:
        """Give the job of a submit, None when there surely is none; raises TerminalError when that cannot be told."""
        session, facts = self._session, self._session.provider.facts
        job = await self._find_job(attempt)
        # Counted from the first answer, not from when it was sent: the vendor may have been away for longer.
        deadline = loop_time() + (0.0 if self._is_old(attempt) else facts.grace_seconds)
        while job is None and (left := deadline - loop_time()) > 0:
            await session.sleep(min(facts.grace_seconds / SEARCHES_PER_GRACE, left))
            if session.is_abandoned:
                raise _unresolved("The submit got no answer and the run ended first.")
            job = await self._find_job(attempt)
        if job is None:
            await self._require_proof(attempt)
        return job

    async def _require_proof(self, attempt: Attempt) -> None:
        """Raise JobFailed unless the list still reaches back to before the submit: else a lack in it proves nothing."""
        steps = self._session.provider.shows_older(attempt, self._other_attempts(attempt))
        if not await self._ask(steps):
            self._unproven.append(attempt)
            age = length(self._age(attempt))
            raise _unresolved(
                f"The submit got no answer {age} ago, and the provider lists neither its job nor anything older, "
                "which proves nothing."
            )

    async def _find_job(self, attempt: Attempt) -> Job | None:
        """Give the job a submit has made, None for none so far; raises TerminalError when that cannot be told."""
        most, age = self._session.provider.facts.repeat_seconds, self._age(attempt)
        if most is not None and age > most:
            self._unproven.append(attempt)
            raise _unresolved(
                f"The submit got no answer {length(age)} ago, and under a key older than {length(most)} it might be "
                "charged again: it is not repeated."
            )
        return await self._ask(self._session.provider.find(attempt, self._other_attempts(attempt)))

    async def _ask(self, steps: Steps[T]) -> T:
        try:
            return await self._session.client.run(steps, Lane.POLL)
        except RetryableError as error:
            # The provider answers other requests: it is this question that fails.
            raise JobFailed(error.message, code=Code.SUBMIT_UNANSWERED) from error

    def _other_attempts(self, attempt: Attempt) -> OtherAttempts:
        """Give what the ledger knows of all other attempts, whichever key made them."""
        ledger, kind = self._session.ledger, self._session.parameters.kind

        def unanswered() -> list[Attempt]:
            sent = [*ledger.recovery.unanswered(kind), *ledger.recovery.unknown(kind)]
            return [other for other in sent if other.token != attempt.token]

        def answered_before(job_id: str, token: str) -> bool:
            # An old submit may have been held off and have made its job much later than it left.
            return not self._is_old(attempt) and ledger.recovery.is_answered_before(kind, job_id, token)

        return OtherAttempts(
            lambda job_id: ledger.attempts.find_by_job(kind, job_id) is not None, unanswered, answered_before
        )

    def _adopt_job(self, attempt: Attempt, job: Job) -> None:
        submission = Submission(job.job_id, duration_seconds=job.duration_seconds)
        try:
            self._session.ledger.attempts.record_submission(attempt.token, submission)
        except LedgerConflict as error:  # another attempt has this job
            raise _unresolved(error.message) from error
        self._session.client.submits.taken()
        self._session.add_job(attempt, job.job_id)

    def _is_old(self, attempt: Attempt) -> bool:
        """Tell whether the list may have forgotten the job of a submit by now."""
        most = self._session.provider.facts.list_seconds
        return most is not None and self._age(attempt) > most

    def _age(self, attempt: Attempt) -> float:
        return self._session.age(attempt)

    def _seconds_until_charged(self, attempt: Attempt) -> float:
        """Give how long it takes until a job of this submit would show in the balance."""
        session = self._session
        takes = session.speed.expect(attempt.track.duration_seconds or USUAL_SECONDS)
        return max(session.provider.facts.grace_seconds, JOB_TIMES * takes) - self._age(attempt)


def _unresolved(sentence: str) -> JobFailed:
    return JobFailed(sentence, code=Code.SUBMIT_UNANSWERED, fix=FIX)
