"""Book what collecting a track came to."""

from __future__ import annotations

from dataclasses import dataclass

from stemline.collector import CollectResult
from stemline.errors import LedgerConflict
from stemline.ledger import Ledger
from stemline.publisher import Publisher
from stemline.records import Code, CollectedTrack, Failure, ReadyTrack, State
from stemline.run.summary import LengthTally, MixTally

ENDED = frozenset({State.COLLECTED, State.PUBLISHED, State.QUARANTINED, State.EXPIRED})
"""The states in which collecting a track leaves it."""


@dataclass(frozen=True)
class Booking:
    """Puts outcomes into the ledger, and counts the mixes and the lengths that were given wrong among them.

    What a key has made that no run holds, two runs may collect at once: the one that comes second changes nothing.
    """

    ledger: Ledger
    publisher: Publisher
    mixes: MixTally
    lengths: LengthTally

    def book(self, ready: ReadyTrack, outcome: CollectResult) -> State | None:
        """Give the state that the track has by this outcome; None when it changed nothing.

        Raises:
            LedgerConflict: the attempt stands where nobody who collected it has left it.
        """
        try:
            if isinstance(outcome, CollectedTrack):
                is_news = self.ledger.attempts.record_collected(outcome)
                self.mixes.count(ready.attempt.track.track_id, outcome)
                self.lengths.count(ready.attempt.track, outcome)
                self.publisher.clear_kept(ready.attempt, is_kept=ready.is_repeated)
                return State.COLLECTED if is_news else None
            if isinstance(outcome, Failure):
                self.ledger.attempts.fail(outcome)
                return outcome.state
            if ready.is_last:  # no fresh links are asked for in this run: it is said why
                code = Code.DOWNLOAD_FAILED
                failure = Failure(outcome.token, State.READY, code, outcome.sentence, is_retryable=True)
                self.ledger.attempts.fail(failure)
        except LedgerConflict:
            if not self._has_ended(ready):
                raise
        return None

    def _has_ended(self, ready: ReadyTrack) -> bool:
        attempt = ready.attempt
        found = self.ledger.tracks.states(attempt.provider, attempt.recipe, [attempt.track.track_id])
        return not ENDED.isdisjoint(found.values())
