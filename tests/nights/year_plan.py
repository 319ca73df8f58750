"""What happens in a year, drawn from a seed: night by night, each complete in itself so that any may be left out."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from year_vendor import Mood

TRACKS = 24
MOODS = (
    Mood(),
    Mood(fault_share=0.05),
    Mood(fault_share=0.25),
    Mood(fates=(("fails", 0.15),)),
    Mood(fates=(("fails_paid", 0.15),)),
    Mood(fates=(("stuck", 0.15),)),
    Mood(fates=(("spoilt", 0.3), ("bad", 0.1)), cut_share=0.1),
    Mood(fates=(("silent", 0.2),), fault_share=0.05),
    Mood(cut_share=0.4),
    Mood(price=1.5),
    Mood(price=0.5),
    Mood(price=1.25, fault_share=0.1),
    Mood(lists_days=5.0, fault_share=0.1),
    Mood(lists_days=0.01, fault_share=0.2),
    Mood(forgets_days=14.0, fates=(("stuck", 0.1),)),
    Mood(fault_share=0.15, fates=(("fails", 0.1), ("stuck", 0.05), ("spoilt", 0.1), ("silent", 0.05)), cut_share=0.1),
)  # fmt: skip
BAD_VENDOR = Mood(fates=(("silent", 1.0),))
KINDS = ("text", "integer", "number", "boolean", "date", "list", "codes", "empty")
"""What the values of a column are."""
BASE = (("mood", "text"), ("plays", "integer"))
FORMATS = ("csv", "jsonl", "parquet")
PAID_AGAIN = ("outputs_expired", "truncated", "all_silent", "job_lost")


@dataclass(frozen=True)
class Kill:
    """When a process dies: after so many transactions, at a write into the dataset, or after so many seconds."""

    what: str
    count: int
    pause: float
    """How long nothing runs behind it."""


@dataclass(frozen=True)
class Night:
    """All that is particular about one night."""

    pause_days: int = 1
    hour: float = 1.0
    rows: tuple[int, ...] = ()
    version: int = 0
    """Of the metadata: tracks of this number and below have theirs corrected."""
    columns: tuple[tuple[str, str], ...] = BASE
    manifest: str = "csv"
    mood: Mood = MOODS[0]
    budget: tuple[tuple[str, int], ...] = ()
    keys: tuple[int, ...] = (0,)
    second_key: int | None = None
    """Another run at the same time, with this one."""
    revoked: tuple[int, ...] = ()
    kills: tuple[Kill, ...] = ()
    interrupted_after: float | None = None
    ledger: str | None = None
    """lost | backed up | restored"""
    is_elsewhere: bool = False
    """Whether somebody points the configuration to an empty dataset first."""
    credits_left: int | None = None
    """What the vendor's balance is at; None: plenty."""
    job_timeout: str = "4m"
    redrive: tuple[str, ...] | None = None
    resolve: str | None = None
    """What a person does with unknown tracks: resubmit | abandon"""
    shares_account: bool = True

    def __str__(self) -> str:
        """Give what differs from a quiet night."""
        usual = Night()
        told = {name: value for name, value in vars(self).items() if value != getattr(usual, name)}
        return ", ".join(f"{name}={value!r}" for name, value in told.items())


@dataclass(frozen=True)
class Year:
    """A seed's nights."""

    seed: str
    nights: tuple[Night, ...]
    first_vendor_is_bad: bool = False
    tracks: int = TRACKS
    lengths: dict[str, int] = field(default_factory=dict)

    def without(self, number: int) -> Year:
        """Leave a night out."""
        return replace(self, nights=self.nights[:number] + self.nights[number + 1 :])


def draw_year(seed: str) -> Year:
    """Give the year of a seed, the same each time."""
    chance = random.Random(f"year {seed}")  # noqa: S311 - repeatable, no secret
    tracks = chance.randint(6, TRACKS)
    drawing = _Drawing(chance, tracks)
    nights, days = [], 0
    while days < 330:  # what follows is the year's end
        night = drawing.night()
        nights.append(night)
        days += night.pause_days
    return Year(seed, tuple(nights), chance.random() < 0.1, tracks, lengths_of(tracks))


