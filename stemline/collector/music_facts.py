"""Tempo and key of a track: as its provider says, else its manifest, else measured in its stems."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from stemline.analysis import estimate_key, estimate_tempo
from stemline.collector.mixdown import MonoAudio, local_source
from stemline.records import ReadyTrack


@dataclass(frozen=True, slots=True)
class MusicFacts:
    """Tempo and key, and where each comes from: `provider`, `manifest` or `stemline`."""

    bpm: float | None = None
    key: str | None = None
    bpm_source: str | None = None
    key_source: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether both are known."""
        return self.bpm is not None and self.key is not None


def known_music(ready: ReadyTrack) -> MusicFacts:
    """Give what the provider's answer and the manifest's columns `bpm` and `key` say."""
    columns = ready.attempt.track.columns
    bpms = {"provider": _number(ready.job.bpm), "manifest": _number(columns.get("bpm"))}
    keys = {"provider": ready.job.key, "manifest": str(columns.get("key") or "").strip() or None}
    bpm_source = next((source for source, bpm in bpms.items() if bpm is not None), None)
    key_source = next((source for source, key in keys.items() if key is not None), None)
    return MusicFacts(bpms.get(bpm_source or ""), keys.get(key_source or ""), bpm_source, key_source)


def needs_mixdown(ready: ReadyTrack) -> bool:
    """Tell whether the sum of the stems is needed: tempo or key are not known, or the source is here to compare."""
    return not known_music(ready).is_complete or local_source(ready) is not None


def measure_music(known: MusicFacts, mixed: MonoAudio) -> MusicFacts:
    """Give what is known, and measure what is not in the sum of the stems.

    That is the mixture again, except for a recipe of one stem.
    """
    facts = known
    if known.bpm is None:
        bpm = estimate_tempo(mixed.samples, mixed.sample_rate).bpm
        facts = replace(facts, bpm=bpm, bpm_source=None if bpm is None else "stemline")
    if known.key is None:
        key = estimate_key(mixed.samples, mixed.sample_rate).name
        facts = replace(facts, key=key, key_source=None if key is None else "stemline")
    return facts


def _number(value: object) -> float | None:
    """Give a positive number; None for anything else."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
