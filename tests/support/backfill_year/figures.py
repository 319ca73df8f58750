"""What a simulated year of a backfill came to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class YearFigures:
    """What a year came to."""

    days: float = 0.0
    wall_seconds: float = 0.0
    orders: int = 0
    refused: int = 0
    busiest_minute: int = 0
    closest: dict[str, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    """How long each nightly run waited for the key."""
    nights: list[float] = field(default_factory=list)
    """How long each took, from when it was begun."""
    forecasts: list[tuple[str, float, float, float]] = field(default_factory=list)
    """When it was made, and on which day the backfill was to end at the earliest and latest, and did end."""
    out_of_order: list[str] = field(default_factory=list)
    killed: int = 0
    runs: int = 0
    rate_share: float = 0.0
    """Requests of the backfill, as a share of those it was granted in the minutes in which it sent any."""
