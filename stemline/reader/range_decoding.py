"""Sound out of a range of a flac, wav or mp3, bit for bit what the whole file decoded holds there.

Samples are float32, (frames, channels), full scale at -1..1.
"""

from __future__ import annotations

import io

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from numpy.typing import NDArray

from stemline.audio import Samples, to_float
from stemline.errors import AudioRejected
from stemline.records import Code


def decode_range(data: bytes, audio_format: str, name: str) -> tuple[Samples, int]:
    """Give the sound of whole packets, and its sample rate.

    Raises:
        AudioRejected: it does not decode; the sentence begins with `name`.
    """
    try:
        with av.open(io.BytesIO(data), mode="r", format=audio_format, metadata_errors="ignore") as file:
            frames = [frame for packet in file.demux(audio=0) for frame in _decoded(packet, audio_format)]
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise not_as_told(name) from error
    forms = {(each.sample_rate, each.layout.nb_channels, each.format.name) for each in frames}
    if len(forms) != 1:  # none, or more than the file had when it was verified
        raise not_as_told(name)
    return to_float(np.concatenate([_shaped(each) for each in frames])), frames[0].sample_rate


def _decoded(packet: Packet[AudioStream], audio_format: str) -> list[AudioFrame]:
    """Give the frames of a packet; behind the last one of an mp3 there may be anything, such as a tag."""
    try:
        return packet.decode()
    except av.InvalidDataError:
        if audio_format != "mp3":
            raise
        return []


def _shaped(frame: AudioFrame) -> NDArray[np.generic]:
    raw = frame.to_ndarray()
    return raw.T if frame.format.is_planar else raw.reshape(-1, frame.layout.nb_channels)


def pcm_samples(data: bytes, sample_bytes: int, channels: int) -> Samples:
    """Give the sound of whole frames of a wav of 16 or 24 bit."""
    if sample_bytes == 2:
        return to_float(np.frombuffer(data, "<i2")).reshape(-1, channels)
    padded = np.zeros((len(data) // 3, 4), np.uint8)
    padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return to_float(padded.view("<i4").ravel()).reshape(-1, channels)


def not_as_told(name: str) -> AudioRejected:
    """Give the error for an object whose bytes are not those that the tables tell of."""
    return AudioRejected(
        f"{name} does not hold what the tables say: its object was altered.",
        code=Code.UNREADABLE_AUDIO,
        fix="Run `stemline verify`.",
    )
