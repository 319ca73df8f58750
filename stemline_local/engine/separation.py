"""Carries out one order from file to files: decode, separate, measure tempo and key, write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from stemline import audio
from stemline.analysis import KeyEstimator, TempoEstimator
from stemline.errors import AudioRejected, UsageError
from stemline.probe.probing import probe
from stemline.records import STEMS, Code
from stemline_local.engine.demucs import DemucsEngine, find_weights, model_for
from stemline_local.engine.draft import DraftEngine
from stemline_local.engine.interface import Mixture, SeparationEngine
from stemline_local.engine.stft import Floats

ENGINES = ("auto", "draft", "demucs")
LOST_SECONDS, LOST_SHARE = 1.0, 0.01
"""How much of a source may be missing where it is decoded, whichever is more."""
Progress = Callable[[float], None]
"""Is told the share that is done, 0..1."""
MOST_WAITING_BYTES = 32 << 20
"""How much separated sound may wait for its encoder."""
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
    engine, stems = load_engine(order.engine, STEMS[order.stems]), STEMS[order.stems]
    frames = count_frames(source)
    with audio.SourceBlocks(source) as stream:
        rate, channels = stream.sample_rate, min(stream.channels, 2)
        tempo, key = TempoEstimator(rate, frames), KeyEstimator(rate, frames)
        blocks = _passing(map(to_stereo, stream), tempo.add, key.add)
        pieces = engine.separate(Mixture(blocks, frames, channels, rate), stems, order.quality)
        paths = {stem: folder / f"{stem}.{order.format}" for stem in stems}
        with ExitStack() as files:
            writers = [
                files.enter_context(audio.open_writer(path, rate, channels, order.format))
                for path in paths.values()
            ]
            _write(pieces, writers, lambda written: on_progress(written / frames))
    experimental = tuple(stem for stem in stems if engine.is_experimental(stem))
    return SeparatedFile(
        paths, tempo.estimate().bpm, key.estimate().name, frames / rate, engine.name, experimental
    )


def count_frames(source: Path) -> int:
    """Give how many frames of a source can be decoded, by decoding it once.

    What follows has to know: where the last chunk begins, and which ten minutes are the middle ones.

    Raises:
        AudioRejected: it does not decode, or much less than it holds: junk between frames takes nothing away.
    """
    with audio.SourceBlocks(source) as stream:
        frames = sum(map(len, stream))
    seconds, stated = frames / stream.sample_rate, probe(str(source)).duration_seconds
    if stated - seconds > max(LOST_SECONDS, LOST_SHARE * stated):
        raise AudioRejected(
            f"{source.name} is damaged: of its {stated:.1f} s only {seconds:.1f} s can be decoded.",
            code=Code.UNREADABLE_AUDIO,
        )
    return frames


def _passing(blocks: Iterable[Floats], *listeners: Callable[[Floats], None]) -> Iterator[Floats]:
    """Give blocks on, each after every listener had it."""
    for block in blocks:
        for take in listeners:
            take(block)
        yield block


def _write(
    pieces: Iterable[Floats], writers: list[audio.AudioWriter], on_written: Callable[[int], None]
) -> None:
    """Write pieces (stems, n, channels) as they come, each stem to its writer; say how many frames are written.

    Each writer has a thread of its own: encoding an mp3 takes longer than separating, and needs no lock of Python's.
    """
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in writers]
        under_way: deque[list[Future[None]]] = deque()
        written = 0
        for piece in pieces:
            under_way.append(
                [
                    thread.submit(writer.write, samples)
                    for thread, writer, samples in zip(threads, writers, piece, strict=True)
                ]
            )
            if len(under_way) * piece.nbytes > MOST_WAITING_BYTES:
                _wait(under_way.popleft())
            written += piece.shape[1]
            on_written(written)
        for writes in under_way:
            _wait(writes)


def _wait(writes: list[Future[None]]) -> None:
    """Wait until a piece is written, and raise what went wrong."""
    for write in writes:
        write.result()


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
