"""What windows are asked for, checked as far as that needs no dataset."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stemline.activity import QUIETEST_DBFS
from stemline.errors import UsageError

QUIETEST_WINDOW_DBFS = -60.0
"""Below, a window is silent: the sum of its stems, if nothing else is asked for."""
LONGEST_SECONDS = 3600.0
PREFETCH_BYTES = 64 << 20


@dataclass(frozen=True)
class WindowRequest:
    """Which windows are drawn from."""

    seconds: float
    stems: tuple[str, ...]
    split: str | None = None
    where: str | None = None
    min_rms_dbfs: float | Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        """Refuse what no dataset has; raises UsageError."""
        require_number("seconds", self.seconds, lowest=0.01, highest=LONGEST_SECONDS)
        for name, floor in self.floors.items():
            require_number(f"min_rms_dbfs of {name!r}", floor, lowest=QUIETEST_DBFS, highest=0.0)
            if name not in self.stems:
                raise UsageError(
                    f"min_rms_dbfs names {name!r}, which is none of the stems asked for.",
                    fix=f"They are {', '.join(self.stems)}.",
                )
        for name, text in (("split", self.split), ("where", self.where)):
            if text is not None and not isinstance(text, str):
                raise UsageError(f"{name} is {text!r}.", fix="Give a text, or None.")
        require_number("min_rms_dbfs", self.floor, lowest=QUIETEST_DBFS, highest=0.0)

    @property
    def floors(self) -> Mapping[str, float]:
        """How loud single stems have to be, in dBFS."""
        return self.min_rms_dbfs if isinstance(self.min_rms_dbfs, Mapping) else {}

    @property
    def floor(self) -> float:
        """How loud the sum of the stems has to be."""
        if self.min_rms_dbfs is None or isinstance(self.min_rms_dbfs, Mapping):
            return QUIETEST_WINDOW_DBFS
        return self.min_rms_dbfs

    def as_text(self) -> str:
        """Give all of it, for digests."""
        tree = {**asdict(self), "min_rms_dbfs": [self.floor, sorted(self.floors.items())]}
        return json.dumps(tree, sort_keys=True)


@dataclass(frozen=True)
class Delivery:
    """In which order and to whom windows are given, and what is read ahead."""

    seed: int = 0
    epochs: int | None = 1
    """How many one iteration goes through; None: it never ends."""
    rank: int | None = None
    world_size: int | None = None
    prefetch_bytes: int = PREFETCH_BYTES
    """How much sound may be waiting, or on its way, in each worker."""
    as_torch: bool | None = None
    """As an IterableDataset of torch; None: if torch is imported."""

    def __post_init__(self) -> None:
        """Refuse what cannot be; raises UsageError."""
        require_count("seed", self.seed)
        require_count("epochs", self.epochs, 1, or_none=True)
        require_count("prefetch_bytes", self.prefetch_bytes)
        require_count("rank", self.rank, or_none=True)
        require_count("world_size", self.world_size, 1, or_none=True)
        if (self.rank is None) != (self.world_size is None):
            raise UsageError("rank and world_size go together.", fix="Give both, or neither.")
        if self.rank is not None and not self.rank < (self.world_size or 0):
            raise UsageError(f"There is no rank {self.rank} of {self.world_size}.", fix="Ranks count from 0.")


def stem_names(stems: Sequence[str]) -> tuple[str, ...]:
    """Give stems as a tuple, each once; raises UsageError for a single text, or none."""
    if isinstance(stems, str) or not stems:
        raise UsageError(f"stems is {stems!r}.", fix='Give a tuple of names, such as ("vocals", "drums").')
    return tuple(dict.fromkeys(stems))


def require_count(name: str, value: Any, lowest: int = 0, *, or_none: bool = False) -> None:  # noqa: ANN401 - a person's
    """Raise UsageError for what is no whole number from `lowest` on, nor None where that may be."""
    if value is None and or_none:
        return
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < lowest:
        raise UsageError(
            f"{name} is {value!r}.",
            fix=f"Give a whole number from {lowest} on{', or None' if or_none else ''}.",
        )


def require_number(name: str, value: Any, *, lowest: float, highest: float) -> None:  # noqa: ANN401 - a person's
    """Raise UsageError for what is no finite number, or out of its bounds."""
    is_number = (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )
    if not is_number or not lowest <= value <= highest:
        raise UsageError(f"{name} is {value!r}.", fix=f"Give a number from {lowest:g} to {highest:g}.")
