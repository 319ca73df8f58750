"""Stems of one length, and the mixture they were made of."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from stemline.errors import AudioRejected
from stemline.export.lossless import wav_file
from stemline.export.mixture import MIXTURE, SoundShape, with_mixture
from stemline.export.sample import ExportSample, ExportTrack, StemObject, StemSound

RNG = np.random.default_rng(0)


def _noise(frames=9000, channels=2):
    return (RNG.integers(-9000, 9000, (frames, channels)) / 2**15).astype(np.float32)


def _sound(samples, rate=8000):
    return StemSound(wav_file(samples, rate), "wav", rate, samples.shape[1], len(samples))


def _sample(**sounds):
    stems = {name: StemObject(name, name, "wav", 1, 1, 1, 1, None) for name in sounds}
    return ExportSample(ExportTrack("t", "train", {}, stems), sounds)


def _read(sound):
    samples, rate = soundfile.read(io.BytesIO(sound.data), dtype="float32", always_2d=True)
    assert SoundShape(rate, samples.shape[1], len(samples)) == (
        sound.sample_rate,
        sound.channels,
        sound.frames,
    )
    return samples


def test_without_a_mix_it_is_the_sum_and_passes_full_scale_unclipped():
    loud = np.full((99, 2), 0.75, np.float32)
    made = with_mixture(_sample(vocals=_sound(loud), drums=_sound(loud)), _sound)
    assert _read(made.sounds[MIXTURE]).max() == 1.5


def test_files_that_are_right_stay_as_they_are():
    sample = _sample(vocals=_sound(_noise()), drums=_sound(_noise()), mix=_sound(_noise()))
    made = with_mixture(sample, _sound).sounds
    assert made == {
        MIXTURE: sample.sounds["mix"],
        **{name: sample.sounds[name] for name in ("vocals", "drums")},
    }


def test_stems_are_cut_to_the_shortest_and_the_mix_brought_to_them():
    long, short = _noise(9000), _noise(8000, 1)
    made = with_mixture(
        _sample(vocals=_sound(long), drums=_sound(short), mix=_sound(_noise(500, 1))), _sound
    ).sounds
    read = {name: _read(sound) for name, sound in made.items()}
    assert np.array_equal(read["vocals"], long[:8000])
    assert np.array_equal(read["drums"], np.repeat(short, 2, axis=1))
    assert read[MIXTURE].shape == (8000, 2)
    assert not read[MIXTURE][500:].any()


def test_a_mix_of_another_rate_comes_in_that_of_the_stems():
    tone = np.sin(np.arange(16_000)[:, None] / 30).astype(np.float32) / 2
    made = with_mixture(_sample(vocals=_sound(_noise(8000)), mix=_sound(tone, 16_000)), _sound).sounds
    assert np.abs(_read(made[MIXTURE])[200:-200, :1] - tone[400:-400:2]).max() < 1e-3


def test_a_stem_that_nobody_measured_is_decoded():
    unknown = StemSound(wav_file(_noise(), 8000), "wav", None, None, None)
    made = with_mixture(_sample(vocals=unknown), _sound).sounds["vocals"]
    assert (made.data, made.frames) == (unknown.data, 9000)


def test_a_mix_alone_is_left_out():
    with pytest.raises(AudioRejected, match="no stem besides its mix"):
        with_mixture(_sample(mix=_sound(_noise())), _sound)
