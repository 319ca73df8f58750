"""The pilot: the first tracks of a provider and recipe come back verified before others are sent.

What it has come to stands in the ledger: a run that was cut off goes on with it, a key or a run beside it shares it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

from stemline.errors import PilotFailed
from stemline.ledger import Ledger, PilotQuestion, PilotStanding, PilotTrack

SHOWN = 3


@dataclass
class Pilot:
    """Decides whether one more track may be sent; any thread may ask."""

    ledger: Ledger
    question: PilotQuestion
    is_over: bool = False
    """Whether the provider is trusted with the rest: from then on nothing is asked."""
    _handed_out: set[str] = field(default_factory=set)
    """Tracks that are about to be reserved, and of which the ledger knows nothing yet."""
    _idle: set[str] = field(default_factory=set)
    """The keys of this run that have nothing under way."""
    _lock: Lock = field(default_factory=Lock)

    def has_room(self) -> bool:
        """Tell whether one more track may be sent at present; raises PilotFailed where none may, ever.

        Another run may be faster: `reserve` asks once more.
        """
        if self.is_over:
            return True
        with self._lock:
            standing = self._standing()
            return self.is_over or standing.room > len(self._handed_out)

    def hand_out(self, key_id: str, track_id: str) -> None:
        """Take note of a track that this key is about to reserve."""
        with self._lock:
            self._idle.discard(key_id)
            if not self.is_over:
                self._handed_out.add(track_id)

    def reserved(self, track_id: str) -> None:
        """Take note that the ledger knows of it by now, or that it was not reserved."""
        with self._lock:
            self._handed_out.discard(track_id)

    def note_idle(self, key_id: str) -> bool:
        """Take note that a key has nothing under way, or submits nothing more; give whether that is news."""
        with self._lock:
            is_news = key_id not in self._idle
            self._idle.add(key_id)
            return is_news

    def note_busy(self, key_id: str) -> None:
        """Take note that a key is about to ask for a track."""
        with self._lock:
            self._idle.discard(key_id)

    def is_awaited(self) -> bool:
        """Tell whether a key that has nothing under way should wait for what others have."""
        with self._lock:
            if self.is_over:
                return False
            return bool({*self.question.key_ids} - self._idle) or self._standing().is_elsewhere

    def pending(self) -> PilotFailed:
        """Give why the rest is held where the pilot came to no end."""
        standing = self._standing()
        return PilotFailed(
            f"The first {standing.size} tracks of {self._name} must come back verified before others are sent; "
            f"{standing.verified} did, and {standing.under_way} are under way.{_said(standing.uncollected)}",
            fix="Run again: it goes on with them, and pays for no others until then.",
        )

    @property
    def _name(self) -> str:
        return f"recipe {self.question.recipe.name} with {self.question.provider}"

    def _standing(self) -> PilotStanding:
        """Read how it stands; raises PilotFailed when more than half came back bad."""
        standing = self.ledger.pilots.standing(self.question)
        self.is_over = standing.is_passed
        if standing.is_failed:
            raise self._failed(standing)
        return standing

    def _failed(self, standing: PilotStanding) -> PilotFailed:
        bad = len(standing.bad)
        return PilotFailed(
            f"{bad} of the first {bad + standing.verified} tracks of {self._name} did not come back as they should, "
            f"so nothing more is sent.{_said(standing.bad)}",
            fix="Look at them: those that are right, `stemline resolve CONFIG TRACK --accept`; a wrong recipe, change "
            "it; otherwise `--set provider.pilot=0 --limit N` tries as few others as you like.",
        )


def _said(bad: tuple[PilotTrack, ...]) -> str:
    """Give what is said of the first of these tracks."""
    return "".join(f" {track.track_id}: {track.sentence}" for track in bad[:SHOWN])
