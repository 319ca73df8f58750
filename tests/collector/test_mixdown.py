"""Stems that a provider lacks are mixed down from those it gives."""

from __future__ import annotations

import numpy as np
import pytest

from stemline import audio
from stemline.collector.mixdown import mix_down, parts_of

RATE = 44_100


def test_an_instrumental_is_the_sum_of_its_parts(tmp_path):
    rng = np.random.default_rng(3)
    parts = {}
    for name in ("drums", "bass", "other"):
        samples = 0.2 * rng.uniform(-1, 1, (RATE, 2)).astype(np.float32)
        audio.encode(tmp_path / f"{name}.flac", samples, RATE, "flac")
        parts[name] = samples

    mix_down([tmp_path / f"{name}.flac" for name in parts], tmp_path / "mix.flac", "flac")

    mixed = audio.decode(tmp_path / "mix.flac")
    assert mixed.sample_rate == RATE
    np.testing.assert_allclose(mixed.samples, sum(parts.values()), atol=1e-4)


def test_a_part_that_ends_early_is_silent_from_there(tmp_path):
    for name, frames in (("long", RATE), ("short", RATE // 2)):
        audio.encode(tmp_path / f"{name}.wav", np.full((frames, 1), 0.25, np.float32), RATE, "wav")

    mix_down([tmp_path / "long.wav", tmp_path / "short.wav"], tmp_path / "mix.wav", "wav")

    samples = audio.decode(tmp_path / "mix.wav").samples[:, 0]
    assert samples[0] == pytest.approx(0.5, abs=1e-3)
    assert samples[-1] == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize(
    ("stem", "offered", "parts"),
    [
        ("instrumental", ("vocals", "drums", "bass", "other"), ("drums", "bass", "other")),
        ("instrumental", ("vocals", "drums"), ()),
        ("vocals", ("drums", "bass", "other"), ()),
    ],
)
def test_a_stem_is_derived_only_from_all_of_its_parts(stem, offered, parts):
    assert parts_of(stem, offered) == parts
