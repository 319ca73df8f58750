"""What a dispatcher's parts share: the jobs in flight, and a signal for every change."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TypeVar

from stemline.budget import BudgetHold
from stemline.client import Client, Lane, stops_a_run
from stemline.clock import loop_time
from stemline.dispatcher.key_lease import KeyLease, LeasedKey
from stemline.dispatcher.overcharge import Overcharge
from stemline.dispatcher.provider_speed import ProviderSpeed
from stemline.dispatcher.ready_queue import ReadyProducer
from stemline.dispatcher.run_parameters import RunParameters
from stemline.dispatcher.track_queue import TrackQueue
from stemline.errors import (
    LeaseHeld,
    OutOfCredits,
    PilotFailed,
    RetryableError,
    StopRun,
    TerminalError,
    TooManyFailures,
)
from stemline.ledger import Ledger, TrafficReading
from stemline.protocol import Provider, Steps
from stemline.records import Attempt, Code, Failure, Job, ReadyTrack, State
from stemline.wording import length

T = TypeVar("T")

OVERDUE_SHARE = 0.2
"""How much longer a late job is left alone, as a share of the time it was waited for."""

BUSY_POLL_FACTOR = 3
"""How much longer the pause between two polls is while polls and submits compete for one quota."""

USUAL_SECONDS = 60.0
"""How long a track is taken to be whose length nobody has told yet."""

MOST_UNCOLLECTED = 1_000
"""While so many tracks wait to be collected, nothing more is submitted with their key."""

LATE_FACTOR = 2.0
"""A job that is waited for so much longer than it was expected to take is late: it is read by itself."""

WEBHOOK_POLL_SECONDS = 60.0
"""How long a job that a webhook should have told of is left alone past its time, and the pause between polls."""


@dataclass
class DispatcherSession:
    """The state of one key's dispatcher: lives in one event loop, touched by its tasks alone."""

    parameters: RunParameters
    key: LeasedKey
    ledger: Ledger
    client: Client
    provider: Provider
    track_queue: TrackQueue
    producer: ReadyProducer
    speed: ProviderSpeed
    in_flight: dict[str, Attempt] = field(default_factory=dict)
    """Attempts by job id, as long as the provider works on them."""
    due: dict[str, float] = field(default_factory=dict)
    """When each of these jobs is expected to be done, on the monotonic clock."""
    waiting_since: dict[str, float] = field(default_factory=dict)
    """Since when they are waited for; of an earlier run's, when they were submitted."""
    left_to_later: dict[str, Attempt] = field(default_factory=dict)
    """Attempts by job id whose job took longer than is waited for: a later run looks at them again."""
    submitting: int = 0
    has_more_tracks: bool = True
    """Whether there is more to submit: then every poll costs a submit."""
    reading: int = 0
    """Jobs that are done and whose links are being read."""
    has_collector: bool = True
    """Whether somebody takes ready tracks; nobody does once the run is left."""
    uncollected: dict[str, str] = field(default_factory=dict)
    """Tokens of tracks the collector has and has not acknowledged, with their job ids."""
    orphans: set[str] = field(default_factory=set)
    """Tokens of attempts that another API key made: their jobs may be out of reach."""
    left_ready: set[str] = field(default_factory=set)
    """Tokens of attempts that an earlier run found done and could not collect."""
    finished: int = 0
    """Jobs that were found done, each counted once."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_stopping: bool = False
    """No further submits; what is in flight is still collected."""
    is_abandoned: bool = False
    """Not even that: what is in flight is left to the next run."""
    reason: StopRun | None = None
    held: BudgetHold | None = None
    """The limit that stopped it."""
    carried_over: int = 0
    """Credits of what an earlier run submitted: when the vendor takes them is not known."""
    carried: set[str] = field(default_factory=set)
    """Tokens of these attempts: how they end says nothing about what this run submits."""
    charges: Overcharge = field(default_factory=Overcharge)
    balance_before: int | None = None
    balance_after: int | None = None
    lease: KeyLease = field(init=False)

    def __post_init__(self) -> None:
        """Hold the key's lease."""
        self.lease = KeyLease(self.ledger, self.key)

    @property
    def busy(self) -> int:
        """How many tracks the provider has or is being given."""
        return self.submitting + len(self.in_flight)

    @property
    def has_room(self) -> bool:
        """Whether one more track may be submitted: what is done must not pile up before those who collect."""
        return self.busy < self.parameters.max_in_flight and len(self.uncollected) < MOST_UNCOLLECTED

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way at all."""
        return not (self.submitting or self.reading or self.uncollected or self.in_flight)

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two polls."""
        seconds = self.provider.facts.sweep_seconds * (BUSY_POLL_FACTOR if self.has_more_tracks else 1)
        return max(seconds, WEBHOOK_POLL_SECONDS) if self.parameters.has_webhooks else seconds

    def add_job(self, attempt: Attempt, job_id: str) -> None:
        """Wait for a job: its first poll is when it should be done."""
        self.in_flight[job_id] = attempt
        now = loop_time()
        self.waiting_since.setdefault(job_id, now - self.age(attempt))
        slack = self.poll_seconds if self.parameters.has_webhooks else 0.0
        takes = self.speed.expect(attempt.track.duration_seconds or USUAL_SECONDS)
        self.due[job_id] = max(now, self.waiting_since[job_id] + takes + slack)
        self.notify()

    def poll_later(self, attempt: Attempt, job_id: str) -> None:
        """Wait on for a job that was not done when it should have been: the later it is, the longer.

        One that takes longer than is waited for at all is left to later runs.
        """
        now = loop_time()
        waited = now - self.waiting_since.setdefault(job_id, now - self.age(attempt))
        if waited >= self.parameters.job_timeout_seconds:
            self._leave_to_later(attempt, job_id, waited)
            return
        self.in_flight[job_id] = attempt
        self.due[job_id] = now + max(self.poll_seconds, OVERDUE_SHARE * waited)
        self.notify()

    def ask_again(self, attempt: Attempt, job_id: str) -> None:
        """Ask for a job once more at the next poll, however long it is waited for."""
        self.in_flight[job_id] = attempt
        self.waiting_since.setdefault(job_id, loop_time() - self.age(attempt))
        self.due[job_id] = loop_time() + self.poll_seconds
        self.notify()

    def _leave_to_later(self, attempt: Attempt, job_id: str, waited: float) -> None:
        """Wait for a job no longer: it is paid, and a later run looks at it again."""
        sentence = f"Job {job_id} is not done after {length(waited)}; the next run looks at it again."
        self.ledger.attempts.mark_late(attempt.token, sentence)
        self.drop_job(job_id)
        self.left_to_later[job_id] = attempt
        self.notify()

    def is_late(self, job_id: str) -> bool:
        """Tell whether a job takes much longer than it should."""
        expected = self.speed.expect(self.in_flight[job_id].track.duration_seconds or USUAL_SECONDS)
        return loop_time() - self.waiting_since[job_id] > LATE_FACTOR * max(expected, self.poll_seconds)

    def age(self, attempt: Attempt) -> float:
        """Give how many seconds ago an attempt was sent."""
        if attempt.sent_at is None:
            return 0.0
        return max(0.0, (self.ledger.clock() - attempt.sent_at).total_seconds())

    def carry_over(self, attempt: Attempt) -> None:
        """Take note of what an earlier run submitted."""
        self.carried_over += attempt.credits_reserved
        self.carried.add(attempt.token)

    def drop_job(self, job_id: str) -> None:
        """Wait for a job no longer."""
        self.in_flight.pop(job_id, None)
        self.due.pop(job_id, None)

    def pass_on(self, attempt: Attempt, job: Job, *, is_repeated: bool = False, is_last: bool = True) -> None:
        """Give a ready track to the collector; see ReadyTrack for what else it is told."""
        self.waiting_since.pop(job.job_id, None)
        if self.has_collector:
            self.uncollected[attempt.token] = job.job_id
        self.producer.put(ReadyTrack(attempt, job, is_repeated, is_last))
        self.notify()

    async def run_or_stop(self, steps: Steps[T]) -> T:
        """Carry out steps that the whole run depends on; raises StopRun, ProviderGone where the answer is of no use."""
        try:
            return await self.client.run(steps, Lane.POLL)
        except (RetryableError, TerminalError) as error:
            raise stops_a_run(error) from error

    def record_traffic(self) -> None:
        """Tell the ledger what was sent with this key: whoever watches the run from elsewhere reads it there."""
        pacer, traffic = self.client.pacer, self.client.traffic
        reading = TrafficReading(
            traffic.sent, traffic.rejected, pacer.sent_last_minute(loop_time()), pacer.limit
        )
        self.ledger.traffic.record(self.parameters.run_id, self.key.key_id, reading)

    def notify(self) -> None:
        """Wake whoever waits for a change."""
        self.changed.set()

    async def wait_for_change(self, within: float | None = None) -> None:
        """Wait until something changed, at most `within` seconds."""
        self.changed.clear()
        try:
            async with asyncio.timeout(within):
                await self.changed.wait()
        except TimeoutError:
            pass

    async def sleep(self, seconds: float) -> None:
        """Let time pass, whatever changes meanwhile; less when the run ends first."""
        end = loop_time() + seconds
        while not self.is_abandoned and (left := end - loop_time()) > 0:
            await self.wait_for_change(left)

    def stop(self, reason: StopRun | None, *, is_abandoned: bool = False) -> None:
        """Submit nothing more, not even what is reserved; with `is_abandoned` wait for nothing more either."""
        self.is_stopping = True
        self.client.submit_nothing_more()
        self.is_abandoned = self.is_abandoned or is_abandoned
        if is_abandoned:
            self.client.give_up()
        self.reason = self.reason or reason
        if isinstance(reason, OutOfCredits):
            self.held = self.held or BudgetHold(Code.OUT_OF_CREDITS, reason.message)
        self.notify()

    def abandon(self) -> None:
        """Stop at once, for nobody collects any more: what is ready is left to the next run."""
        self.has_collector = False
        self.uncollected.clear()
        self.stop(None, is_abandoned=True)

    def stop_for_pilot(self, reason: PilotFailed) -> None:
        """Submit nothing more, for the first tracks have not come back as they should; the rest is held."""
        self.held = self.held or BudgetHold(Code.PILOT, reason.message)
        self.stop(reason)

    def fail_attempt(self, attempt: Attempt, failure: Failure) -> None:
        """Book a failure, and stop the run when there are more than it tolerates."""
        self.ledger.attempts.fail(failure)
        self.count_failure(attempt)

    def refuse_attempt(self, attempt: Attempt, code: Code, error: Exception) -> None:
        """Book a submit that was not accepted: its credits are free again."""
        is_retryable = isinstance(error, RetryableError | OSError)
        if self.release_attempt(attempt, code, str(error), state=State.FAILED, is_retryable=is_retryable):
            self.count_failure(attempt)

    def release_attempt(
        self,
        attempt: Attempt,
        code: Code = Code.OK,
        sentence: str = "",
        *,
        state: State = State.PLANNED,
        is_retryable: bool = False,
    ) -> bool:
        """Free the credits of an attempt, and give whether that was ours to do: it is not once the lease is lost.

        Its track has its old place in the queue where it is planned again.
        """
        try:
            self.ledger.attempts.release(
                attempt.token, code, sentence, state=state, is_retryable=is_retryable, fence=self.key.fence
            )
        except LeaseHeld as error:
            self.stop(error, is_abandoned=True)
            return False
        if state is State.PLANNED:
            self.track_queue.refresh()
        return True

    def count_failure(self, attempt: Attempt) -> None:
        """Count one more failed track of this run's submits against `failures.tolerate`."""
        if attempt.token in self.carried:
            self.notify()
            return
        failed, share = self.track_queue.count_failure(attempt.track.track_id), self.parameters.tolerate
        selected = self.parameters.read_selected()
        if share is not None and selected is not None and failed > share * selected:
            sentence = f"{failed} of {selected} tracks failed, more than failures.tolerate allows."
            self.stop(TooManyFailures(sentence, fix="See `stemline status`, mend the cause and run again."))
        self.notify()
