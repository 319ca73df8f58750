"""What the ledger is to say, kept in plain Python: rows, attempts, leases, limits and what the vendor has taken."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from stemline.budget import Limits, Spent
from stemline.records import Code, Recipe, State, Track

PROVIDER = "local"
RECIPES = (Recipe("four", "best", "flac"), Recipe("both", "fast", "mp3"))
KEYS = ("key-1", "key-2")
MAX_ATTEMPTS = 2
FIRST_BALANCE = 300
IDLE = {State.PLANNED, State.HELD, State.FAILED, State.REJECTED}
IN_VAIN = {State.FAILED, State.REJECTED, State.QUARANTINED, State.EXPIRED}
LIVE = {"submitting", "processing", "ready", "collected", "published", "unknown"}


@dataclass
class ModelTrack:
    """One track of one recipe."""

    track_id: str
    recipe: Recipe
    run_id: str
    state: State = State.PLANNED
    code: Code = Code.OK
    is_retryable: bool = False
    failures: int = 0
    is_remade: bool = False
    """Whether it is published and made again."""
    clock: Callable[[], datetime] = lambda: datetime.max.replace(tzinfo=UTC)
    moved_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def go(self, state: State, code: Code = Code.OK, *, is_retryable: bool = False) -> None:
        self.state, self.code, self.is_retryable = state, code, is_retryable
        self.failures += state is State.FAILED
        self.moved_at = self.clock()


@dataclass
class ModelAttempt:
    """One attempt."""

    token: str
    row: ModelTrack
    run_id: str
    key_id: str
    day: str
    reserved: int
    charged: int | None = None
    charged_at: datetime | None = None
    state: str = "submitting"
    is_sent: bool = False
    is_disputed: bool = False
    taken: int = 0
    """Credits the vendor's balance lacks by now."""

    @property
    def periods(self) -> tuple[str, ...]:
        return f"run:{self.run_id}", f"day:{self.day}", f"month:{self.day[:7]}", "all"


@dataclass
class ModelLease:
    """Who holds a key."""

    holder: str
    fence: int
    expires_at: datetime


