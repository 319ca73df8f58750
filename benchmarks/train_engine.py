"""Trains the draft engine's masks on the songs stemline makes itself, and on nothing else.

Development only. Needs torch outside the project's environment: pip install torch==2.13.0 numpy scipy.
Usage: PYTHONPATH=. python benchmarks/train_engine.py OUT.npz --cache FOLDER [--songs 200] [--examples 360]

Every example is a new mix of stems: of one song, or drums and voice from others, at other levels, places, tones
and speeds. Masks are fitted to the share of the mixture each stem explains, weighted by energy: what is minimised
is each stem's error energy over its own energy, which is what SDR measures. The same seed gives the same weights
on the same machine and library versions.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.fft import irfft, rfft
from scipy.signal import resample_poly

from stemline_local.engine.features import ChunkFeatures, extract_features
from stemline_local.engine.mask import MaskContext, MaskNetwork
from stemline_local.engine.stft import analyse
from stemline_local.songs import STEMS as PARTS
from stemline_local.songs import make_song

RATE = 44100
SECONDS = 24
FIRST_SEED = 1_000_000
"""Far from the seeds of demos and tests, so that neither shows songs the engine has learnt."""
POINTS = 10000
"""Points of time and frequency drawn from one example, the louder the likelier."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a network is fitted."""

    hidden: tuple[int, ...]
    epochs: int = 5
    noise: float = 0.2
    rate: float = 6e-3


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Inputs (n, maps), shares (n, stems) and weights (n, stems) of drawn points."""

    inputs: np.ndarray
    shares: np.ndarray
    weights: np.ndarray


# --- examples ---------------------------------------------------------------------------------------------


def render(seed: int, cache: Path) -> Path:
    """Make one song's six stems (6, n, 2) as a cached file of 16-bit integers."""
    path = cache / f"{seed:05d}.npy"
    if not path.exists():
        stems = make_song(FIRST_SEED + seed, seconds=SECONDS + 8).stems
        np.save(path, np.round(np.stack([stems[part] for part in PARTS]) * 32767).astype(np.int16))
    return path


def draw_stems(rng: np.random.Generator, songs: list[Path]) -> np.ndarray:
    """Give six stems (6, n, 2) of one song, now and then with some parts taken from others."""
    frames = SECONDS * RATE
    home = songs[rng.integers(len(songs))]
    is_mixed = rng.random() < 0.5
    stems = np.empty((len(PARTS), frames, 2), np.float32)
    offset = int(rng.integers(0, 8 * RATE))
    for number in range(len(PARTS)):
        is_guest = is_mixed and rng.random() < 0.5
        source = np.load(songs[rng.integers(len(songs))] if is_guest else home, mmap_mode="r")[number]
        part = source[offset : offset + frames].astype(np.float32) / 32767
        stems[number] = np.pad(part, ((0, frames - len(part)), (0, 0)))
    return stems


def change_speed(stems: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give stems played faster or slower, as a tape would: other pitches, formants and tempo."""
    up, down = ((1, 1), (1, 1), (9, 10), (10, 9), (7, 8), (8, 7))[rng.integers(6)]
    if up == down:
        return stems
    changed = resample_poly(stems, up, down, axis=1)[:, : stems.shape[1]].astype(np.float32)
    return np.pad(changed, ((0, 0), (0, stems.shape[1] - changed.shape[1]), (0, 0)))


def change_tone(stem: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give a stem with a random smooth equaliser curve of a few dB and a little saturation."""
    spectrum = rfft(stem, axis=0)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(stem), 1 / RATE), 20) / 20)
    curve = np.interp(octaves, np.arange(0, 11, 2.0), rng.normal(0, 3.5, 6))
    gain = (10 ** (curve / 20)).astype(np.float32)[:, None]
    shaped = irfft(spectrum * gain, len(stem), axis=0)
    drive = rng.choice([0, 0, 1.0, 2.5])
    peak = np.abs(shaped).max() + 1e-9
    return np.tanh(drive * shaped / peak) * peak / drive if drive else shaped


