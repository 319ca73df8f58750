"""Samples as wav and flac: nothing lost, nothing clipped, the same bytes each time."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from stemline.export.lossless import fitting_subtype, flac_file, wav_file

RNG = np.random.default_rng(0)
SIXTEEN_BIT = (RNG.integers(-(2**15), 2**15, (999, 2)) / 2**15).astype(np.float32)
FINE = RNG.uniform(-0.9, 0.9, (999, 2)).astype(np.float32)
LOUD = (SIXTEEN_BIT + SIXTEEN_BIT).astype(np.float32)
CASES = {
    "16 bits": (SIXTEEN_BIT, "PCM_16", 0.0),
    "finer": (FINE, "PCM_24", 2.0**-24),
    "past full scale": (LOUD, "FLOAT", 0.0),
    "mono": (SIXTEEN_BIT[:, :1], "PCM_16", 0.0),
    "six channels": (np.hstack([FINE, FINE, FINE]), "PCM_24", 2.0**-24),
    "silence": (np.zeros((99, 2), np.float32), "PCM_16", 0.0),
    "an odd number of bytes": (FINE[:7, :1], "PCM_24", 2.0**-24),
    "nothing": (np.zeros((0, 2), np.float32), "PCM_16", 0.0),
    "just below full scale": (np.float32([[1 - 2.0**-24], [0.1]]), "FLOAT", 0.0),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("form", ["wav", "flac"])
def test_what_is_written_is_read_again(form, case):
    samples, subtype, loss = CASES[case]
    data, extension = (wav_file(samples, 44100), "wav") if form == "wav" else flac_file(samples, 44100)
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        found = file.read(dtype="float32", always_2d=True)
        assert (file.samplerate, file.subtype, file.channels) == (44100, subtype, samples.shape[1])
        assert file.format.lower() == extension
    assert len(found) == len(samples)
    assert np.abs(found - samples).max(initial=0.0) <= loss
    assert extension == ("wav" if subtype == "FLOAT" or case == "nothing" else form)


def test_what_is_no_number_is_silence():
    samples = np.float32([[np.nan, 0.5], [np.inf, -np.inf]])
    found, _ = soundfile.read(io.BytesIO(wav_file(samples, 8000)), dtype="float32")
    assert found.tolist() == [[0.0, 0.5], [1.0, -1.0]]


def test_bytes_know_nothing_of_the_time():
    """libsndfile puts a chunk PEAK, with the time, into wavs of floats."""
    assert b"PEAK" not in wav_file(LOUD, 44100)


def test_more_channels_than_a_flac_has_become_a_wav():
    assert flac_file(np.zeros((9, 9), np.float32), 44100)[1] == "wav"
    assert fitting_subtype(np.zeros((9, 9), np.float32)) == "PCM_16"
