"""Covers of music files, and the source as the original, on the page of a run."""

from __future__ import annotations

import base64
import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from support.html_page import Page

from stemline.report import write_report
from stemline.report.artwork import SIDE, artwork_url


def png(width: int, height: int) -> bytes:
    colours = np.zeros((height, width, 3), np.uint8)
    colours[:, :, 0] = 200
    frame, file = av.VideoFrame.from_ndarray(colours, format="rgb24"), io.BytesIO()
    with av.open(file, "w", format="image2pipe") as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt, frame.pts = width, height, "rgb24", 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def song(path: Path, picture: bytes | None = None) -> Path:
    """A flac with a picture in it, as RFC 9639, section 8.8, has it."""
    soundfile.write(path, 0.3 * np.sin(np.arange(12 * 44_100) / 20), 44_100)
    if picture is not None:
        data, kind = path.read_bytes(), b"image/png"
        end = 8 + int.from_bytes(data[5:8])
        block = struct.pack(">II", 3, len(kind)) + kind + struct.pack(">IIIIII", 0, 0, 0, 24, 0, len(picture))
        block += picture
        info = data[:4] + bytes([data[4] & 0x7F]) + data[5:end]
        path.write_bytes(info + b"\x06" + len(block).to_bytes(3) + block + data[end:])
    return path


@pytest.mark.parametrize(("size", "shown"), [((600, 500), (172, 144)), ((90, 90), (144, 144))])
def test_a_cover_becomes_a_small_picture(tmp_path, size, shown):
    url = artwork_url(song(tmp_path / "a.flac", png(*size)))
    kind, _, data = url.partition(",")
    assert kind == "data:image/jpeg;base64"
    assert len(data) < 20_000
    with av.open(io.BytesIO(base64.b64decode(data)), format="mjpeg") as picture:
        frame = next(picture.decode(video=0))
    assert (frame.width, frame.height) == shown
    assert min(shown) == SIDE
    red, green, _ = frame.to_ndarray(format="rgb24").mean(axis=(0, 1))
    assert (red > 180, green < 20) == (True, True)


def test_what_has_no_cover_that_can_be_shown_has_none(tmp_path):
    damaged = png(64, 64)[:60]
    for picture in (None, damaged, b"", png(2_000, 20)):
        assert artwork_url(song(tmp_path / "a.flac", picture)) == ""
    assert artwork_url(tmp_path / "gone.mp3") == ""


def test_a_runs_card_has_the_cover_and_the_original_of_a_source_on_this_machine(night, tmp_path, stem):
    source = song(tmp_path / "Träume #1.flac", png(300, 300))
    path = "audio/ab/t/stemsplit-four-best-flac/vocals.flac"
    vocals = song(tmp_path / "vocals.flac")
    night.store.put_file(path, vocals)
    facts = {"duration_seconds": 12.0, "size_bytes": vocals.stat().st_size}
    night.publish(night.plan("t", str(source)), stems=(stem("vocals", path, **facts),))
    night.finish()
    page = Page(night.store.read_bytes(write_report(night.ledger, night.store, night.run_id)).decode())
    (picture,) = page.of_class("artwork")
    assert picture.attributes["src"].startswith("data:image/jpeg;base64,")
    assert [each.attributes["aria-label"] for each in page.named("audio")] == ["vocals", "original"]
    assert str(tmp_path) not in page.of_class("deck")[0].text
