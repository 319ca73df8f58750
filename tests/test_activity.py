"""A window of a stem is one range of its bytes: what it decodes to is what the whole file holds there."""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from stemline.activity import QUIETEST_DBFS, TENTHS, SecondOffsets, StemActivity, unpack
from stemline.verify import StemExpectation, decode_stem, verify_stem

SECONDS = 7.4
PAGE = Path(__file__).parents[1] / "docs/dataset-activity.md"


def sound(rate, channels):
    """Loud and quiet parts, so that a variable bit rate varies."""
    clock = np.arange(int(SECONDS * rate)) / rate
    noise = np.random.default_rng(7).standard_normal((len(clock), channels)) * (clock % 2 < 1)[:, None]
    return (0.3 * np.sin(2764 * clock * (1 + 0.05 * clock))[:, None] + 0.08 * noise).astype(np.float32)


def by_libsndfile(path, rate, channels, subtype):
    soundfile.write(path, sound(rate, channels), rate, format=path.suffix[1:].upper(), subtype=subtype)


def by_ffmpeg(path, rate, channels, bit_rate):
    layout = {1: "mono", 2: "stereo"}[channels]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=rate, layout=layout)
        stream.bit_rate = bit_rate
        samples = np.ascontiguousarray(sound(rate, channels).T)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = rate
        container.mux([*stream.encode(frame), *stream.encode(None)])


FILES = {
    "flac": (by_libsndfile, 44_100, 2, "PCM_16"),
    "24.flac": (by_libsndfile, 48_000, 1, "PCM_24"),
    "wav": (by_libsndfile, 44_100, 2, "PCM_16"),
    "float.wav": (by_libsndfile, 22_050, 1, "FLOAT"),
    "mp3": (by_libsndfile, 44_100, 2, "MPEG_LAYER_III"),
    "320.mp3": (by_ffmpeg, 48_000, 2, 320_000),
    "128.mp3": (by_ffmpeg, 44_100, 2, 128_000),
    "32.mp3": (by_ffmpeg, 44_100, 1, 32_000),
    "mpeg 2.mp3": (by_ffmpeg, 22_050, 1, 16_000),
    "mpeg 2.5.mp3": (by_ffmpeg, 8_000, 2, 16_000),
}


@dataclass
class Stem:
    """A file as a reader has it: its bytes, what its row says, and the truth."""

    name: str
    data: bytes
    rate: int
    offsets: SecondOffsets
    whole: np.ndarray

    @property
    def full_scale(self) -> float:
        return {"int16": 2.0**15, "int32": 2.0**31}.get(str(self.whole.dtype), 1.0)

    def window(self, first: int, seconds: int) -> np.ndarray:
        """Read some seconds with one range of bytes, by the rules of `stemline.activity`."""
        rows, last = self.offsets, first + seconds
        end = rows.byte_offset[last + 1] if last + 1 < len(rows.byte_offset) else len(self.data)
        found = decoded(
            self.data[: rows.header_bytes] + self.data[rows.byte_offset[first] : end], self.name[-3:]
        )
        start = first * self.rate - rows.first_frame[first]
        assert start >= 0
        return found[start : start + self.window_frames(first, seconds)]

    def window_frames(self, first: int, seconds: int) -> int:
        return min(seconds * self.rate, len(self.whole) - first * self.rate)


