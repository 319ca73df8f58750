"""What every separation engine offers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stemline_local.engine.stft import Floats

Progress = Callable[[float], None]
"""Is told the share that is done, 0..1."""


class SeparationEngine(Protocol):
    """Takes a mixture apart into stems that add up to it: exactly (draft) or nearly (demucs)."""

    name: str

    def is_experimental(self, stem: str) -> bool:
        """Tell whether `stem` is offered as a trial only: better than nothing, not fit for a dataset."""
        ...

    def separate(
        self, samples: Floats, sample_rate: int, stems: tuple[str, ...], quality: str, on_progress: Progress
    ) -> dict[str, Floats]:
        """Give each of `stems` as float32 (n, channels) of the mixture's shape; `samples` has 1 or 2 channels.

        Raises:
            UsageError: a stem or a quality this engine does not know.
        """
        ...