def lengths_of(tracks: int) -> dict[str, int]:
    """Give every track's length: each has another, so that no charge passes for another's."""
    return {name_of(number): 10 + number for number in range(tracks)}


def name_of(number: int) -> str:
    """Give a track's id."""
    return f"t{number:02}"


@dataclass
class _Drawing:
    chance: random.Random
    tracks: int
    columns: tuple[tuple[str, str], ...] = BASE
    key: int = 0
    revoked: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.present = set(range(self.chance.randint(1, self.tracks)))

    def night(self) -> Night:
        chance = self.chance
        self._change_rows()
        self._change_keys()
        second = chance.random() < 0.12
        return Night(
            pause_days=chance.choice([1, 14, 30, 45, 60, 90]),
            hour=chance.uniform(0, 14),
            rows=tuple(sorted(self.present)),
            version=chance.randint(1, 4) * 100 + chance.randrange(self.tracks)
            if chance.random() < 0.3
            else 0,
            columns=self._columns(),
            manifest=chance.choice(FORMATS),
            mood=chance.choice(MOODS) if chance.random() < 0.7 else MOODS[0],
            budget=self._budget(),
            keys=(self.key, self.key + 50) if chance.random() < 0.15 else (self.key,),
            second_key=self.key + 100 if second else None,
            revoked=self.revoked,
            kills=tuple(self._kill() for _ in range(chance.choice([0, 0, 0, 1, 1, 2]))),
            interrupted_after=chance.uniform(0, 200) if chance.random() < 0.08 else None,
            ledger=chance.choice([None] * 8 + ["lost", "backed up", "backed up", "restored"]),
            is_elsewhere=chance.random() < 0.05,
            credits_left=chance.randint(0, 150) if chance.random() < 0.1 else None,
            job_timeout=chance.choice(["4m", "4m", "10m"]),
            redrive=chance.choice([None] * 8 + [(), (), PAID_AGAIN]),
            resolve=chance.choice([None] * 6 + ["resubmit", "abandon"]),
        )

    def _change_rows(self) -> None:
        chance = self.chance
        for number in range(self.tracks):
            share = 0.1 if number in self.present else 0.2
            if chance.random() < share:
                self.present ^= {number}
        self.present = self.present or {0}

    def _change_keys(self) -> None:
        if self.chance.random() < 0.07:
            self.revoked, self.key = (*self.revoked, self.key), self.key + 1

    def _columns(self) -> tuple[tuple[str, str], ...]:
        """Give what the manifest carries besides: most weeks as before, some with more, fewer or others."""
        chance, columns = self.chance, dict(self.columns)
        if chance.random() < 0.15:
            columns[chance.choice(["genre", "year", "ratio", "live", "day", "tags", "upc", "note"])] = (
                chance.choice(KINDS)
            )
        if chance.random() < 0.1 and len(columns) > 1:
            columns.pop(chance.choice(list(columns)))
        self.columns = tuple(columns.items())
        if chance.random() < 0.15:
            columns[chance.choice(list(columns))] = chance.choice([*KINDS, "odd"])
        return tuple(columns.items())

    def _budget(self) -> tuple[tuple[str, int], ...]:
        chance = self.chance
        limits = {
            "run": chance.randint(0, 120),
            "day": chance.randint(0, 150),
            "month": chance.randint(0, 400),
        }
        return tuple((name, limit) for name, limit in limits.items() if chance.random() < 0.15)

    def _kill(self) -> Kill:
        what = self.chance.choice(["transactions", "transactions", "objects", "seconds"])
        most = {"transactions": 80, "objects": 30, "seconds": 300}[what]
        return Kill(what, self.chance.randint(1, most), self.chance.choice([70.0, 70.0, 5.0, 4_000.0]))