@dataclass
class LedgerModel:
    """All of it."""

    now: datetime = datetime(2026, 3, 30, 22, tzinfo=UTC)
    limits: Limits = field(default_factory=Limits)
    runs: dict[str, Recipe] = field(default_factory=dict)
    rows: dict[tuple[str, Recipe], ModelTrack] = field(default_factory=dict)
    attempts: list[ModelAttempt] = field(default_factory=list)
    started: dict[str, datetime] = field(default_factory=dict)
    key_of: dict[str, str] = field(default_factory=dict)
    """The key that each run was started with."""
    members: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By run, the tracks it is about that were not published when it selected them."""
    standing: Counter[str] = field(default_factory=Counter)
    """By run, how many were."""
    rejected: Counter[str] = field(default_factory=Counter)
    """By run, how many rows of the manifest became no track."""
    leases: dict[str, ModelLease] = field(default_factory=dict)
    rooms: dict[str, float] = field(default_factory=lambda: defaultdict(lambda: math.inf))
    """By period, what may be reserved and charged at most: the limit in force when the last track was let in."""

    @property
    def day(self) -> str:
        return f"{self.now:%Y-%m-%d}"

    @property
    def present_runs(self) -> list[str]:
        """Give the two newest runs: of them something may still become."""
        return list(self.runs)[-2:]

    @property
    def balance(self) -> int:
        """What the vendor shows: some jobs it takes when they are made, others when they are done."""
        return FIRST_BALANCE - sum(one.taken for one in self.attempts)

    def plan(
        self, run_id: str, tracks: Iterable[Track], again: Mapping[str, int] | None = None
    ) -> tuple[int, int, int]:
        """Select tracks, some of them `again`; give how many are new, known and put back in line."""
        counted: Counter[str] = Counter()
        again, others = again or {}, self.others_tracks(run_id)
        for track in tracks:
            row = self.rows.get((track.track_id, self.runs[run_id]))
            counted["new" if row is None else "known"] += 1
            if row is None:
                recipe = self.runs[run_id]
                row = self.rows[track.track_id, recipe] = ModelTrack(
                    track.track_id, recipe, run_id, clock=lambda: self.now, moved_at=self.now
                )
            number = again.get(row.track_id)
            if row.state is State.PUBLISHED and number is not None and number == self.newest_number(row):
                counted["revived"] += 1
                row.run_id, row.failures, row.is_remade = run_id, 0, True
                row.go(State.PLANNED)
            is_left = row.is_remade and row.state in IDLE and number is None
            if is_left and row.track_id not in others:
                self.stand(row)
            if row.state is not State.PUBLISHED and not is_left:
                self.members[run_id].add(row.track_id)
            elif row.track_id not in self.members[run_id]:
                self.standing[run_id] += 1
            if is_left:
                continue
            is_held = row.state is State.HELD and not self.was_held_before(row, run_id)
            if is_held or row.state is State.REJECTED or self.may_retry(row):
                counted["revived"] += 1
                row.run_id = run_id
                row.go(State.PLANNED)
        return counted["new"], counted["known"], counted["revived"]

    def stand(self, row: ModelTrack) -> None:
        """Let a track count as published as it was."""
        row.is_remade = False
        row.go(State.PUBLISHED, Code.NOT_MADE_AGAIN)

    def newest_number(self, row: ModelTrack) -> int:
        """Give the number of its newest attempt but for those that never were accepted."""
        mine = [one for one in self.attempts if one.row is row]
        return max(number for number, one in enumerate(mine, 1) if one.state != "released")

    def was_held_before(self, row: ModelTrack, run_id: str) -> bool:
        """Tell whether a track is in line as it stands: held before the run began."""
        return row.state is State.HELD and row.moved_at < self.started[run_id]

    def waiting(self, run_id: str) -> list[ModelTrack]:
        """Give the tracks of a run that may be sent."""
        rows = self.of_run(run_id, State.PLANNED, State.HELD)
        return [row for row in rows if row.state is State.PLANNED or self.was_held_before(row, run_id)]

    def may_retry(self, row: ModelTrack) -> bool:
        return row.state is State.FAILED and row.is_retryable and row.failures < MAX_ATTEMPTS

    def of_run(self, run_id: str, *states: State) -> list[ModelTrack]:
        mine, recipe = self.members[run_id], self.runs[run_id]
        rows = [row for row in self.rows.values() if row.recipe == recipe and row.track_id in mine]
        return [row for row in rows if not states or row.state in states]

    def others_tracks(self, run_id: str) -> set[str]:
        """Give what living runs other than this one are about: those whose key is held."""
        held = {key for key, lease in self.leases.items() if lease.expires_at > self.now}
        living = [other for other in self.runs if other != run_id and self.key_of[other] in held]
        return set().union(*(self.members[other] for other in living))

    def redriven(self, recipe: Recipe, codes: set[Code] | None) -> list[ModelTrack]:
        """Give what a person may put back in line: what may have been paid only by the name of its code."""
        ended = {State.FAILED} if codes is None else {State.FAILED, State.QUARANTINED, State.EXPIRED}
        rows = [row for row in self.rows.values() if row.recipe == recipe and row.state in ended]
        return [row for row in rows if (row.code in codes if codes else row.code != Code.SUBMIT_UNANSWERED)]

    def of_token(self, token: str) -> ModelAttempt:
        return next(one for one in self.attempts if one.token == token)

    def open_attempts(self) -> list[ModelAttempt]:
        return [one for one in self.attempts if one.state in LIVE - {"published"}]

    def in_state(self, state: str, key_id: str | None = None) -> list[ModelAttempt]:
        return [one for one in self.attempts if one.state == state and key_id in {None, one.key_id}]

    def disputed(self, run_id: str) -> list[ModelAttempt]:
        return [one for one in self.attempts if one.is_disputed and one.run_id == run_id]

    def is_free(self, key_id: str, holder: str) -> bool:
        lease = self.leases.get(key_id)
        return lease is None or lease.expires_at <= self.now or lease.holder == holder

    def hold_key(self, key_id: str, holder: str, seconds: float) -> int:
        before = self.leases.get(key_id)
        fence = 1 if before is None else before.fence + 1
        self.leases[key_id] = ModelLease(holder, fence, self.now + timedelta(seconds=seconds))
        return fence

    # the credits

    def spent(self, period: str) -> Spent:
        mine = [one for one in self.attempts if period in one.periods]
        return Spent(sum(one.reserved for one in mine), sum(one.charged or 0 for one in mine))

    @property
    def not_in_balance(self) -> int:
        since = self.limits.balance_at
        late = [
            one.charged or 0 for one in self.attempts if since and one.charged_at and one.charged_at >= since
        ]
        return self.spent("all").reserved + sum(late)

    def caps(self, run_id: str) -> list[tuple[Code, str, int | None]]:
        return [
            (Code.BUDGET_RUN, f"run:{run_id}", self.limits.run),
            (Code.BUDGET_MONTH, f"month:{self.day[:7]}", self.limits.month),
            (Code.BUDGET_DAY, f"day:{self.day}", self.limits.day),
        ]

    def refusal(self, run_id: str, amount: int) -> Code | None:
        """Give the limit that so many credits more would pass."""
        for code, period, cap in self.caps(run_id):
            if cap is not None and self.spent(period).total + amount > cap:
                return code
        floor, balance = self.limits.floor, self.limits.balance
        if floor is not None and (balance is None or balance - self.not_in_balance - amount < floor):
            return Code.BUDGET_FLOOR
        return None

    def reserve(self, one: ModelAttempt) -> None:
        self.attempts.append(one)
        one.row.go(State.SUBMITTING, is_retryable=one.row.is_retryable)
        for _, period, cap in self.caps(one.run_id):
            self.rooms[period] = math.inf if cap is None else cap

    def correct(self, one: ModelAttempt, reserved: int) -> None:
        """Have the vendor ask another price: what it asks beyond the reservation, no limit can keep out."""
        self._let_in(one, reserved - one.reserved)
        one.reserved = reserved

    def book(self, one: ModelAttempt, charged: int) -> None:
        """Turn a reservation into a charge."""
        self._let_in(one, charged - one.reserved)
        one.reserved, one.charged, one.charged_at, one.taken = 0, charged, self.now, charged

    def _let_in(self, one: ModelAttempt, more: int) -> None:
        for period in one.periods:
            self.rooms[period] += max(0, more)
