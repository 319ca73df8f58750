"""The draft engine: separation that needs no download and runs on one core, faster than the music plays.

Draft quality: it is for demos, tests, dry runs and as a fallback. It was trained on synthetic songs alone and has
not been measured on real singers. It expects a voice near the middle (panned hard to one side most of it is
missed), does about 1 dB worse on a mono file, leaves a faint false voice in an instrumental piece, and only
guesses at piano and guitar, which make `other` poor too when they are asked for. docs/performance.md has figures.
For stems worth listening to use `demucs` or a hosted provider.

Its masks are soft and add up to one, and the last stem is what the others leave: stems add up to the mixture.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stemline.audio import BlockReader
from stemline.errors import UsageError
from stemline_local.engine.features import ChunkFeatures, extract_features
from stemline_local.engine.grid import FrequencyGrid
from stemline_local.engine.interface import Mixture
from stemline_local.engine.mask import STEMS, MaskContext, load_networks
from stemline_local.engine.overlap import OverlapAdd
from stemline_local.engine.stft import Floats, Synthesis, analyse_blocks

QUALITIES: dict[str, tuple[str, ...]] = {"fast": (), "balanced": ("second",), "best": ("second", "third")}
"""The networks each quality runs after the first."""
EXPERIMENTAL = ("piano", "guitar")
NAMES = (*STEMS, *EXPERIMENTAL, "instrumental")
CHUNK_SECONDS = 30
OVERLAP_SECONDS = 2
LOUDEST = 1000.0
"""Samples are clipped here, 60 dB over full scale, which only a broken float file reaches."""


class DraftEngine:
    """Feature maps, a small learned mask, and nothing but numpy and scipy."""

    name = "draft"

    def is_experimental(self, stem: str) -> bool:
        """Tell whether `stem` is one of the two it can only guess at: piano and guitar."""
        return stem in EXPERIMENTAL

    def separate(self, mixture: Mixture, stems: tuple[str, ...], quality: str) -> Iterator[Floats]:
        """Give the stems piece by piece, each float32 (stems, n, channels).

        Quality `fast` uses the first network alone, `balanced` two and `best` all three. Working memory is that
        of one chunk of half a minute.
        """
        check_order(stems, quality)
        return _separated(mixture, stems, quality)


def _separated(mixture: Mixture, stems: tuple[str, ...], quality: str) -> Iterator[Floats]:
    made, overlap = masked(stems), OVERLAP_SECONDS * mixture.sample_rate
    reader = BlockReader(map(usable, mixture.blocks), mixture.channels)
    sums = OverlapAdd(len(made), mixture.channels)
    for start, stop in chunks(mixture.frames, mixture.sample_rate):
        samples = reader.take(stop - start, again=overlap)
        fade = fades(start, stop, mixture.frames, overlap)
        finished = len(samples) if stop == mixture.frames else len(samples) - overlap
        done = given = 0
        for part in separate_chunk(samples, mixture.sample_rate, made, quality):
            sums.add(start + done, part * fade[done : done + part.shape[1]])
            done += part.shape[1]
            ready = min(done, finished)
            if ready > given:
                yield _completed(samples[given:ready], sums.take(start + ready), made, stems)
                given = ready
        del samples  # before the next ones are read


def _completed(mixture: Floats, parts: Floats, made: tuple[str, ...], stems: tuple[str, ...]) -> Floats:
    """Give `stems` (stems, n, channels): those that masks made, and what they leave of the mixture."""
    named = dict(zip(made, parts, strict=True))
    for stem in stems:
        if stem not in named:
            named[stem] = remainder(mixture, named, subtracted(stem, stems))
    return np.stack([named[stem] for stem in stems])


def usable(samples: Floats) -> Floats:
    """Give samples that arithmetic can take: a broken float file may hold NaN or absurd values."""
    if samples.size and np.isfinite(peak := np.abs(samples).max()) and peak <= LOUDEST:
        return samples
    return np.clip(np.nan_to_num(samples), -LOUDEST, LOUDEST)


def remainder(mixture: Floats, made: dict[str, Floats], stems: tuple[str, ...]) -> Floats:
    """Give the mixture without `stems`."""
    rest = mixture.copy()
    for stem in stems:
        rest -= made[stem]
    return rest


def check_order(stems: tuple[str, ...], quality: str) -> None:
    """Refuse a stem or a quality there is not."""
    for stem in stems:
        if stem not in NAMES:
            raise UsageError(f"The draft engine has no stem {stem!r}.", fix=f"It has {', '.join(NAMES)}.")
    if quality not in QUALITIES:
        raise UsageError(f"There is no quality {quality!r}.", fix=f"Choose one of {', '.join(QUALITIES)}.")


def subtracted(stem: str, stems: tuple[str, ...]) -> tuple[str, ...]:
    """Give what is taken off the mixture to make `stem`, of the order `stems`; nothing if a mask makes it."""
    if stem == "instrumental":
        return ("vocals",)
    if stem == "other":
        return (*STEMS[:3], *(name for name in EXPERIMENTAL if name in stems))
    return ()


def masked(stems: tuple[str, ...]) -> tuple[str, ...]:
    """Give the stems that masks have to make for the order `stems`."""
    needed = {name for stem in stems for name in subtracted(stem, stems) or (stem,)}
    return tuple(name for name in NAMES if name in needed)


def chunks(length: int, sample_rate: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of overlapping chunks that cover `length` samples; a short tail joins the last."""
    size, overlap = CHUNK_SECONDS * sample_rate, OVERLAP_SECONDS * sample_rate
    start = stop = 0
    while stop < length:
        stop = start + size if length - start - size > 3 * overlap else length
        yield start, stop
        start = stop - overlap


