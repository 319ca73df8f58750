"""Stems a provider does not sell, mixed down from those it does: derived, and recorded as such."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from stemline.audio import decode, encode

PARTS: dict[str, tuple[str, ...]] = {"instrumental": ("drums", "bass", "other")}
"""What each derivable stem is the sum of."""


def parts_of(stem: str, offered: Collection[str]) -> tuple[str, ...]:
    """Give the stems that make up one that is not offered; empty when they are not offered either."""
    parts = PARTS.get(stem, ())
    return parts if set(parts) <= set(offered) else ()


def mix_down(parts: Sequence[Path], path: Path, audio_format: str) -> None:
    """Write the sum of files of one sample rate; a part that ends early counts as silent from there.

    Raises:
        AudioRejected: a part cannot be decoded.
    """
    first = decode(parts[0])
    mixed = np.array(first.samples)
    for part in parts[1:]:
        samples = decode(part).samples
        shared = min(len(mixed), len(samples))
        mixed[:shared] += samples[:shared]
    encode(path, mixed, first.sample_rate, audio_format)
