"""What the dispatchers of one run share: the queue of planned tracks, and how many failed."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from stemline.dispatcher.pilot import Pilot
from stemline.ledger import Ledger, LostJob, PilotQuestion
from stemline.records import Track

PAGE_TRACKS = 200


@dataclass
class TrackQueue:
    """The run's queue of planned tracks. Every dispatcher takes from its head; any thread may call.

    Runs on other machines take from the same head of the same ledger. Once one of them was faster, tracks are taken
    anywhere on a page, as far as they have the head's priority: else each run would want what another one has just got.
    """

    ledger: Ledger
    run_id: str
    key_ids: tuple[str, ...] = ()
    """The API keys that submit."""
    pilot: Pilot | None = None
    """What the first tracks of a provider and recipe must pass; None: nothing."""
    keeps_place: bool = False
    """Whether the ledger is read on from where it was.

    A backfill's order is no index of what waits: from its front, all that is done would be gone through for each page.
    """
    on_change: Callable[[], object] = lambda: None
    """Called when a key's tracks may have made room in the pilot: the other keys look again."""
    lost: dict[str, LostJob] = field(default_factory=dict)
    """By track, the attempt whose job the provider did not know when it was last asked: who sends that track again asks
    once more before it is paid for, with the API key that made the job where there is still one."""
    _are_orphans_claimed: bool = False
    _page: deque[Track] = field(default_factory=deque)
    _last: Track | None = None
    """The last track that was read, where the next page begins behind it."""
    _handed_out: set[str] = field(default_factory=set)
    """Ids of tracks that a key is about to reserve: the ledger gives them still."""
    _has_rivals: bool = False
    """Whether other runs have taken tracks from the page of this one."""
    _failed: set[str] = field(default_factory=set)
    """Ids of the tracks that failed and have not come to a good end since."""
    _lock: Lock = field(default_factory=Lock)
    _retrying: Lock = field(default_factory=Lock)
    """Held until others can tell that a key is about to send again what failed: else they took the pilot for over."""

    def next_track(self, key_id: str = "") -> Track | None:
        """Give the next track for a key; None when no track is planned at present, or none may be sent yet.

        Raises PilotFailed when none may be sent at all.
        """
        with self._lock:
            self._read()
            if not self._page:
                return None
            if self.pilot is not None and not self.pilot.is_over:
                if not self.pilot.has_room():
                    return None
                self._forget()  # a track of the pilot that is to be tried again goes first
                self._read()
            track = self._take(key_id) if self._page else None
            if track is not None:
                self._handed_out.add(track.track_id)
                if self.pilot is not None:
                    self.pilot.hand_out(key_id, track.track_id)
            return track

    @property
    def question(self) -> PilotQuestion | None:
        """What a reservation must still ask of the pilot; None once it is over, or where there is none."""
        return None if self.pilot is None or self.pilot.is_over else self.pilot.question

    def reserved(self, track: Track) -> None:
        """Say that a track which was handed out is reserved, or was not."""
        with self._lock:
            self._handed_out.discard(track.track_id)
        if self.pilot is not None:
            self.pilot.reserved(track.track_id)

    def awaits_pilot(self, key_id: str) -> bool:
        """Tell whether a key with nothing under way should wait, since more may be sent once others have results."""
        if self.pilot is None or self.pilot.is_over:
            return False
        if self.pilot.note_idle(key_id):
            self.on_change()
        return self.pilot.is_awaited()

    def may_have_more(self, key_id: str) -> bool:
        """Tell whether the pilot leaves tracks for a key at its end; raises PilotFailed where it holds them.

        Meanwhile another key may have taken up a track again, or what came of one may have made room. What another
        key is about to reserve, or must ask for first, is that key's: whoever looked for it here would look for ever.
        """
        if self.pilot is None or not self._has_any(key_id):
            return False
        if self.pilot.has_room() or self.pilot.is_awaited():
            return True
        raise self.pilot.pending()

    def leave(self, key_id: str) -> None:
        """Say that a key submits nothing more."""
        if self.pilot is not None and self.pilot.note_idle(key_id):
            self.on_change()

    def claim_orphans(self) -> bool:
        """Tell whether the caller is the first to ask: attempts of other keys belong to one dispatcher."""
        with self._lock:
            is_first = not self._are_orphans_claimed
            self._are_orphans_claimed = True
            return is_first

    def find_lost(self, track_id: str) -> LostJob | None:
        """Give the lost job that is to be asked for before a track is paid for again; None where there is none."""
        with self._lock:
            return self.lost.get(track_id)

    def forget_lost(self, track_id: str) -> None:
        """Say that a track's lost job was asked for."""
        with self._lock:
            self.lost.pop(track_id, None)

    def refresh(self) -> None:
        """Forget what was read of the ledger: it has changed."""
        with self._lock:
            self._forget()

    def note_rival(self) -> None:
        """Say that another run was faster to reserve a track; what was read of the ledger is forgotten."""
        with self._lock:
            self._has_rivals = True
            self._forget()

    def retry_failed(self, key_id: str, max_attempts: int) -> bool:
        """Put failures that may be tried again back into the queue, for this key first; give whether there are any."""
        with self._retrying:
            is_retried = bool(self.ledger.tracks.retry_failed(self.run_id, max_attempts=max_attempts))
            if is_retried and self.pilot is not None:
                self.pilot.note_busy(key_id)
            return is_retried

    def count_failure(self, track_id: str) -> int:
        """Count a track as failed, once however often it is tried, and give how many there are."""
        with self._lock:
            self._failed.add(track_id)
            count = len(self._failed)
        if self.pilot is not None and not self.pilot.is_over:
            self.on_change()
        return count

    def _forget(self) -> None:
        self._page.clear()
        self._last = None

    def _take(self, key_id: str) -> Track | None:
        """Give the page's first track, or, where others want that, too, any that may go as early.

        While jobs are lost, it is the first that is not another key's to ask for; None when each of them is.
        """
        if self.lost:
            track = self._find_askable(key_id)
            if track is None:  # those of others fill what was left of the page
                self._forget()
                self._read()
                track = self._find_askable(key_id)
            if track is not None:
                self._page.remove(track)
            return track
        is_in_order = self.keeps_place or (self.pilot is not None and not self.pilot.is_over)
        if not self._has_rivals or is_in_order:
            return self._page.popleft()
        first = self._page[0].priority
        place = random.randrange(sum(track.priority == first for track in self._page))  # noqa: S311 - no secret
        track = self._page[place]
        del self._page[place]
        return track

    def _has_any(self, key_id: str) -> bool:
        """Tell whether any track is planned that this key may take."""
        with self._lock:
            size = 1 + len(self._handed_out) + len(self.lost)
            found = self.ledger.tracks.next_planned(self.run_id, size)
            return any(
                track.track_id not in self._handed_out and self._may_ask(key_id, track) for track in found
            )

    def _find_askable(self, key_id: str) -> Track | None:
        return next((each for each in self._page if self._may_ask(key_id, each)), None)

    def _may_ask(self, key_id: str, track: Track) -> bool:
        lost = self.lost.get(track.track_id)
        return lost is None or lost.key_id == key_id or lost.key_id not in self.key_ids

    def _read(self) -> None:
        if self._page:
            return
        size = PAGE_TRACKS + len(self._handed_out) + len(self.lost)
        found = self.ledger.tracks.next_planned(self.run_id, size, after=self._last)
        if not found and self._last is not None:  # what was planned again meanwhile may be in front
            found = self.ledger.tracks.next_planned(self.run_id, size)
        self._page.extend(track for track in found if track.track_id not in self._handed_out)
        self._last = found[-1] if found and self.keeps_place else None

    def count_success(self, track_id: str) -> None:
        """Count a track as failed no longer."""
        with self._lock:
            self._failed.discard(track_id)
