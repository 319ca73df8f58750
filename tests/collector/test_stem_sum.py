"""Stems added up, and what that leaves of their source."""

from __future__ import annotations

import numpy as np
import pytest

from stemline.audio import encode
from stemline.collector.mixdown import read_excerpt, residual_db, sum_stems

RATE = 22050


@pytest.fixture
def noises():
    """Three seconds of four independent sounds."""
    return np.random.default_rng(5).uniform(-0.2, 0.2, (4, 3 * RATE, 2))


@pytest.fixture
def write(tmp_path):
    def write(name, samples, rate=RATE):
        encode(tmp_path / name, samples, rate, name.rpartition(".")[2])
        return tmp_path / name

    return write


def residual(write, source, stems, audio_format="flac"):
    paths = [write(f"{index}.{audio_format}", stem) for index, stem in enumerate(stems)]
    return residual_db(read_excerpt(write("source.flac", source)), sum_stems(paths))


def test_stems_that_add_up_leave_next_to_nothing(write, noises):
    assert residual(write, noises.sum(axis=0), noises) < -60


def test_a_common_gain_and_a_delay_are_no_difference(write, noises):
    delayed = np.pad(noises, ((0, 0), (1000, 0), (0, 0))) * 0.7

    assert residual(write, noises.sum(axis=0), delayed) < -60
    assert residual(write, np.pad(noises.sum(axis=0), ((1000, 0), (0, 0))), noises) < -60


@pytest.mark.parametrize("wrong", [0.0, "stranger"])
def test_a_silent_or_strange_stem_shows(write, noises, wrong):
    stems = noises.copy()
    stems[1] = 0 if wrong == 0 else np.random.default_rng(6).uniform(-0.2, 0.2, stems[1].shape)

    assert residual(write, noises.sum(axis=0), stems) > -9


def test_it_cannot_be_measured_against_silence_or_at_another_rate(write, noises):
    mixed = sum_stems([write("stem.flac", noises[0])])

    assert residual_db(read_excerpt(write("silence.flac", noises[0] * 0)), mixed) is None
    assert residual_db(read_excerpt(write("other.flac", noises[0], 44100)), mixed) is None


def test_the_sum_is_as_long_as_the_shortest_of_one_rate(write, noises):
    paths = [
        write("whole.flac", noises[0]),
        write("short.flac", noises[1][:RATE]),
        write("fast.flac", noises[2][:100], 44100),
    ]

    mixed = sum_stems(paths)

    assert (len(mixed.samples), mixed.sample_rate) == (RATE, RATE)
    assert mixed.samples == pytest.approx((noises[0] + noises[1])[:RATE].mean(axis=1), abs=1e-4)


def test_only_the_beginning_is_read(write):
    assert len(sum_stems([write("long.flac", np.zeros((120 * 8000, 1)), 8000)]).samples) < 100 * 8000
