"""What a container says about its audio: libsndfile where it counts samples, FFmpeg for the rest."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import IO, cast

import av
import soundfile

from stemline import ogg
from stemline.errors import AudioRejected
from stemline.library_words import reason_of
from stemline.probe import flac
from stemline.probe.audio_facts import AudioFacts, unreadable
from stemline.probe.audio_file import OpenAudio
from stemline.probe.tag_text import clean_text, read_isrc, written_day

# Formats without a length of their own: FFmpeg would guess it from the bit rate of the first packets.
_UNMEASURED = frozenset({"mp3", "aac", "ac3", "eac3", "dts", "truehd", "mpeg", "mpegts", "amr", "loas"})
# libsndfile gives streams of unknown length as huge ones.
_LONGEST_SAMPLES = 2**48
_PROBE_BYTES = "65536"
_LOSSLESS = 4
"""Of a codec's properties, FFmpeg's AV_CODEC_PROP_LOSSLESS."""
_LOSSY_BITS = 6.0
"""So many bits a sample take the largest of the other codecs: aac of 512 kbit/s."""
_TAG_BYTES = 262_144
"""What may be tags and artwork, before the packets are counted to be sure."""
_Container = av.container.InputContainer
_UNREADABLE = (av.FFmpegError, OSError, ValueError, EOFError, ArithmeticError)
TAGS = {
    "artist": ("artist", "album_artist", "albumartist"),
    "title": ("title",),
    "album": ("album",),
    "released_on": ("date", "tdrl", "originaldate", "year"),
    "isrc": ("isrc", "tsrc", "xid"),
}
"""Column of the manifest: its names in FFmpeg, over ID3, Vorbis comments, MP4, RIFF, APE (not of an mp3) and ASF."""
_FORMS = {"released_on": written_day, "isrc": read_isrc}


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
    """Give the facts of an Ogg file of several links, or of flacs joined: the first one's, and the whole length.

    Raises `AudioRejected` when none holds audio.
    """
    found = []
    for link in _links(cast("IO[bytes]", audio.file), audio.size_bytes):
        part = OpenAudio(audio.location, link.size_bytes, cast("IO[bytes]", link), None)
        try:
            found.append(_read_link(part))
        except AudioRejected:
            continue  # a link that holds no sound, or was cut off, adds nothing
    if not found:
        raise unreadable(audio.location, "it holds no audio stream")
    seconds = sum(facts.duration_seconds for facts in found)
    is_exact = all(facts.is_exact for facts in found)
    return replace(found[0], duration_seconds=seconds, size_bytes=audio.size_bytes, is_exact=is_exact)


def _read_link(part: OpenAudio) -> AudioFacts:
    """Give the facts of one file of several; of a flac whose header does not fit its frames, the longer of both.

    A flac that was cut off still tells of its whole length, and a provider may bill what its header says.
    """
    stated, is_flac = read_sound_file(part), part.read_at(0, 4) == flac.MAGIC
    if stated and (not is_flac or flac.is_whole(part.read_at, 0, part.size_bytes)):
        return stated
    counted = read_container(part, is_counted=is_flac)
    if stated is None or stated.duration_seconds <= counted.duration_seconds:
        return counted
    return replace(counted, duration_seconds=stated.duration_seconds, is_exact=False)


def _links(file: IO[bytes], size_bytes: int) -> list[ogg.LinkFile]:
    file.seek(0)
    if file.read(len(ogg.MAGIC)) == ogg.MAGIC:
        return ogg.links(file, size_bytes)
    starts = flac.starts(file)
    return [
        ogg.LinkFile(file, start, end) for start, end in zip(starts, [*starts[1:], size_bytes], strict=False)
    ]


def _codec(file_format: str, subtype: str) -> str:
    return "flac" if file_format == "FLAC" else subtype.lower()


def read_container(audio: OpenAudio, *, is_counted: bool = False) -> AudioFacts:
    """Give the facts of anything FFmpeg opens; nothing is decoded.

    `is_counted` walks the packets to the end instead of believing the header.
    Raises `AudioRejected` for what holds no audio.
    """
    audio.file.seek(0)
    try:
        with _opened(audio) as container:
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
            context = stream.codec_context
            if length is not None and not _is_plausible(container, stream, float(length), audio.size_bytes):
                length = None
            seconds = float(_counted_length(container, stream) if length is None else length)
            facts = AudioFacts(
                seconds,
                context.sample_rate,
                context.channels,
                context.codec.canonical_name,
                audio.size_bytes,
                is_exact=False,
            )
    except _UNREADABLE as error:
        raise unreadable(audio.location, reason_of(error)) from error
    if facts.duration_seconds <= 0 or facts.sample_rate <= 0 or facts.channels <= 0:
        raise unreadable(audio.location, "it holds no samples")
    return facts


def read_tags(audio: OpenAudio) -> dict[str, str]:
    """Give artist, title, album, released_on and isrc as the file's tags have them; none where it has none.

    Text loses what cannot be shown; a day is written as ISO 8601 does where it can be told; of several ISRCs the first
    counts.
    """
    audio.file.seek(0)
    try:
        with _opened(audio) as container:
            streams = (stream.metadata for stream in container.streams if stream.type == "audio")
            found = {
                name.lower(): clean_text(text)
                for tags in (*streams, container.metadata)
                for name, text in tags.items()
            }
    except _UNREADABLE:
        return {}
    named = {column: [found[name] for name in names if found.get(name)] for column, names in TAGS.items()}
    first = {column: texts[0] for column, texts in named.items() if texts}
    return {column: _FORMS[column](text) if column in _FORMS else text for column, text in first.items()}


def _opened(audio: OpenAudio) -> _Container:
    return av.open(
        # The open file, never its path: a playlist dressed up as music must not lead anywhere else.
        audio.file,
        mode="r",
        metadata_errors="surrogateescape",
        options={"probesize": _PROBE_BYTES},
        container_options={"protocol_whitelist": "none"},
    )


def _stated_length(container: _Container, stream: av.AudioStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        # An index counts the samples themselves, and a header may say less.
        entries = stream.index_entries
        last = entries[-1].timestamp if len(entries) else 0
        return max(stream.duration, last) * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _is_plausible(container: _Container, stream: av.AudioStream, seconds: float, size_bytes: int) -> bool:
    """Tell whether so large a file can be so short: where it holds much more, its packets must be counted."""
    if any(each.type == "video" for each in container.streams):
        return True  # most of it is no sound
    context = stream.codec_context
    bits = context.format.bits if context.codec.properties & _LOSSLESS and context.format else _LOSSY_BITS
    most = context.sample_rate * context.channels * bits / 8 * seconds
    return size_bytes <= most + _TAG_BYTES


def _counted_length(container: _Container, stream: av.AudioStream) -> Fraction:
    start = end = None
    total = 0
    for packet in container.demux(stream):
        total += packet.duration or 0
        if packet.pts is None:
            continue
        start = packet.pts if start is None else min(start, packet.pts)
        end = max(end or 0, packet.pts + (packet.duration or 0))
    if start is None or end is None or stream.time_base is None:
        return Fraction(0)
    # In what was joined, time begins anew; where packets have no length of their own, time alone tells.
    return max(end - start, total) * stream.time_base
