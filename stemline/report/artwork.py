"""The cover inside a music file as a small picture for a page."""

from __future__ import annotations

import base64
import io
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

SIDE = 144
"""In pixels: twice what is shown, for screens that have as many."""
_MOST_PIXELS = 25_000_000
"""A picture that says to be larger is not unpacked."""
_OPTIONS = {"protocol_whitelist": "none"}


def artwork_url(path: Path) -> str:
    """Give the cover of a music file of this machine as a data: URL; empty where it has none, or none that decodes."""
    try:
        with path.open("rb") as file, av.open(file, mode="r", container_options=_OPTIONS) as music:
            cover = _cover(music)
            data = b"" if cover is None else _jpeg(cover)
    except Exception:  # noqa: BLE001 - whatever an odd file comes to costs its picture alone
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}" if data else ""


def _cover(music: InputContainer) -> VideoFrame | None:
    for stream in music.streams.video:
        if stream.disposition & Disposition.attached_pic and stream.width * stream.height <= _MOST_PIXELS:
            return _first_frame(music, stream)
    return None


def _first_frame(music: InputContainer, stream: VideoStream) -> VideoFrame | None:
    return next((frame for packet in music.demux(stream) for frame in packet.decode()), None)


def _jpeg(cover: VideoFrame) -> bytes:
    """Give a picture as JPEG; what is not square is shown as its middle by the page."""
    scale = SIDE / min(cover.width, cover.height)
    width, height = (max(2, round(side * scale / 2) * 2) for side in (cover.width, cover.height))
    if max(width, height) > 4 * SIDE:  # a strip, and no cover
        return b""
    small = cover.reformat(width, height, format="yuvj420p")
    file = io.BytesIO()
    with av.open(file, "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=1, options={"qmin": "6", "qmax": "6"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        small.pts, small.time_base = 0, Fraction(1, 1)
        out.mux(stream.encode(small))
        out.mux(stream.encode(None))
    return file.getvalue()
