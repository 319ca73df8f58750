"""What is asked of an export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stemline.errors import UsageError

RATES = (1_000, 384_000)
SHORTEST_SECONDS = 0.05

Refusal = Callable[[str | None, str | None], str | None]
"""Gives why a track with this `license_spdx` and `ai_training` may not leave; None: it may."""


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
    allowed_licenses: tuple[str, ...] = ()
    is_ai_training_required: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for a rate or a length that no sound has."""
        if self.sample_rate is not None and not RATES[0] <= self.sample_rate <= RATES[1]:
            raise UsageError(
                f"There is no --sample-rate {self.sample_rate}.",
                fix=f"Give one of {RATES[0]} to {RATES[1]} Hz, such as 44100.",
            )
        if self.seconds is not None and not SHORTEST_SECONDS <= self.seconds < float("inf"):
            raise UsageError(
                f"There is no window of --seconds {self.seconds:g}.",
                fix=f"Give at least {SHORTEST_SECONDS:g}, such as 6.",
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
            "allow_license": sorted(self.allowed_licenses),
            "require_ai_training": self.is_ai_training_required,
        }
