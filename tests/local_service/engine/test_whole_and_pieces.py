"""What an engine gives piece by piece is what whole arrays give, at any length and however the blocks fall."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_examples import examples
from support.separated import mixture_of, separated_whole

from stemline import audio
from stemline_local.engine import draft, load_engine, stft
from stemline_local.engine.features import extract_features
from stemline_local.songs import make_song

RATE = 420  # the lowest at which every feature has a band
FOUR = ("vocals", "drums", "bass", "other")
ORDERS = (FOUR, (*FOUR, "piano", "guitar"), ("vocals", "instrumental"), ("instrumental",))
CLOSE = 1e-4
MOST_MB = 500

LENGTHS = st.builds(
    lambda edge, away: max(1, edge * RATE + away),
    # a chunk, one with a short tail, the longest that is one chunk, and where two and three end
    st.sampled_from([0, 1, 28, 30, 34, 36, 58, 64]),
    st.integers(-3, 3),
)


def whole_draft(mixture: np.ndarray, stems: tuple[str, ...], quality: str) -> dict[str, np.ndarray]:
    """Give the draft engine's stems by whole arrays, every chunk's spectra at once."""
    made = {stem: np.zeros_like(mixture) for stem in draft.masked(stems)}
    for start, stop in draft.chunks(len(mixture), RATE):
        samples = mixture[start:stop]
        features = extract_features(samples, RATE)
        spectra = stft.analyse(samples, features.hop)
        masks = draft.masks_for(features, tuple(made), quality)
        fade = draft.fades(start, stop, len(mixture), draft.OVERLAP_SECONDS * RATE)
        for stem, total in made.items():
            masked = spectra * features.grid.expand(masks[stem])
            total[start:stop] += fade * stft.synthesise(masked, len(samples), features.hop)
    for stem in stems:
        if stem not in made:
            parts = draft.subtracted(stem, stems)
            made[stem] = mixture - sum(made[part] for part in parts)
    return made


def music(length: int, channels: int) -> np.ndarray:
    """Give something with beats, notes and noise, each second unlike the one before."""
    rng, time = np.random.default_rng(length), np.arange(length) / RATE
    note = np.sin(2 * np.pi * 40 * (1 + np.floor(time) % 5) * time) * np.exp(-4 * (time % 0.5))
    sides = [note + 0.1 * rng.normal(size=length) for _ in range(channels)]
    return (0.3 * np.stack(sides, axis=1)).astype(np.float32)


@settings(max_examples=examples(6), deadline=None)
@given(
    length=LENGTHS,
    channels=st.integers(1, 2),
    order=st.tuples(st.sampled_from(ORDERS), st.sampled_from(tuple(draft.QUALITIES))),
    cuts=st.lists(st.integers(0, 70 * RATE), max_size=6),
    block_samples=st.sampled_from([16 * 7, 16 * 64, 1 << 18]),
)
def test_draft_stems_in_pieces_are_those_of_the_whole(length, channels, order, cuts, block_samples):
    mixture, (stems, quality) = music(length, channels), order
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stft, "_BLOCK_SAMPLES", block_samples)
        made = separated_whole(load_engine("draft"), mixture_of(mixture, RATE, cuts), stems, quality)
        whole = whole_draft(mixture, stems, quality)
    for stem in stems:
        assert made[stem].shape == mixture.shape
        assert np.abs(made[stem] - whole[stem]).max() < CLOSE


@given(
    length=st.integers(1, 3000),
    channels=st.integers(1, 2),
    hop=st.sampled_from([16, 60, 189]),
    frames=st.integers(1, 40),
)
def test_a_transform_in_blocks_is_that_of_the_whole(length, channels, hop, frames):
    samples = np.random.default_rng(length).normal(0, 0.3, (length, channels)).astype(np.float32)
    whole = stft.analyse(samples, hop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stft, "_BLOCK_SAMPLES", hop * frames)
        blocks = list(stft.analyse_blocks(samples, hop))
        assert np.allclose(np.concatenate(blocks, axis=1), whole, atol=1e-5)
        assert np.abs(stft.synthesise(whole, length, hop) - samples).max() < 2e-6


# getrusage would give the peak of the process that began it, where that is higher
JOB = """
import json, sys
from pathlib import Path
from stemline_local.engine import SeparationOrder, separate_file
source, folder, stems, audio_format = sys.argv[1:]
done = separate_file(Path(source), Path(folder), SeparationOrder(stems, "fast", audio_format, "draft"), lambda _: None)
kilobytes = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(json.dumps([done.duration_seconds, int(kilobytes) / 1024]))
"""


@pytest.mark.long
@pytest.mark.parametrize(("minutes", "stems", "audio_format"), [(12, "four", "wav"), (25, "vocals", "flac")])
def test_a_long_track_takes_no_more_memory_than_a_short_one(minutes, stems, audio_format, tmp_path):
    song = make_song(5, seconds=20.0)
    with audio.open_writer(tmp_path / "song.flac", 44100, 2, "flac") as writer:
        for _ in range(3 * minutes):
            writer.write(song.mix)

    answer = subprocess.run(
        [sys.executable, "-c", JOB, str(tmp_path / "song.flac"), str(tmp_path), stems, audio_format],
        check=True,
        capture_output=True,
        text=True,
    )

    seconds, peak = json.loads(answer.stdout)
    assert seconds == 60 * minutes
    assert peak < MOST_MB
