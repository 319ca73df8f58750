"""Probes of audio files: one, or many at once in the order they are asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import IO, Any, cast

from stemline import ogg
from stemline.errors import AudioRejected
from stemline.probe import flac, matroska
from stemline.probe.audio_facts import AudioFacts, unreadable
from stemline.probe.audio_file import HEAD_BYTES, OpenAudio, open_audio
from stemline.probe.container import read_container, read_links, read_sound_file, read_tags
from stemline.probe.mp3 import (
    Mp3Length,
    count_seconds,
    first_frame,
    mean_frame_bytes,
    read_length,
    tag_bytes,
)
from stemline.records import Code

ProbeResult = AudioFacts | AudioRejected

_AHEAD_PER_WORKER = 16
_SOUND_FILE_MAGIC = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"caff", b"riff")
_TEXT_MAGIC = (b"<!doc", b"<html", b"<?xml", b"{")
_SHORT_SHARE, _LONGEST_SHARE = 0.01, 0.1
"""How much of an mp3 may be missing, and how much that is no frame may follow it, besides a tag."""
_TRAILING_TAG_BYTES = 1_048_576
_SAMPLES_OF_16_BITS = "pcm_16"
_SAMPLE_BYTES, _DIFFERENT_BYTES = 256, 64
_PLACES, _FEW_FRAMES, _FEW_BYTES = (0.35, 0.6, 0.85), 5, 8192
_ODD_SIZE = 1.4
"""How many times larger or smaller than the frames that were looked at they may be on average, by the header."""


def probe(
    location: str,
    *,
    storage_options: dict[str, Any] | None = None,
    with_tags: bool = False,
    refuse_silence: bool = False,
) -> AudioFacts:
    """Give the length, rate, channels and codec of an audio file: a path, an fsspec URL or an http(s) URL.

    Nothing is decoded: headers are read where they state the length, packets are counted where they do not
    (mp3 without a Xing header, raw AAC). So a file cut short behind a whole header passes here.
    Raises `AudioRejected` with `missing_file`, `empty_file`, `unreadable_audio`, `silent` or `source_unreachable`.
    """
    with open_audio(location, storage_options) as audio:
        facts = _read_header(audio)
        if facts is None:
            with open_audio(location, storage_options, is_whole=True) as whole:
                facts = _read_whole(whole)
        if refuse_silence:
            _refuse_silence(audio, facts)
        return replace(facts, tags=read_tags(audio)) if with_tags else facts


def _refuse_silence(audio: OpenAudio, facts: AudioFacts) -> None:
    """Refuse a file of this machine that is silence: nobody need pay to separate it.

    It is decoded as far as its first sound, except where bytes are samples of 16 bits: those of sound differ. Any other
    bytes differ whatever they sound like: packed ones, and the hiss of a tape in 24 bits.
    """
    if audio.path is None:
        return
    if facts.codec == _SAMPLES_OF_16_BITS:
        sample = audio.read_at(audio.size_bytes // 2, _SAMPLE_BYTES)
        if len(set(sample)) > _DIFFERENT_BYTES:
            return
    from stemline.audio.decoding import is_silent  # noqa: PLC0415 - it loads NumPy, which lengths alone do not need

    if is_silent(audio.path):
        raise AudioRejected(
            f'"{audio.location}" is silent from beginning to end.', code=Code.SILENT, fix="Leave it out."
        )


def _read_whole(audio: OpenAudio) -> AudioFacts:
    """Give what the file itself holds, read to its end."""
    head = audio.read_at(0)
    data = head if head.startswith(_SOUND_FILE_MAGIC) else _behind_tags(audio, head)[1]
    if data.startswith((ogg.MAGIC, flac.MAGIC)):
        return read_links(audio)
    if not head.startswith(_SOUND_FILE_MAGIC) and first_frame(data):
        seconds, frame = count_seconds(cast("IO[bytes]", audio.file), audio.size_bytes)
        if frame is not None:
            return AudioFacts(
                seconds, frame.sample_rate, frame.channels, "mp3", audio.size_bytes, is_exact=False
            )
    return read_container(audio, is_counted=True)


def probe_many(
    locations: Iterable[str],
    *,
    workers: int = 4,
    storage_options: dict[str, Any] | None = None,
    with_tags: bool = False,
    refuse_silence: bool = False,
) -> Iterator[tuple[str, ProbeResult]]:
    """Give each location with its facts, or with the error that says what is wrong with it.

    The order is that of `locations`, which are taken only a little ahead of what is given.
    """

    def result_of(location: str) -> ProbeResult:
        try:
            return probe(
                location,
                storage_options=storage_options,
                with_tags=with_tags,
                refuse_silence=refuse_silence,
            )
        except AudioRejected as error:
            return error

    waiting: deque[tuple[str, Future[ProbeResult]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="probe") as pool:
        for location in locations:
            waiting.append((location, pool.submit(result_of, location)))
            if len(waiting) >= workers * _AHEAD_PER_WORKER:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)


def _first(waiting: deque[tuple[str, Future[ProbeResult]]]) -> tuple[str, ProbeResult]:
    location, future = waiting.popleft()
    return location, future.result()


def _read_header(audio: OpenAudio) -> AudioFacts | None:
    """Give what the header states; None: the packets must be counted."""
    head = audio.read_at(0)
    if head[:16].lstrip().lower().startswith(_TEXT_MAGIC):
        raise unreadable(audio.location, "it is text, perhaps an error page saved as audio")
    if head.startswith(ogg.MAGIC) and ogg.may_have_links(head, _tail(audio), audio.size_bytes):
        return None
    if head.startswith(matroska.MAGIC) and not matroska.is_whole(head, audio.size_bytes):
        return None
    start, data = (0, head) if head.startswith(_SOUND_FILE_MAGIC) else _behind_tags(audio, head)
    if data.startswith(flac.MAGIC) and not flac.is_whole(audio.read_at, start, audio.size_bytes):
        return None
    if head.startswith(_SOUND_FILE_MAGIC):
        return read_sound_file(audio) or read_container(audio)
    return _read_mp3(audio, start, data) if first_frame(data) else read_container(audio)


def _read_mp3(audio: OpenAudio, start: int, data: bytes) -> AudioFacts | None:
    """Give what the headers of an mp3, or of several joined into one, state; None: the frames must be counted."""
    found: list[Mp3Length] = []
    while (length := read_length(data)) and length.samples > 0:
        if not _fits_frames(audio, start, data, length):
            return None
        found.append(length)
        end = start + length.frame.start + (length.audio_bytes or audio.size_bytes)
        start, data = _behind_tags(audio, audio.read_at(end), end) if end < audio.size_bytes else (end, b"")
        if first_frame(data) is None:
            return _joined(audio, found) if _is_believable(length, audio.size_bytes - end) else None
    return None


def _fits_frames(audio: OpenAudio, start: int, data: bytes, length: Mp3Length) -> bool:
    """Tell whether so many frames as the header says fill so many bytes, by the size of some of them."""
    if not length.audio_bytes:
        return False
    stated = length.audio_bytes * length.frame.samples / length.samples
    behind = length.frame.start + length.frame.size_bytes
    if length.is_constant:
        places = [data[behind : behind + _FEW_BYTES]]
    else:
        places = [audio.read_at(start + int(length.audio_bytes * at), _FEW_BYTES) for at in _PLACES]
    sizes = [size for place in places if (size := mean_frame_bytes(place, _FEW_FRAMES))]
    return bool(sizes) and 1 / _ODD_SIZE < stated / (sum(sizes) / len(sizes)) < _ODD_SIZE


def _joined(audio: OpenAudio, found: list[Mp3Length]) -> AudioFacts:
    frame, seconds = found[0].frame, sum(length.duration_seconds for length in found)
    is_exact = all(length.is_exact for length in found)
    return AudioFacts(seconds, frame.sample_rate, frame.channels, "mp3", audio.size_bytes, is_exact)


def _tail(audio: OpenAudio) -> bytes:
    return audio.read_at(max(audio.size_bytes - HEAD_BYTES, 0))


def _behind_tags(audio: OpenAudio, head: bytes, at: int = 0) -> tuple[int, bytes]:
    start, data = at, head
    while size := tag_bytes(data):
        start += size
        data = head[start - at :] if start - at + HEAD_BYTES // 4 < len(head) else audio.read_at(start)
    return start, data


def _is_believable(length: Mp3Length, behind_bytes: int) -> bool:
    """Tell whether an mp3 is as large as its header says; `behind_bytes` are more, or, below 0, missing."""
    if not length.audio_bytes:
        return False
    most = length.audio_bytes * _LONGEST_SHARE + _TRAILING_TAG_BYTES
    return -length.audio_bytes * _SHORT_SHARE <= behind_bytes <= most
