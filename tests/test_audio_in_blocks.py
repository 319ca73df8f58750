"""Sound resampled, written and read in blocks of any length is that of the whole."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline import audio
from stemline.errors import AudioRejected

CUTS = st.lists(st.integers(0, 4000), max_size=8)
RATES = [(1, 2), (160, 147), (147, 160), (3, 3), (80, 441), (2205, 4411)]


def noise(length: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(length).uniform(-0.5, 0.5, (length, channels)).astype(np.float32)


@given(length=st.integers(1, 4000), cuts=CUTS, rates=st.sampled_from(RATES))
def test_resampled_blocks_add_up_to_the_resampled_whole(length, cuts, rates):
    samples = noise(length)
    blocks = audio.resampled_blocks(np.split(samples, sorted(cuts)), *rates)
    changed, whole = np.concatenate(list(blocks)), audio.resampled(samples, *rates)
    assert changed.shape == whole.shape
    assert np.abs(changed - whole).max() < 1e-6


def test_a_resampler_holds_back_some_milliseconds_only():
    resampler = audio.Resampler(147, 160)
    assert sum(len(resampler.add(noise(48000))) for _ in range(5)) > 5 * 44100 - 441


@given(
    length=st.integers(1, 20_000),
    cuts=st.lists(st.integers(0, 20_000), max_size=8),
    rate=st.sampled_from([8000, 11000]),
    audio_format=st.sampled_from(audio.FORMATS),
)
def test_a_file_written_in_blocks_is_the_file_written_whole(length, cuts, rate, audio_format):
    samples, whole, pieces = noise(length), io.BytesIO(), io.BytesIO()
    audio.encode(whole, samples, rate, audio_format)
    with audio.open_writer(pieces, rate, 2, audio_format) as writer:
        for block in np.split(samples, sorted(cuts)):
            writer.write(block)
    if audio_format == "ogg":  # each stream has a serial number of its own
        assert np.array_equal(decoded(whole), decoded(pieces))
    else:
        assert pieces.getvalue() == whole.getvalue()


def decoded(file: io.BytesIO) -> np.ndarray:
    file.seek(0)
    try:
        return audio.decode(file).samples
    except AudioRejected:  # of one block of Vorbis nothing comes out
        return np.zeros((0, 2), np.float32)


@given(
    lengths=st.lists(st.integers(0, 50), max_size=6),
    parts=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20)), max_size=8),
)
def test_parts_that_are_read_again_overlap_as_asked(lengths, parts):
    whole = noise(sum(lengths), 1)
    reader, start = audio.BlockReader(np.split(whole, np.cumsum(lengths)), 1), 0
    for count, again in parts:
        part = reader.take(count, again)
        assert np.array_equal(part, whole[start : start + count])
        start = max(start, start + len(part) - again)


def test_a_source_in_blocks_is_the_source_decoded_whole(tmp_path):
    audio.encode(tmp_path / "a.mp3", noise(100_000), 44100, "mp3")
    with audio.SourceBlocks(tmp_path / "a.mp3") as stream:
        blocks = list(stream)
    assert len(blocks) > 1
    assert np.array_equal(np.concatenate(blocks), audio.decode(tmp_path / "a.mp3").samples)


@pytest.mark.parametrize(("rate", "channels"), [(48000, 2), (44100, 1), (22050, 1)])
def test_a_later_link_of_an_ogg_file_comes_in_the_rate_and_channels_of_the_first(rate, channels, tmp_path):
    links = [(noise(60_000), 44100), (noise(150_000, channels), rate)]
    files = []
    for number, (samples, own_rate) in enumerate(links):
        path = tmp_path / f"{number}.ogg"
        audio.encode(path, samples, own_rate, "ogg")
        files.append(path)
    first, second = (audio.decode(path).samples for path in files)
    like_first = audio.resampled(np.repeat(second, 2 // channels, axis=1), 44100, rate)
    both = tmp_path / "both.ogg"
    both.write_bytes(b"".join(path.read_bytes() for path in files))

    with audio.SourceBlocks(both) as stream:
        assert (stream.sample_rate, stream.channels) == (44100, 2)
        samples = np.concatenate(list(stream))

    assert np.abs(samples - np.concatenate([first, like_first])).max() < 1e-6


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", audio.MP3_RATES)
def test_an_mp3_begins_and_ends_where_its_sound_does(rate, channels):
    tone = 0.4 * np.sin(2 * np.pi * 440 * np.arange(rate + 321) / rate)
    samples, file = np.repeat(tone[:, None], channels, axis=1), io.BytesIO()
    audio.encode(file, samples, rate, "mp3")
    sound = decoded(file)
    assert sound.shape == samples.shape
    inside = slice(rate // 20, -rate // 20)
    assert np.sum((sound - samples)[inside] ** 2) < 1e-4 * np.sum(samples[inside] ** 2)
