"""Probes of audio files: one, or many at once in the order they are asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from stemline.errors import AudioRejected
from stemline.probe.audio_facts import AudioFacts, unreadable
from stemline.probe.audio_file import HEAD_BYTES, OpenAudio, open_audio
from stemline.probe.container import read_container, read_sound_file
from stemline.probe.mp3 import Mp3Length, first_frame, read_length, tag_bytes

ProbeResult = AudioFacts | AudioRejected

_AHEAD_PER_WORKER = 16
_SOUND_FILE_MAGIC = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"caff", b"riff")
_TEXT_MAGIC = (b"<!doc", b"<html", b"<?xml", b"{")
_SHORTEST_SHARE, _LONGEST_SHARE = 0.99, 1.1
_TRAILING_TAG_BYTES = 1_048_576


def probe(location: str, *, storage_options: dict[str, Any] | None = None) -> AudioFacts:
    """Give the length, rate, channels and codec of an audio file: a path, an fsspec URL or an http(s) URL.

    Nothing is decoded: headers are read where they state the length, packets are counted where they do not
    (mp3 without a Xing header, raw AAC). So a file cut short behind a whole header passes here.
    Raises `AudioRejected` with `missing_file`, `empty_file`, `unreadable_audio` or `source_unreachable`.
    """
    with open_audio(location, storage_options) as audio:
        facts = _read_header(audio)
    if facts is not None:
        return facts
    with open_audio(location, storage_options, is_whole=True) as audio:
        return read_container(audio, is_counted=True)


def probe_many(
    locations: Iterable[str], *, workers: int = 4, storage_options: dict[str, Any] | None = None
) -> Iterator[tuple[str, ProbeResult]]:
    """Give each location with its facts, or with the error that says what is wrong with it.

    The order is that of `locations`, which are taken only a little ahead of what is given.
    """

    def result_of(location: str) -> ProbeResult:
        try:
            return probe(location, storage_options=storage_options)
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
    if head.startswith(_SOUND_FILE_MAGIC):
        return read_sound_file(audio) or read_container(audio)
    start, data = _behind_tags(audio, head)
    if first_frame(data) is None:
        return read_container(audio)
    length = read_length(data)
    if length is None or not _is_believable(length, audio.size_bytes - start):
        return None
    frame = length.frame
    return AudioFacts(
        length.duration_seconds, frame.sample_rate, frame.channels, "mp3", audio.size_bytes, length.is_exact
    )


def _behind_tags(audio: OpenAudio, head: bytes) -> tuple[int, bytes]:
    start, data = 0, head
    while size := tag_bytes(data):
        start += size
        data = head[start:] if start + HEAD_BYTES // 4 < len(head) else audio.read_at(start)
    return start, data


def _is_believable(length: Mp3Length, size_bytes: int) -> bool:
    """Tell whether the file is as large as its header says: neither cut short nor joined from several."""
    if length.samples <= 0:
        return False
    if not length.audio_bytes:
        return True
    most = length.audio_bytes * _LONGEST_SHARE + _TRAILING_TAG_BYTES
    return length.audio_bytes * _SHORTEST_SHARE <= size_bytes <= most
