"""Rows of the manifest put into the ledger, but for those that were forgotten, at this very moment too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stemline.errors import TombstonesAdded
from stemline.known_tombstones import take_over_tombstones
from stemline.ledger import Ledger
from stemline.plan.survey import SurveyedBatch, without_forgotten
from stemline.storage import Store
from stemline.tombstone import TombstoneIndex


@dataclass
class BatchPlanning:
    """Plans batches for one run."""

    ledger: Ledger
    store: Store
    run_id: str
    max_attempts: int
    again: Mapping[str, int] = field(default_factory=dict)
    """Published tracks that are made again, as `tracks.plan` takes them."""
    tombstones: TombstoneIndex = field(init=False)
    """As they were when the rows were begun to be read."""
    _latest: TombstoneIndex = field(init=False)

    def __post_init__(self) -> None:
        """Read them."""
        self.tombstones = self._latest = take_over_tombstones(self.ledger, self.store)

    def plan(self, batch: SurveyedBatch, again: Mapping[str, int] | None = None) -> SurveyedBatch:
        """Plan a batch's tracks and give the batch; what was forgotten since it was read is among its rejects.

        `again` are those to be made again whatever became of them, with their last attempts.
        """
        while True:
            if self._latest is not self.tombstones:
                batch = without_forgotten(batch, self._latest)
            try:
                self.ledger.tracks.plan(
                    self.run_id,
                    batch.tracks,
                    max_attempts=self.max_attempts,
                    away=batch.away,
                    tombstones_known=self._latest.number,
                    again=self.again if again is None else again,
                )
            except TombstonesAdded:
                self._latest = take_over_tombstones(self.ledger, self.store)
            else:
                return batch
