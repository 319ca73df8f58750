"""A length is that of the whole file, however it is joined, damaged or served."""

from __future__ import annotations

import gzip
import io
import re
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np
import pytest
import soundfile

from stemline import audio
from stemline.errors import AudioRejected
from stemline.probe.probing import probe
from stemline_local.engine import SeparationOrder, separate_file

Answer = tuple[int, dict[str, str], bytes]


def sound(seconds: float, form: str, kind: str, rate: int = 44_100, channels: int = 2) -> bytes:
    """Noise in one of libsndfile's forms; each call gives another stream."""
    noise = np.random.default_rng(int(seconds * 10)).standard_normal((int(seconds * rate), channels)) * 0.1
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, channels, subtype=kind, format=form) as written:
        for start in range(0, len(noise), rate):
            written.write(noise[start : start + rate])
    return file.getvalue()


def vorbis(seconds: float, rate: int = 44_100, channels: int = 2) -> bytes:
    return sound(seconds, "OGG", "VORBIS", rate, channels)


def opus(seconds: float, channels: int = 2) -> bytes:
    return sound(seconds, "OGG", "OPUS", 48_000, channels)


def mp3(seconds: float) -> bytes:
    return sound(seconds, "MP3", "MPEG_LAYER_III")


def tagged(data: bytes, art: int) -> bytes:
    size = bytes([art >> 21 & 127, art >> 14 & 127, art >> 7 & 127, art & 127])
    return b"ID3\x04\0\0" + size + np.random.default_rng(3).bytes(art) + data


CHAINS: dict[str, Callable[[], bytes]] = {
    "two of vorbis": lambda: vorbis(4) + vorbis(3),
    "the same one twice": lambda: vorbis(3.5) * 2,
    "the same one seven times": lambda: vorbis(1) * 7,
    "two of opus": lambda: opus(4) + opus(3),
    "vorbis, then opus": lambda: vorbis(4) + opus(3),
    "other rates": lambda: vorbis(4) + vorbis(3, 48_000),
    "other channels": lambda: vorbis(4) + vorbis(3, 44_100, 1),
    "one channel first": lambda: vorbis(4, 22_050, 1) + vorbis(3),
    "a long one and a short one": lambda: vorbis(6.5) + vorbis(0.5),
    "a short one and a long one": lambda: vorbis(0.5) + vorbis(6.5),
    "junk between them": lambda: vorbis(4) + bytes(3000) + vorbis(3),
    "a header without sound behind them": lambda: vorbis(4) + vorbis(3) + vorbis(2)[:80],
    "flac": lambda: sound(7, "FLAC", "PCM_16"),
    "one of vorbis": lambda: vorbis(7),
}


@pytest.mark.parametrize("case", CHAINS)
def test_every_link_of_a_chained_ogg_counts(tmp_path, case):
    """libsndfile counts the first stream alone (libsndfile/libsndfile#277)."""
    path = tmp_path / "chained.ogg"
    path.write_bytes(CHAINS[case]())

    assert probe(str(path)).duration_seconds == pytest.approx(7, abs=0.01)
    assert audio.decode(path).seconds == pytest.approx(7, abs=0.02)


def test_the_local_engine_separates_every_link(tmp_path):
    """The stems of a chain are as long as the chain (libsndfile/libsndfile#277)."""
    (tmp_path / "a.ogg").write_bytes(vorbis(2) + vorbis(1.5, 48_000))

    made = separate_file(
        tmp_path / "a.ogg", tmp_path, SeparationOrder("both", "fast", "flac", "draft"), lambda _: None
    )

    assert made.duration_seconds == pytest.approx(3.5, abs=0.01)


def flac(seconds: float) -> bytes:
    return sound(seconds, "FLAC", "PCM_16")


def stated_flac(seconds: float, samples: int) -> bytes:
    data = bytearray(flac(seconds))
    data[18:26] = (int.from_bytes(data[18:26]) >> 36 << 36 | samples).to_bytes(8)
    return bytes(data)


def stated_mp3(seconds: float, frames: int | None = None, size_bytes: int | None = None) -> bytes:
    data = bytearray(mp3(seconds))
    at = max(data.find(b"Xing"), data.find(b"Info"))
    for place, number in ((8, frames), (12, size_bytes)):
        if number is not None:
            struct.pack_into(">I", data, at + place, number)
    return bytes(data)


def au(seconds: float, size_bytes: int) -> bytes:
    data = bytearray(sound(seconds, "AU", "PCM_16"))
    struct.pack_into(">I", data, 8, size_bytes)
    return bytes(data)


def wav(seconds: float, data_bytes: int, riff_bytes: int = 0xFFFFFFFF) -> bytes:
    data = bytearray(sound(seconds, "WAV", "PCM_16"))
    struct.pack_into("<I", data, 4, riff_bytes)
    struct.pack_into("<I", data, data.find(b"data") + 4, data_bytes)
    return bytes(data)


