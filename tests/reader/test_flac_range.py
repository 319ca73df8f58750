"""Frames of a flac decoded with a head of their own."""

from __future__ import annotations

import random

import numpy as np
import pytest
import soundfile

import stemline
from stemline.errors import AudioRejected
from stemline.reader.flac_range import flac_samples, may_be_checked


@pytest.fixture
def stem(published):
    """A published flac and where its second seconds lie."""
    published.publish("a")
    row = stemline.open_dataset(published.url).activity.to_table().to_pylist()[0]
    data = published.file("a", row["stem"]).read_bytes()
    first, behind = row["first_frame"][2], row["first_frame"][5]
    whole = soundfile.read(published.file("a", row["stem"]), dtype="float32", always_2d=True)
    return data[row["byte_offset"][2] : row["byte_offset"][5]], whole[1], whole[0][first:behind]


def test_they_are_what_the_whole_holds_there(stem):
    data, rate, expected = stem
    assert may_be_checked(data)
    assert np.array_equal(flac_samples(data, rate, expected.shape), expected)


@pytest.mark.parametrize("change", [(1, 0), (0, -1)])
def test_more_frames_or_other_channels_than_there_are_is_none(stem, change):
    data, rate, expected = stem
    assert flac_samples(data, rate, (len(expected) + change[0], 2 + change[1])) is None


def test_a_single_altered_bit_is_noticed_wherever_it_is(stem):
    data, rate, expected = stem
    chance = random.Random(0)  # noqa: S311 - no secret
    for _ in range(60):
        altered = bytearray(data)
        altered[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        is_checked = may_be_checked(bytes(altered))
        assert not is_checked or flac_samples(bytes(altered), rate, expected.shape) is None


@pytest.mark.parametrize("data", [b"", b"fLaC", b"ID3\4" * 9, b"\xff\xf8\xc9\x02", b"\xff\xf8\xc9\x18" * 50])
def test_what_is_no_such_flac_is_not_taken_for_one(data):
    assert not may_be_checked(data) or flac_samples(data, 44_100, (4096, 2)) is None


def test_a_bit_altered_in_a_dataset_ends_in_a_sentence(published):
    published.publish("a")
    dataset = stemline.open_dataset(published.url)
    path = dataset.stems.to_table().column("path").to_pylist()[0]
    data = bytearray(published.store.read_bytes(path))
    data[len(data) // 2] ^= 1
    published.store.put_bytes(path, bytes(data))
    stem = path.rpartition("/")[2].partition(".")[0]

    with pytest.raises(AudioRejected, match="altered"):
        dataset.audio("a", stem)
