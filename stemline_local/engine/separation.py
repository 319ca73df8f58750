"""Carries out one order from file to files: decode, separate, measure tempo and key, write."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from stemline import audio
from stemline.analysis import estimate_key, estimate_tempo
from stemline.errors import AudioRejected, UsageError
from stemline.probe.probing import probe
from stemline.records import STEMS, Code
from stemline_local.engine.demucs import DemucsEngine, find_weights, model_for
from stemline_local.engine.draft import DraftEngine
from stemline_local.engine.interface import Progress, SeparationEngine
from stemline_local.engine.stft import Floats

ENGINES = ("auto", "draft", "demucs")
LOST_SECONDS, LOST_SHARE = 1.0, 0.01
"""How much of a source may be missing where it is decoded, whichever is more."""
SIDE_GAIN = np.float32(0.7071)
"""What a channel beyond the first two counts for on either side."""


@dataclass(frozen=True, slots=True)
class SeparationOrder:
    """What is asked of an engine, in the words of a recipe."""

    stems: str
    """vocals | instrumental | both | four | six."""
    quality: str
    """fast | balanced | best."""
    format: str
    """mp3 | wav | flac."""
    engine: str = "auto"
    """auto | draft | demucs."""


@dataclass(frozen=True, slots=True)
class SeparatedFile:
    """The stems of one file, with tempo, key and length."""

    stems: dict[str, Path]
    bpm: float | None
    key: str | None
    duration_seconds: float
    engine: str
    experimental: tuple[str, ...]
    """The stems that are a trial only."""


def separate_file(source: Path, folder: Path, order: SeparationOrder, on_progress: Progress) -> SeparatedFile:
    """Write the stems of `source` to `folder`/<stem>.<format> and give them with tempo, key and length.

    Stems have the source's sample rate (an mp3 the nearest it can hold) and its one or two channels; a source with
    more channels is mixed down to stereo first (`to_stereo`).

    Raises:
        AudioRejected: the source does not decode.
        UsageError: an order the engine cannot carry out.
    """
    if order.stems not in STEMS:
        raise UsageError(f"There is no order {order.stems!r}.", fix=f"Choose one of {', '.join(STEMS)}.")
    if order.format not in audio.FORMATS:
        raise UsageError(
            f"There is no format {order.format!r}.", fix=f"Choose one of {', '.join(audio.FORMATS)}."
        )
    engine = load_engine(order.engine, STEMS[order.stems])
    sound = audio.decode(source)
    _check_whole(source, sound.seconds)
    mixture, rate = to_stereo(sound.samples), sound.sample_rate
    tempo, key = estimate_tempo(mixture, rate), estimate_key(mixture, rate)
    made = engine.separate(
        mixture, rate, STEMS[order.stems], order.quality, lambda done: on_progress(0.05 + 0.8 * done)
    )
    paths = {}
    for number, stem in enumerate(STEMS[order.stems], 1):
        paths[stem] = folder / f"{stem}.{order.format}"
        audio.encode(paths[stem], made.pop(stem), rate, order.format)
        on_progress(0.85 + 0.15 * number / len(STEMS[order.stems]))
    experimental = tuple(stem for stem in paths if engine.is_experimental(stem))
    return SeparatedFile(paths, tempo.bpm, key.name, len(mixture) / rate, engine.name, experimental)


def _check_whole(source: Path, seconds: float) -> None:
    """Refuse a source of which much less can be decoded than it holds: junk between frames takes nothing away."""
    stated = probe(str(source)).duration_seconds
    if stated - seconds > max(LOST_SECONDS, LOST_SHARE * stated):
        raise AudioRejected(
            f"{source.name} is damaged: of its {stated:.1f} s only {seconds:.1f} s can be decoded.",
            code=Code.UNREADABLE_AUDIO,
        )


def to_stereo(samples: Floats) -> Floats:
    """Give samples (n, 1 or 2): further channels go to both sides at -3 dB, and the sum is scaled not to clip."""
    channels = samples.shape[1]
    if channels <= 2:
        return samples
    sides = SIDE_GAIN * samples[:, 2:].sum(axis=1, keepdims=True)
    mixed: Floats = (samples[:, :2] + sides) / (1 + SIDE_GAIN * (channels - 2))
    return mixed


def load_engine(kind: str = "auto", stems: tuple[str, ...] = ()) -> SeparationEngine:
    """Give an engine: `draft` ships with stemline, `demucs` needs its package and weights, `auto` is the best here.

    `stems` are what it will be asked for: demucs keeps six stems in a file of their own.

    Raises:
        UsageError: there is no such engine, or `demucs` lacks its package or weights.
    """
    if kind not in ENGINES:
        raise UsageError(f"There is no engine {kind!r}.", fix=f"Choose one of {', '.join(ENGINES)}.")
    if kind == "draft":
        return _draft()
    try:
        find_weights(model_for(stems))
    except UsageError:
        if kind == "demucs":
            raise
        return _draft()
    return _demucs()


@lru_cache(maxsize=1)
def _draft() -> SeparationEngine:
    return DraftEngine()


@lru_cache(maxsize=1)
def _demucs() -> SeparationEngine:
    return DemucsEngine()