def av_sound(seconds: float, form: str, codec: str) -> bytearray:
    file = io.BytesIO()
    noise = np.random.default_rng(5).normal(0, 0.1, (2, int(seconds * 44_100))).astype("float32")
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=44_100, layout="stereo")
        context = stream.codec_context
        context.open()
        resampler = av.AudioResampler(context.format, "stereo", 44_100, context.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
        frame.sample_rate = 44_100
        for each in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(each))
    return bytearray(file.getvalue())


def m4a(seconds: float, box: bytes, place: int, number: int) -> bytes:
    data = av_sound(seconds, "mp4", "aac")
    struct.pack_into(">I", data, data.find(box) + place, number)
    return bytes(data)


LIES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "flac, joined": ("flac", lambda: flac(5) + flac(2)),
    "flac, joined to a longer one": ("flac", lambda: flac(2) + flac(5)),
    "flac, twice": ("flac", lambda: flac(3.5) * 2),
    "flac, seven times": ("flac", lambda: flac(1) * 7),
    "flac, joined behind a tag": ("flac", lambda: tagged(flac(5), 1000) + flac(2)),
    "flac, a tenth stated": ("flac", lambda: stated_flac(7, 30_870)),
    "flac, nothing stated": ("flac", lambda: stated_flac(7, 0)),
    "mp3, half of the frames stated": ("mp3", lambda: stated_mp3(7, 134)),
    "mp3, a tenth of the frames stated": ("mp3", lambda: stated_mp3(7, 27)),
    "mp3, no frames stated": ("mp3", lambda: stated_mp3(7, 0)),
    "mp3, no size stated": ("mp3", lambda: stated_mp3(7, None, 0)),
    "mp3, both far too small": ("mp3", lambda: stated_mp3(7, 50, 10_000)),
    "mp3, ten times the frames stated": ("mp3", lambda: stated_mp3(7, 2_680)),
    "wav, no size": ("wav", lambda: wav(7, 0)),
    "wav, streamed": ("wav", lambda: wav(7, 0xFFFFFFFF)),
    "wav, the largest size": ("wav", lambda: wav(7, 0x7FFFF000)),
    "wav, thrice its size": ("wav", lambda: wav(7, 7 * 44_100 * 4 * 3)),
    "wav, all sizes nothing": ("wav", lambda: wav(7, 0, 0)),
    "au, a tenth of its size": ("au", lambda: au(7, 123_480)),
    "au, streamed": ("au", lambda: au(7, 0xFFFFFFFF)),
    "m4a, a tenth stated": ("m4a", lambda: m4a(7, b"mdhd", 20, 30_870)),
    "m4a, the film's length alone": ("m4a", lambda: m4a(7, b"mvhd", 20, 700)),
    "aac, twice": ("aac", lambda: bytes(av_sound(3.5, "adts", "aac")) * 2),
    "aac, a tag between": (
        "aac",
        lambda: bytes(av_sound(3.5, "adts", "aac")) + tagged(bytes(av_sound(3.5, "adts", "aac")), 2_000),
    ),
    "mka, twice": ("mka", lambda: bytes(av_sound(3.5, "matroska", "aac")) * 2),
}


@pytest.mark.parametrize("case", LIES)
def test_a_header_that_says_less_than_there_is_is_not_believed(tmp_path, case):
    """google/ExoPlayer#9238, JamesHeinrich/getID3#120, ietf-wg-cellar/flac-specification#110: all of it is heard."""
    suffix, make = LIES[case]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(make())

    measured, heard = probe(str(path)).duration_seconds, audio.decode(path).seconds

    assert heard == pytest.approx(7, abs=0.12)
    assert heard - 0.1 < measured < heard + 0.25


def test_a_flac_that_says_more_than_there_is_costs_what_it_says(tmp_path):
    """ietf-wg-cellar/flac-specification#110: it may have been cut, and a provider may bill what its header says."""
    path = tmp_path / "a.flac"
    path.write_bytes(stated_flac(7, 926_100))

    assert probe(str(path)).duration_seconds == 21


def with_junk(seconds: float, places: tuple[float, ...], junk: bytes) -> bytes:
    data = mp3(seconds)
    for place in sorted(places, reverse=True):
        at = int(len(data) * place)
        data = data[:at] + junk + data[at:]
    return data


RANDOM = np.random.default_rng(1).bytes(5000)
JOINED: dict[str, Callable[[], bytes]] = {
    "random junk in the middle": lambda: with_junk(7, (0.4,), RANDOM),
    "zeros in the middle": lambda: with_junk(7, (0.4,), bytes(5000)),
    "text in the middle": lambda: with_junk(7, (0.6,), b"<html>busy</html>" * 200),
    "junk in three places": lambda: with_junk(7, (0.2, 0.5, 0.8), RANDOM),
    "a lot of it": lambda: with_junk(7, (0.5,), RANDOM * 40),
    "junk at the end": lambda: mp3(7) + RANDOM,
    "zeros first": lambda: bytes(6000) + mp3(7),
    "two of them": lambda: mp3(4) + mp3(3),
    "a short one behind": lambda: mp3(6) + mp3(1),
    "both with artwork": lambda: tagged(mp3(4), 300_000) + tagged(mp3(3), 300_000),
    "the second with artwork": lambda: mp3(4) + tagged(mp3(3), 20_000),
}


