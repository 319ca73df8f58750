"""What is asked of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stemline.errors import UsageError
from stemline.reader.resampling import RATES
from stemline.reader.window_request import LONGEST_SECONDS
from stemline.rights import EVERY_TRACK, RightsGate

SHORTEST_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Which tracks, and how their sound is wanted."""

    form: str
    release: str | None = None
    """None: the dataset as it is now."""
    split: str | None = None
    where: str | None = None
    """An SQL expression over the tracks table."""
    stems: tuple[str, ...] = ()
    """None named: all there are."""
    sample_rate: int | None = None
    is_mono: bool = False
    seconds: float | None = None
    """Each track is cut into windows of so many seconds."""
    gate: RightsGate = EVERY_TRACK
    """Which rights a track must have to leave."""

    def __post_init__(self) -> None:
        """Raise UsageError for a rate or a length that no sound has."""
        if self.sample_rate is not None and not RATES[0] <= self.sample_rate <= RATES[1]:
            raise UsageError(
                f"There is no --sample-rate {self.sample_rate}.",
                fix=f"Give one of {RATES[0]} to {RATES[1]} Hz, such as 44100.",
            )
        if self.seconds is not None and not SHORTEST_SECONDS <= self.seconds <= LONGEST_SECONDS:
            raise UsageError(
                f"There is no window of --seconds {self.seconds:g}.",
                fix=f"Give one of {SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g}, such as 6.",
            )

    @property
    def is_recoded(self) -> bool:
        """Whether sound is decoded and written anew, rather than copied as it is."""
        return self.seconds is not None or self.sample_rate is not None or self.is_mono

    def as_tree(self) -> dict[str, Any]:
        """Give what `export.json` tells of it, and what its digest is made of: nothing of where it goes."""
        return {
            "to": self.form,
            "release": self.release,
            "split": self.split,
            "where": self.where,
            "stems": sorted(self.stems),
            "sample_rate": self.sample_rate,
            "mono": self.is_mono,
            "seconds": self.seconds,
            "rights": self.gate.as_tree(),
        }
