"""What a decoder may ask of a file that is still on its way."""

from __future__ import annotations

import io
import os

import pytest

from stemline.collector.stream_verification import DecoderPipe

DATA = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture
def pipe():
    return DecoderPipe(io.BytesIO(DATA), "stem.mp3", len(DATA))


def test_it_is_read_in_order_to_its_end(pipe):
    assert pipe.read(1000) + pipe.read(len(DATA)) == DATA
    assert pipe.read(1000) == b""


def test_its_beginning_can_be_read_again(pipe):
    first = pipe.read(100_000)

    assert pipe.seek(10) == 10
    assert pipe.read(10**6) == first[10:]
    assert pipe.read(5) == DATA[100_000:100_005]


def test_it_knows_its_end_and_tells_of_no_tag_there(pipe):
    pipe.read(1000)

    assert pipe.seek(-128, os.SEEK_END) == len(DATA) - 128
    assert pipe.read(128) == b""
    assert pipe.seek(1000) == pipe.tell() == 1000
    assert pipe.read(5) == DATA[1000:1005]


@pytest.mark.parametrize("place", [1_500_000, 1_800_000], ids=["behind", "ahead"])
def test_elsewhere_is_an_error_and_never_an_end(pipe, place):
    for _ in range(16):
        pipe.read(100_000)
    pipe.seek(place)

    with pytest.raises(OSError, match="not at hand"):
        pipe.read(10)


@pytest.mark.parametrize(("name", "is_so"), [("a.mp3", True), ("a.wav", False), ("a.flac", False)])
def test_only_an_mp3_is_read_out_of_order(name, is_so):
    assert DecoderPipe(io.BytesIO(), name, 0).seekable() is is_so