def decoded(data: bytes, suffix: str) -> np.ndarray:
    """Decode with PyAV and nothing of ours."""
    with av.open(io.BytesIO(data), format={"lac": "flac"}.get(suffix, suffix)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        channels = container.streams.audio[0].channels
    return np.concatenate([f.T if len(f) > 1 or channels == 1 else f.reshape(-1, channels) for f in frames])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module", params=FILES)
def path(request, files) -> Path:
    make, *how = FILES[request.param]
    path = files / request.param if "." in request.param else files / f"plain.{request.param}"
    make(path, *how)
    return path


@pytest.fixture(scope="module")
def stem(path):
    return read(path)


def read(path):
    found, data = decode_stem(path), path.read_bytes()
    return Stem(path.name, data, found.sample_rate, found.activity.offsets, decoded(data, path.name[-3:]))


@pytest.mark.long
def test_every_window_is_bit_for_bit_what_the_whole_file_holds(stem):
    for first in range(math.ceil(SECONDS)):
        for seconds in range(1, math.ceil(SECONDS) - first + 1):
            expected = stem.whole[first * stem.rate :][: stem.window_frames(first, seconds)]
            assert np.array_equal(stem.window(first, seconds), expected), (first, seconds)


def test_what_the_page_shows_reads_the_same(path, stem):
    shown: dict = {}
    exec(re.findall("```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0], shown)  # noqa: S102 - our own page
    row = {name: getattr(stem.offsets, name) for name in ("byte_offset", "first_frame", "header_bytes")}
    facts = {"format": path.suffix[1:], "sample_rate": stem.rate, "frames": len(stem.whole)}
    for start, seconds in ((0, 2), (3, 2), (5, 3)):
        found = shown["read_window"](str(path), facts, row, start, seconds)
        assert np.array_equal(found, stem.whole[start * stem.rate :][: seconds * stem.rate])


@pytest.mark.parametrize("name", ["flac", "24.flac"])
def test_a_window_of_a_flac_can_do_without_the_header(files, name):
    path = files / f"headless.{name}"
    make, *how = FILES[name]
    make(path, *how)
    stem = read(path)
    stem.offsets = replace(stem.offsets, header_bytes=0)

    assert np.array_equal(stem.window(3, 2), stem.whole[3 * stem.rate : 5 * stem.rate])


def test_each_second_has_its_loudness_to_a_tenth(stem, path):
    levels = decode_stem(path).activity.rms_dbfs
    seconds = [
        stem.whole[start : start + stem.rate] / stem.full_scale
        for start in range(0, len(stem.whole), stem.rate)
    ]

    assert levels == tuple(
        round(10 * math.log10(np.mean(np.square(each, dtype=float))), 1) for each in seconds
    )
    assert len(levels) == len(stem.offsets.byte_offset) == len(stem.offsets.first_frame) == 8


def test_a_second_of_nothing_has_the_lowest_number(tmp_path):
    soundfile.write(
        tmp_path / "a.flac", np.concatenate([np.zeros(8000), np.full(8000, 0.5), np.zeros(20)]), 8000
    )

    measured = verify_stem(tmp_path / "a.flac", StemExpectation("flac"))

    assert measured.activity.rms_dbfs == (QUIETEST_DBFS, -6.0, QUIETEST_DBFS)
    assert (measured.silent_share, measured.clipped_share) == (0.666667, 0.0)


def test_samples_that_are_no_numbers_leave_numbers_of_the_seconds(tmp_path):
    """A person may accept such a stem."""
    samples = np.repeat(np.asarray([np.nan, np.inf, 1e30, 0.5], np.float32), 8000)
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")

    assert decode_stem(tmp_path / "a.wav").activity.rms_dbfs == (QUIETEST_DBFS, 120.0, 120.0, -6.0)


def test_an_ogg_and_an_mp3_of_hardly_any_bytes_have_loudness_and_no_offsets(tmp_path):
    """A middle of the one is no Ogg file; what a frame of the other builds on may lie a second back."""
    soundfile.write(tmp_path / "a.ogg", sound(22_050, 1), 22_050, format="OGG", subtype="VORBIS")
    by_ffmpeg(tmp_path / "a.mp3", 24_000, 2, 8_000)

    for name in ("a.ogg", "a.mp3"):
        activity = decode_stem(tmp_path / name).activity
        assert (len(activity.rms_dbfs), activity.offsets) == (8, None)


tenths, steps = st.integers(-1200, 200), st.integers(-(2**24), 2**30)


@given(st.lists(st.tuples(tenths, steps, steps), max_size=300), st.integers(0, 2**31 - 1), st.booleans())
def test_it_comes_back_as_it_was_packed(rows, header_bytes, is_told):
    levels, *numbers = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    columns = [tuple(np.cumsum(column, dtype=int).tolist()) for column in numbers]
    offsets = SecondOffsets(columns[0], columns[1], header_bytes) if is_told else None

    found = unpack(StemActivity(tuple(level / TENTHS for level in levels), offsets).pack())

    assert found.tenths.tolist() == levels
    assert found.header_bytes == (header_bytes if is_told else None)
    for column, expected in zip((found.byte_offset, found.first_frame), columns, strict=True):
        assert column.tolist() == list(expected) if is_told else column is None
