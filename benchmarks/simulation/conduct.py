"""How a simulated vendor behaves."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Conduct:
    """Its dialect, its limits and its speed; everything random comes from `seed`."""

    dialect: Literal["stemsplit", "aistemsplitter"] = "stemsplit"
    window: Literal["fixed", "sliding"] = "sliding"
    requests_per_minute: int = 60
    job_seconds: float = 150.0
    spread: float = 0.3
    """A job takes up to so much more or less, as a share."""
    tail_share: float = 0.0
    """So many jobs are stragglers, and take up to `tail_factor` times as long."""
    tail_factor: float = 6.0
    max_running: int | None = None
    """How many jobs it works on at once; the others wait in the order they came."""
    calls_back: bool = False
    """Whether it tells by webhook that a job has ended."""
    round_trip_seconds: tuple[float, float] = (0.05, 0.3)
    seed: int = 1

    def draw_job(self, chance: random.Random) -> float:
        """Give the seconds that a job takes."""
        factor = chance.uniform(1 - self.spread, 1 + self.spread)
        if chance.random() < self.tail_share:
            factor *= chance.uniform(2, self.tail_factor)
        return self.job_seconds * factor

    def draw_trip(self, chance: random.Random) -> float:
        """Give the seconds of one way of a request."""
        return chance.uniform(*self.round_trip_seconds) / 2
