"""What must hold after every day of a year, told by the vendor's books and the ledger's bookings."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from support.backfill_year.account import SharedAccount
from support.backfill_year.plan import OLD, BackfillYear

from stemline.clock import Clock

TOKEN = re.compile(r"sl[0-9a-f]{20}")
MINUTE_SECONDS = 60.0


@dataclass
class YearBooks:
    """The judge: looks at what is new since it last looked."""

    year: BackfillYear
    account: SharedAccount
    ledger: Path
    clock: Clock
    ceilings: list[tuple[str, int]] = field(default_factory=list)
    """From which instant on the first backfill may spend how much."""
    closest: dict[str, float] = field(default_factory=dict)
    """How near each limit came, as a share of it."""
    busiest: int = 0
    """The most requests that were let in within any minute."""
    _sums: Counter[tuple[str, str]] = field(default_factory=Counter)
    _backfill_of: dict[str, str | None] = field(default_factory=dict)
    _paid: Counter[str] = field(default_factory=Counter)
    _entry: int = 0
    _order: int = 0
    _request: int = 0

    def query(self, sql: str, *values: object) -> list[tuple]:
        """Give the rows of a query to the ledger."""
        with closing(sqlite3.connect(self.ledger)) as connection:
            return connection.execute(sql, values).fetchall()

    def examine(self) -> None:
        """Raise AssertionError for what must not be."""
        self._examine_limits()
        self._examine_orders()
        self._examine_rate()

    def _examine_limits(self) -> None:
        """Add up the bookings one by one: no window's sum is above its limit after any of them."""
        self._backfill_of.update(self.query("SELECT run_id, backfill FROM runs"))
        rows = self.query(
            "SELECT rowid, at, run_id, amount, day, month FROM credit_entries WHERE rowid > ? ORDER BY rowid",
            self._entry,
        )
        for entry, at, run_id, amount, day, month in rows:
            self._entry = entry
            for name, key, limit in self._windows(at, run_id, day, month):
                self._sums[name, key] += amount
                spent = self._sums[name, key]
                self.closest[name] = max(self.closest.get(name, 0.0), spent / limit)
                assert spent <= limit, f"{at}: {spent} of {limit} for {name} {key}"

    def _windows(self, at: str, run_id: str, day: str, month: str) -> Iterator[tuple[str, str, int]]:
        year = self.year
        yield "day", day, year.day
        yield "month", month, 31 * year.day
        name = self._backfill_of[run_id]
        if name is not None:
            share = year.share if name == OLD else year.second_share
            yield f"share of {name}", f"{name} {day}", int(year.day * share)
        if name == OLD:
            yield "ceiling", name, [limit for since, limit in self.ceilings if since <= at][-1]

    def _examine_orders(self) -> None:
        """No track was ordered twice."""
        tokens = [TOKEN.search(name) for _, name in self.account.orders[self._order :]]
        self._order = len(self.account.orders)
        for token in tokens:
            assert token is not None
            ((track_id,),) = self.query("SELECT track_id FROM attempts WHERE token = ?", token[0])
            self._paid[track_id] += 1
            assert self._paid[track_id] == 1, f"{track_id} was paid {self._paid[track_id]} times"

    def _examine_rate(self) -> None:
        """No minute had more requests than are granted."""
        times = self.account.account.granted
        first = self._request
        for number in range(self._request, len(times)):
            while times[first] <= times[number] - MINUTE_SECONDS:
                first += 1
            self.busiest = max(self.busiest, number - first + 1)
        self._request = max(0, len(times) - 1)
        assert self.busiest <= self.account.account.window.limit

    def examine_end(self, published: Callable[[str], bool]) -> None:
        """Nothing is under way, reserved or left behind at the end."""
        states = Counter(dict(self.query("SELECT state, COUNT(*) FROM attempts GROUP BY state")))
        assert set(states) <= {"published", "released"}, states
        reserved = self.query("SELECT period, reserved FROM credit_totals WHERE reserved != 0")
        assert not reserved, reserved
        assert states["published"] == len(self.account.orders) == sum(self._paid.values())
        missing = [
            track_id
            for (track_id,) in self.query("SELECT track_id FROM tracks WHERE state != 'published'")
            if published(track_id)
        ]
        assert not missing, missing[:5]


def order_faults(books: YearBooks, placings: list[tuple[str, dict[str, int]]]) -> Iterator[str]:
    """Give where the first backfill reserved a track though one that goes before it was waiting.

    `placings` say from which instant on which track had which place.
    """
    changes = defaultdict(list)
    rows = books.query(
        "SELECT a.track_id, a.reserved_at, a.state, a.updated_at, r.backfill FROM attempts a "
        "JOIN runs r ON r.run_id = a.run_id"
    )
    for track_id, reserved_at, state, updated_at, backfill in rows:
        if state == "released":
            changes[updated_at].append((0, track_id, ""))
        changes[reserved_at].append((1, track_id, backfill or ""))
    instants = sorted(changes)
    taken: set[str] = set()
    for number, (since, places) in enumerate(placings):
        until = placings[number + 1][0] if number + 1 < len(placings) else "9"
        line = sorted(places, key=places.__getitem__)
        head = 0
        for at in (at for at in instants if since <= at < until):
            for kind, track_id, backfill in sorted(
                changes[at], key=lambda each: (each[0], places.get(each[1], 0))
            ):
                if kind == 0:
                    taken.discard(track_id)
                    head = min(head, places.get(track_id, head + 1) - 1)
                    continue
                while head < len(line) and line[head] in taken:
                    head += 1
                if backfill == OLD and line[head] != track_id:
                    yield f"{at}: {track_id} before {line[head]}"
                taken.add(track_id)