def fades(start: int, stop: int, length: int, overlap: int) -> Floats:
    """Give the weights (n, 1) of a chunk: it fades in and out where it meets its neighbours."""
    weights = np.ones(stop - start, np.float32)
    ramp = np.linspace(0, 1, overlap, dtype=np.float32)
    if start:
        weights[:overlap] = ramp
    if stop < length:
        weights[-overlap:] = 1 - ramp
    return weights[:, None]


def separate_chunk(
    samples: Floats, sample_rate: int, stems: tuple[str, ...], quality: str
) -> Iterator[Floats]:
    """Give the masked stems of one chunk piece by piece, each (stems, n, channels).

    The chunk is transformed a second time, block by block: its spectra would be half of all memory.
    """
    grid, hop, masks = chunk_masks(samples, sample_rate, stems, quality)
    syntheses = [Synthesis(len(samples), hop) for _ in stems]
    frame = 0
    for spectra in analyse_blocks(samples, hop):
        part = slice(frame, frame + spectra.shape[1])
        frame = part.stop
        yield np.stack(
            [
                synthesis.add(spectra * grid.expand(masks[stem][part]))
                for stem, synthesis in zip(stems, syntheses, strict=True)
            ]
        )


def chunk_masks(
    samples: Floats, sample_rate: int, stems: tuple[str, ...], quality: str
) -> tuple[FrequencyGrid, int, dict[str, Floats]]:
    """Give the grid and the hop of a chunk's transform, and the masks on it."""
    features = extract_features(samples, sample_rate)
    return features.grid, features.hop, masks_for(features, stems, quality)


def masks_for(features: ChunkFeatures, stems: tuple[str, ...], quality: str) -> dict[str, Floats]:
    """Give the masks (frames, bands) of the usual four, and of piano and guitar where `stems` names one."""
    networks = load_networks()
    masks = networks["first"].masks(features.maps)
    for name in QUALITIES[quality]:
        masks = networks[name].masks(features.maps, MaskContext(features, masks))
    named = dict(zip(STEMS, masks, strict=True))
    if set(EXPERIMENTAL) & set(stems):
        shares = networks["keys"].masks(features.maps)
        named |= dict(zip(EXPERIMENTAL, shares[1:] * named["other"], strict=True))
    return named
