"""What a container says about its audio: libsndfile where it counts samples, FFmpeg for the rest."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import IO, cast

import av
import soundfile

from stemline import ogg
from stemline.errors import AudioRejected
from stemline.probe.audio_facts import AudioFacts, unreadable
from stemline.probe.audio_file import OpenAudio

# Formats without a length of their own: FFmpeg would guess it from the bit rate of the first packets.
_UNMEASURED = frozenset({"mp3", "aac", "ac3", "eac3", "dts", "truehd", "mpeg", "mpegts", "amr", "loas"})
# libsndfile gives streams of unknown length as huge ones.
_LONGEST_SAMPLES = 2**48
_PROBE_BYTES = "65536"
_Container = av.container.InputContainer


def read_sound_file(audio: OpenAudio) -> AudioFacts | None:
    """Give the facts of a wav, flac, ogg, opus or aiff file; None: libsndfile cannot read it."""
    audio.file.seek(0)
    try:
        with soundfile.SoundFile(audio.path or audio.file) as file:
            samples, rate, channels = int(file.frames), int(file.samplerate), int(file.channels)
            codec = _codec(file.format, file.subtype)
    except (soundfile.LibsndfileError, TypeError, ValueError):
        return None
    if not 0 < samples < _LONGEST_SAMPLES or rate <= 0:
        return None
    return AudioFacts(samples / rate, rate, channels, codec, audio.size_bytes, is_exact=True)


def read_links(audio: OpenAudio) -> AudioFacts:
    """Give the facts of an Ogg file of several links: the first one's, and the length of all of them.

    Raises `AudioRejected` when none holds audio.
    """
    found = []
    for link in ogg.links(cast("IO[bytes]", audio.file), audio.size_bytes):
        part = OpenAudio(audio.location, audio.size_bytes, cast("IO[bytes]", link), None)
        try:
            found.append(read_sound_file(part) or read_container(part))
        except AudioRejected:
            continue  # a link that holds no sound, or was cut off, adds nothing
    if not found:
        raise unreadable(audio.location, "it holds no audio stream")
    seconds = sum(facts.duration_seconds for facts in found)
    return replace(found[0], duration_seconds=seconds, is_exact=all(facts.is_exact for facts in found))


def _codec(file_format: str, subtype: str) -> str:
    return "flac" if file_format == "FLAC" else subtype.lower()


def read_container(audio: OpenAudio, *, is_counted: bool = False) -> AudioFacts:
    """Give the facts of anything FFmpeg opens; nothing is decoded.

    `is_counted` walks the packets to the end instead of believing the header.
    Raises `AudioRejected` for what holds no audio.
    """
    audio.file.seek(0)
    try:
        with av.open(
            # The open file, never its path: a playlist dressed up as music must not lead anywhere else.
            audio.file,
            mode="r",
            metadata_errors="ignore",
            options={"probesize": _PROBE_BYTES},
            container_options={"protocol_whitelist": "none"},
        ) as container:
            stream = next((found for found in container.streams if found.type == "audio"), None)
            if stream is None:
                raise unreadable(audio.location, "it holds no audio stream")
            stream = cast("av.AudioStream", stream)
            if cast("object", stream.codec_context) is None:  # which PyAV's types do not say
                raise unreadable(audio.location, "it is in a form that nothing here decodes")
            length = (
                None
                if is_counted or container.format.name in _UNMEASURED
                else _stated_length(container, stream)
            )
            seconds = float(_counted_length(container, stream) if length is None else length)
            context = stream.codec_context
            facts = AudioFacts(
                seconds,
                context.sample_rate,
                context.channels,
                context.codec.canonical_name,
                audio.size_bytes,
                is_exact=False,
            )
    except (av.FFmpegError, OSError, ValueError, EOFError, ArithmeticError) as error:
        raise unreadable(audio.location, _reason(error)) from error
    if facts.duration_seconds <= 0 or facts.sample_rate <= 0 or facts.channels <= 0:
        raise unreadable(audio.location, "it holds no samples")
    return facts


def _stated_length(container: _Container, stream: av.AudioStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _counted_length(container: _Container, stream: av.AudioStream) -> Fraction:
    start = end = None
    for packet in container.demux(stream):
        if packet.pts is None:
            continue
        start = packet.pts if start is None else min(start, packet.pts)
        end = max(end or 0, packet.pts + (packet.duration or 0))
    if start is None or end is None or stream.time_base is None:
        return Fraction(0)
    return (end - start) * stream.time_base


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(
        error
    )  # FFmpeg's errors are not all OSErrors, and all have one
    return (text or type(error).__name__).splitlines()[0].rstrip(".")
