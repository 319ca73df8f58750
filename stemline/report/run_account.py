"""What a run's tracks came to: by artist, album and licence, how they sound, and each of them in a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from stemline.ledger import TrackAccount
from stemline.manifest.track_name import told, track_name
from stemline.records import MIX, State
from stemline.report.track_table import SHOWN_TRACKS, Cell, TrackColumn
from stemline.wording import PROBLEM_STATES

GROUPS = ("artist", "album", "license")
MOST_VALUES = 20_000
"""So many artists, albums or licences are told apart; later ones are counted together."""
COLUMNS = (
    TrackColumn("Track"),
    TrackColumn("Artist"),
    TrackColumn("Album"),
    TrackColumn("State", "state"),
    TrackColumn("Code"),
    TrackColumn("Length", "clock"),
    TrackColumn("bpm", "number"),
    TrackColumn("Key"),
    TrackColumn("Credits", "number"),
    TrackColumn("Licence"),
)
_Value = tuple[str, ...]


@dataclass(slots=True)
class ValueAccount:
    """What the tracks of one artist, album or licence came to."""

    tracks: int = 0
    published: int = 0
    failed: int = 0
    credits: int = 0
    seconds: float = 0.0
    """Of what is published."""

    def add(self, track: TrackAccount) -> None:
        """Count a track."""
        self.tracks += 1
        self.failed += track.state in PROBLEM_STATES
        self.credits += track.credits_charged
        if track.state == State.PUBLISHED:
            self.published += 1
            self.seconds += track.duration_seconds or 0.0


@dataclass(slots=True)
class RunAccount:
    """A run's tracks, counted; bounded in size however many there are."""

    total: int = 0
    states: Counter[State] = field(default_factory=Counter)
    rows: list[list[Cell]] = field(default_factory=list)
    """The first SHOWN_TRACKS of them, by COLUMNS."""
    groups: dict[str, dict[_Value | None, ValueAccount]] = field(
        default_factory=lambda: {group: {} for group in GROUPS}
    )
    """By GROUPS; None: the value is not told, `()`: beyond MOST_VALUES."""
    seconds: float = 0.0
    """Of what is published."""
    sounds: Counter[tuple[str, int | None, int | None]] = field(default_factory=Counter)
    """Stems by format, sample rate and channels."""
    verification: Counter[str] = field(default_factory=Counter)
    """Stems by what was found."""
    has_split: bool = False
    """Whether the manifest puts any of them into a split."""

    def add(self, track: TrackAccount) -> None:
        """Count a track."""
        self.total += 1
        self.states[track.state] += 1
        self.has_split = self.has_split or bool(told(track.columns, "split"))
        if len(self.rows) < SHOWN_TRACKS:
            self.rows.append(track_cells(track))
        for group in GROUPS:
            self._value(group, _group_value(track, group)).add(track)
        if track.state == State.PUBLISHED:
            self.seconds += track.duration_seconds or 0.0
            for stem in track.stems:
                if stem["stem"] != MIX:
                    self.sounds[stem["format"], stem["sample_rate"], stem["channels"]] += 1
                    self.verification.update(stem["verification"].split(","))

    def _value(self, group: str, value: _Value | None) -> ValueAccount:
        found = self.groups[group]
        if value not in found and len(found) >= MOST_VALUES:
            value = ()
        return found.setdefault(value, ValueAccount())


def read_account(tracks: Iterable[TrackAccount]) -> RunAccount:
    """Count a run's tracks."""
    account = RunAccount()
    for track in tracks:
        account.add(track)
    return account


def track_rows(tracks: Iterable[TrackAccount]) -> Iterator[list[Cell]]:
    """Give the rows of all tracks, one by one."""
    return (track_cells(track) for track in tracks)


def track_cells(track: TrackAccount) -> list[Cell]:
    """Give the row of a track, by COLUMNS."""
    name = track_name(track.columns, track.location)
    return [
        name.title or track.track_id,
        name.artist,
        told(track.columns, "album"),
        str(track.state),
        "" if track.code == "ok" else str(track.code),
        track.duration_seconds,
        track.bpm,
        track.key,
        track.credits_charged,
        told(track.columns, "license"),
    ]


def _group_value(track: TrackAccount, group: str) -> _Value | None:
    value = told(track.columns, group)
    if not value:
        return None
    # Two artists may have an album of one name.
    return (value, told(track.columns, "artist")) if group == "album" else (value,)