def change_place(stem: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Give a stem at another pan and width; sides are swapped half of the time."""
    if rng.random() < 0.5:
        stem = stem[:, ::-1]
    middle, side = stem.mean(1, keepdims=True), (stem[:, :1] - stem[:, 1:]) / 2
    width, pan = rng.uniform(0.3, 1.4), np.clip(rng.normal(0, spread), -0.9, 0.9)
    placed = np.concatenate([middle + width * side, middle - width * side], axis=1)
    return placed * np.sqrt(np.array([1 - pan, 1 + pan], np.float32))


def make_example(seed: int, songs: list[Path]) -> np.ndarray:
    """Give six stems (6, n, 2) mixed anew."""
    rng = np.random.default_rng(seed)
    stems = change_speed(draw_stems(rng, songs), rng)
    spreads = (0.08, 0.1, 0.05, 0.35, 0.35, 0.35)
    for number, spread in enumerate(spreads):
        stems[number] *= np.float32(10 ** (rng.normal(0, 1) / 20))
        if rng.random() < 0.03:
            stems[number] = 0
        if rng.random() < 0.8:
            stems[number] = change_tone(stems[number], rng)
        if rng.random() < 0.1:
            stems[number] = change_place(stems[number], spread, rng)
    if rng.random() < 0.03:
        stems[:] = stems.mean(axis=2, keepdims=True)
    return stems


# --- points -----------------------------------------------------------------------------------------------


def shares_of(stems: np.ndarray, whole: np.ndarray, analysis: ChunkFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Give what share of the mixture each stem explains (stems, frames, bands), and the mixture's energy."""
    mixture, grid = analyse(whole, analysis.hop), analysis.grid
    energy = sum(grid.reduce(np.abs(channel) ** 2) for channel in mixture) * grid.widths
    shares = []
    for stem in stems:
        spectra = analyse(stem, analysis.hop)
        product = sum(grid.reduce((a * b.conj()).real) for a, b in zip(spectra, mixture, strict=True))
        shares.append(product * grid.widths / (energy + 1e-12))
    return np.clip(np.stack(shares), -1, 2), energy


def group_for(name: str, stems: np.ndarray) -> np.ndarray:
    """Give the stems a network tells apart: the usual four, or the three parts of other."""
    if name == "keys":
        return stems[[5, 3, 4]]
    return np.concatenate([stems[:3], stems[3:].sum(axis=0, keepdims=True)])


def draw_points(seed: int, songs: list[Path], name: str, before: tuple[MaskNetwork, ...]) -> Points:
    """Give the drawn points of one example for the network called `name`, which comes after those `before`."""
    stems = make_example(seed, songs)
    whole = stems.sum(axis=0)
    analysis = extract_features(whole, RATE)
    maps = analysis.maps
    for network in before:
        context = MaskContext(analysis, network.masks(maps))
        maps = np.concatenate([analysis.maps, context.rows(slice(None))])
    wanted = group_for(name, stems)
    shares, energy = shares_of(wanted, whole, analysis)
    if name == "keys":
        whole = shares.sum(axis=0)
        energy = energy * np.clip(whole, 0, 1) ** 2
        shares = np.clip(shares / np.maximum(whole, 0.05), -1, 2)
    chance = np.sqrt(energy).ravel().astype(np.float64)
    if not chance.any():
        chance[:] = 1
    chance /= chance.sum()
    rng = np.random.default_rng(seed + 1_000_000)
    chosen = rng.choice(chance.size, POINTS, p=chance)
    weight = np.sqrt(energy).ravel()[chosen]
    loudness = (wanted.astype(np.float64) ** 2).sum(axis=(1, 2))
    balance = np.sqrt(1 / (loudness / (loudness.sum() + 1e-9) + 0.05))
    weights = weight[:, None] / (weight.mean() + 1e-12) * balance[None]
    return Points(
        maps.reshape(len(maps), -1)[:, chosen].T.astype(np.float32),
        shares.reshape(len(shares), -1)[:, chosen].T.astype(np.float32),
        weights.astype(np.float32),
    )


def gather(pool: ProcessPoolExecutor, draw: partial[Points], seeds: range) -> Points:
    """Give the points of many examples as one."""
    drawn = list(pool.map(draw, seeds, chunksize=4))
    return Points(*(np.concatenate([getattr(p, name) for p in drawn]) for name in Points.__slots__))


# --- fitting ----------------------------------------------------------------------------------------------


def fit(points: Points, how: Fit, seed: int = 0) -> MaskNetwork:
    """Fit a network; the inputs' scaling is folded into its first layer."""
    torch.manual_seed(seed)
    inputs, shares, weights = (torch.from_numpy(a) for a in (points.inputs, points.shares, points.weights))
    mean, spread = inputs.mean(0), inputs.std(0) + 1e-3
    inputs = (inputs - mean) / spread
    model = build(inputs.shape[1], how.hidden, shares.shape[1])
    batch = 4096
    steps = how.epochs * (len(inputs) // batch + 1)
    optimiser = torch.optim.AdamW(model.parameters(), how.rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, how.rate, total_steps=steps)
    for _ in range(how.epochs):
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), batch):
            chosen = order[start : start + batch]
            seen = inputs[chosen]
            guess = torch.softmax(model(seen + how.noise * torch.randn_like(seen)), 1)
            loss = (weights[chosen] * (guess - shares[chosen]) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return fold(model, mean.numpy(), spread.numpy())


def build(inputs: int, hidden: tuple[int, ...], outputs: int) -> torch.nn.Sequential:
    """Give dense layers with rectifiers between."""
    sizes, layers = [inputs, *hidden, outputs], []
    for before, after in pairwise(sizes):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def fold(model: torch.nn.Sequential, mean: np.ndarray, spread: np.ndarray) -> MaskNetwork:
    """Give the trained layers as plain arrays that take unscaled inputs."""
    layers = []
    for layer in model:
        if isinstance(layer, torch.nn.Linear):
            weight, bias = layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()
            if not layers:
                weight /= spread
                bias -= weight @ mean
            layers.append((weight.astype(np.float32), bias.astype(np.float32)))
    return MaskNetwork(tuple(layers))


def save(networks: dict[str, MaskNetwork], path: Path) -> None:
    """Write all networks as one small file."""
    arrays = {}
    for name, network in networks.items():
        for number, (weight, bias) in enumerate(network.layers):
            arrays[f"{name}_w{number}"] = weight.astype(np.float16)
            arrays[f"{name}_b{number}"] = bias
    np.savez_compressed(path, **arrays)
    count = sum(array.size for array in arrays.values())
    print(f"{path}: {count} numbers, {path.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--songs", type=int, default=200)
    parser.add_argument("--examples", type=int, default=360)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--cache", type=Path, required=True, help="where songs are kept between runs")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.processes)
    seeds = range(options.examples)
    with ProcessPoolExecutor(options.processes) as pool:
        songs = list(pool.map(partial(render, cache=options.cache), range(options.songs)))
        draw = partial(draw_points, songs=songs)

        def train(name: str, before: tuple[MaskNetwork, ...], how: Fit) -> MaskNetwork:
            return fit(gather(pool, partial(draw, name=name, before=before), seeds), how)

        first = train("first", (), Fit((32, 32), noise=0.3))
        second = train("second", (first,), Fit((32, 32)))
        third = train("third", (first, second), Fit((32, 32)))
        keys = train("keys", (), Fit((24,), noise=0.3))
    save({"first": first, "second": second, "third": third, "keys": keys}, options.out)


if __name__ == "__main__":
    main()
