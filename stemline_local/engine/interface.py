"""What every separation engine offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from stemline_local.engine.stft import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """What is to be separated, as it comes: blocks of float32 (n, channels) that are read once, in order."""

    blocks: Iterable[Floats]
    frames: int
    """How many all blocks hold together."""
    channels: int
    """One or two."""
    sample_rate: int


class SeparationEngine(Protocol):
    """Takes a mixture apart into stems that add up to it: exactly (draft) or nearly (demucs)."""

    name: str

    def is_experimental(self, stem: str) -> bool:
        """Tell whether `stem` is offered as a trial only: better than nothing, not fit for a dataset."""
        ...

    def separate(self, mixture: Mixture, stems: tuple[str, ...], quality: str) -> Iterator[Floats]:
        """Give the stems piece by piece, each float32 (stems, n, channels), in the order of `stems`.

        The pieces add up to the mixture's length. Memory does not grow with it.

        Raises:
            UsageError: a stem or a quality this engine does not know; at once.
        """
        ...