@pytest.mark.parametrize("case", JOINED)
def test_an_mp3_is_as_long_as_its_frames_whatever_stands_between_them(tmp_path, case):
    """RTLSDR-Airband#410, SYSTRAN/faster-whisper#988, pytorch/torchcodec#731: players resynchronise."""
    path = tmp_path / "a.mp3"
    path.write_bytes(JOINED[case]())

    assert probe(str(path)).duration_seconds == pytest.approx(7, abs=0.25)
    assert audio.decode(path).seconds == pytest.approx(7, abs=0.25)


def test_a_source_of_which_much_cannot_be_decoded_is_refused_with_both_lengths(tmp_path):
    """pytorch/torchcodec#731: it fails only when the decoded length is off, and then it says by how much."""
    data = mp3(12)
    (tmp_path / "a.mp3").write_bytes(data[:60_000] + bytes(len(data) // 2) + data[60_000 + len(data) // 2 :])

    with pytest.raises(AudioRejected, match=r"of its 12\.\d s only \d\.\d s can be decoded"):
        separate_file(
            tmp_path / "a.mp3", tmp_path, SeparationOrder("both", "fast", "flac", "draft"), lambda _: None
        )


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[str, int, int], Answer]], str]]:
    """Answer each request with what a function of (Range header, its start, its end) gives."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[str, int, int], Answer]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range", "")
                found = re.fullmatch(r"bytes=(\d+)-(\d+)", asked)
                begin, end = (int(found[1]), int(found[2]) + 1) if found else (0, 1 << 40)
                status, headers, body = answer(asked, begin, end)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/a"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def part(data: bytes, asked: str, begin: int, end: int, total: str) -> Answer:
    if not asked:
        return 200, {}, data
    body = data[begin:end]
    return 206, {"Content-Range": f"bytes {begin}-{begin + len(body) - 1}/{total}"}, body


SERVERS: dict[str, Callable[[bytes, str, int, int], Answer]] = {
    "an unknown total": lambda data, asked, begin, end: part(data, asked, begin, end, "*"),
    "a total that is no number": lambda data, asked, begin, end: part(data, asked, begin, end, "unknown"),
    "no Content-Range": lambda data, asked, begin, end: (206 if asked else 200, {}, data[begin:end]),
    "half of what was asked for": lambda data, asked, begin, end: part(
        data, asked, begin, min(end, begin + 20_000), str(len(data))
    ),
    "another place than was asked for": lambda data, asked, _, end: (
        (206, {"Content-Range": f"bytes 100-{end}/{len(data)}"}, data[100:end]) if asked else (200, {}, data)
    ),
    "the whole as a part": lambda data, asked, *_: (
        206 if asked else 200,
        {"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"} if asked else {},
        data,
    ),
    "no ranges": lambda data, *_: (200, {}, data),
    "gzip": lambda data, *_: (200, {"Content-Encoding": "gzip"}, gzip.compress(data, 1)),
    "ranges of gzip": lambda data, asked, *_: (
        (206, {"Content-Encoding": "gzip", "Content-Range": f"bytes 0-9/{len(data)}"}, data[:10])
        if asked
        else (200, {"Content-Encoding": "gzip"}, gzip.compress(data, 1))
    ),
    "ranges with a total": lambda data, asked, begin, end: part(data, asked, begin, end, str(len(data))),
}


@pytest.mark.parametrize("form", ["mp3", "ogg", "wav", "flac"])
@pytest.mark.parametrize("case", SERVERS)
@pytest.mark.long
def test_a_length_is_never_that_of_the_first_block(serve, case, form):
    """RFC 9110 14.4: a 206 may leave the total unknown, and may hold less than was asked for."""
    kinds = {"mp3": "MPEG_LAYER_III", "ogg": "VORBIS"}
    data = sound(9, form.upper(), kinds.get(form, "PCM_16"))
    url = serve(lambda asked, begin, end: SERVERS[case](data, asked, begin, end))

    assert probe(url).duration_seconds == pytest.approx(9, abs=0.2)


def test_a_server_that_gives_only_a_part_is_no_source(serve):
    """A part of unknown size has no length; the sentence says what the server did."""
    data = mp3(9)
    url = serve(lambda *_: (206, {"Content-Range": "bytes 0-65535/*"}, data[:65_536]))

    with pytest.raises(AudioRejected, match="gives only a part of the file"):
        probe(url)


def test_a_remote_chain_is_read_to_its_end(serve):
    """The end of a chain belongs to another stream than its beginning (libsndfile/libsndfile#277)."""
    data = vorbis(4) + vorbis(3)
    url = serve(lambda asked, begin, end: part(data, asked, begin, end, str(len(data))))

    assert probe(url).duration_seconds == pytest.approx(7, abs=0.01)
