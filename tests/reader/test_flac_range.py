"""Frames of a flac decoded with a head of their own."""

from __future__ import annotations

import random

import numpy as np
import pytest
import soundfile

import stemline
from stemline.errors import AudioRejected
from stemline.reader import stem_audio
from stemline.reader.flac_range import flac_samples, may_be_checked
from stemline.storage.local_store import LocalStore


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


def counted_ranges(monkeypatch):
    asked = []
    read_range = LocalStore.read_range
    monkeypatch.setattr(
        LocalStore, "read_range", lambda self, *range_: asked.append(range_) or read_range(self, *range_)
    )
    return asked


def test_a_window_reads_hardly_more_than_its_own_seconds(published, monkeypatch):
    published.publish("a", rate=44_100)
    dataset = stemline.open_dataset(published.url)
    whole = published.whole("a", "vocals")
    asked = counted_ranges(monkeypatch)

    for start in range(4):
        found = dataset.audio("a", "vocals", start, 3.0)
        np.testing.assert_array_equal(found, whole[start * 44_100 : (start + 3) * 44_100])
    assert len(asked) == 4
    size = published.file("a", "vocals").stat().st_size
    assert sum(stop - start for _, start, stop in asked) < 1.25 * 4 * 3 / 7.4 * size


def test_a_stop_that_was_too_early_costs_a_second_request_and_no_more(published, monkeypatch):
    published.publish("a", rate=44_100)
    monkeypatch.setattr(stem_audio, "_near_stop", lambda _seconds, span, *_: span.start + 9_000)
    asked = counted_ranges(monkeypatch)

    found = stemline.open_dataset(published.url).audio("a", "vocals", 0.5, 1.6)

    np.testing.assert_array_equal(found, published.whole("a", "vocals")[22_050 : 22_050 + 70_560])
    assert len(asked) == 2
