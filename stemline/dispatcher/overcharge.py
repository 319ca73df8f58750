"""Charges that are far above what the audio is worth: the provider's word is booked, and a person is told."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stemline.records import Attempt, Job

FAR_ABOVE = 2
"""So many times what its audio is worth a charge is odd: a credit is a second, and prices differ by less."""


@dataclass(slots=True)
class Overcharge:
    """What the provider says it charged for tracks that are worth far less, and what they are worth."""

    tracks: int = 0
    charged: int = 0
    worth: int = 0

    def note(self, attempt: Attempt, job: Job) -> None:
        """Take note of a job that is done, if its charge is odd."""
        seconds = job.duration_seconds or attempt.track.duration_seconds
        if seconds and (job.credits_charged or 0) > FAR_ABOVE * math.ceil(seconds):
            self.add(Overcharge(1, job.credits_charged or 0, math.ceil(seconds)))

    def add(self, other: Overcharge) -> None:
        """Count another key's, or another track's, as well."""
        self.tracks += other.tracks
        self.charged += other.charged
        self.worth += other.worth
