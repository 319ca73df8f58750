"""What tracks still to do add up to, and which of them the budget has room for."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from stemline.plan.allowance import Allowance
from stemline.settings import ProviderFacts


class Piece(NamedTuple):
    """One track still to do, as a plan sees it."""

    seconds: float | None
    """None: the provider alone knows how long it is."""
    is_upload: bool


@dataclass(slots=True)
class Work:
    """What tracks still to do add up to."""

    tracks: int = 0
    uploads: int = 0
    audio_seconds: float = 0.0
    longest_seconds: float = 0.0
    credits_low: int = 0
    credits_high: int = 0

    def add(self, seconds: float, *, is_upload: bool, least: float | None = None) -> None:
        """Count a track in. No vendor says how it rounds: down is the least, up is what is reserved.

        `least` is for a track of unknown length: it is `seconds` long at most.
        """
        self.tracks += 1
        self.uploads += is_upload
        self.audio_seconds += seconds
        self.longest_seconds = max(self.longest_seconds, seconds)
        self.credits_low += math.floor(seconds if least is None else least)
        self.credits_high += reserved(seconds)


class Queue:
    """Tracks still to do, as figures alone: a million of them must fit."""

    def __init__(self) -> None:
        """Begin with none."""
        self._priority, self._seconds, self._is_upload = array("q"), array("d"), array("b")

    def add(self, priority: int, piece: Piece) -> None:
        """Put a track in line."""
        self._priority.append(priority)
        self._seconds.append(math.nan if piece.seconds is None else piece.seconds)
        self._is_upload.append(piece.is_upload)

    def in_order(self) -> Iterator[Piece]:
        """Give the tracks by priority; those of one priority stay in the manifest's order."""
        for place in sorted(range(len(self._priority)), key=lambda place: -self._priority[place]):
            seconds = self._seconds[place]
            yield Piece(None if math.isnan(seconds) else seconds, bool(self._is_upload[place]))


def reserved(seconds: float) -> int:
    """Give the credits a run reserves for so much audio."""
    return max(1, math.ceil(seconds))


def fill(pieces: Iterable[Piece], allowance: Allowance, facts: ProviderFacts) -> tuple[Work, Work]:
    """Fill the budget in the order a run would; give what fits, and what is held."""
    work, held = Work(), Work()
    for piece in pieces:
        seconds = facts.max_duration_seconds if piece.seconds is None else piece.seconds
        least = facts.min_duration_seconds if piece.seconds is None else None
        # A run ends at the first track that does not fit, though a shorter one behind it might.
        fits = not held.tracks and allowance.take(reserved(seconds))
        (work if fits else held).add(seconds, is_upload=piece.is_upload, least=least)
    return work, held
