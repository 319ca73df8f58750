from __future__ import annotations

import io
import tracemalloc
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.random_examples import examples

from stemline import audio
from stemline.errors import AudioRejected, StorageError
from stemline.records import Code

RATE = 44100


def tone(seconds: float, channels: int = 2, rate: int = RATE, hertz: float = 440.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return np.stack(
        [0.3 * np.sin(2 * np.pi * hertz * (channel + 1) * time) for channel in range(channels)], axis=1
    ).astype(np.float32)


def written(folder: Path, audio_format: str, seconds: float = 2.0) -> Path:
    path = folder / f"tone.{audio_format}"
    audio.encode(path, tone(seconds), RATE, audio_format)
    return path


def muxed(path: Path, codec: str, rate: int = 48000) -> Path:
    """Write two seconds with FFmpeg's own encoders, for the formats that `encode` does not write."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo")
        samples = tone(2.0, rate=rate)
        for start in range(0, len(samples), 960):
            planar = np.ascontiguousarray(samples[start : start + 960].T)
            frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("audio_format", audio.FORMATS)
def test_what_is_encoded_decodes_to_the_same_length_and_sound(tmp_path, audio_format):
    sound = audio.decode(written(tmp_path, audio_format))

    assert (sound.samples.dtype, sound.samples.shape, sound.sample_rate) == (np.float32, (2 * RATE, 2), RATE)
    assert sound.seconds == 2.0
    residual = sound.samples - tone(2.0)
    assert np.sqrt(np.mean(residual**2)) < (2e-5 if audio_format in {"wav", "flac"} else 0.02)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.opus", "libopus"),
        ("a.m4a", "aac"),
        ("a.aac", "aac"),
        ("a.webm", "libopus"),
        ("a.mka", "aac"),
    ],
)
def test_formats_of_other_peoples_catalogues_decode(tmp_path, name, codec):
    sound = audio.decode(muxed(tmp_path / name, codec))

    assert sound.channels == 2
    assert sound.sample_rate == 48000
    assert sound.seconds == pytest.approx(2.0, abs=0.08)
    assert np.sqrt(np.mean(sound.samples**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("audio_format", ["wav", "flac"])
@settings(max_examples=examples(20), deadline=None)
@given(
    raw=arrays(
        np.int16, st.tuples(st.integers(1, 3000), st.integers(1, 6)), elements=st.integers(-32768, 32767)
    )
)
def test_sixteen_bit_sound_survives_a_round_trip_bit_for_bit(tmp_path_factory, audio_format, raw):
    path = tmp_path_factory.mktemp("bits") / "x"
    samples = (raw / 32768).astype(np.float32)

    audio.encode(path, samples, RATE, audio_format)

    assert np.array_equal(audio.decode(path).samples, samples)


def test_a_24_bit_wav_keeps_its_precision(tmp_path):
    with wave.open(str(tmp_path / "deep.wav"), "wb") as file:
        file.setparams((1, 3, RATE, 0, "NONE", ""))
        file.writeframes(b"\x01\x00\x00\xff\xff\x7f\x00\x00\x80" * 100)

    first = audio.decode(tmp_path / "deep.wav").samples[:3, 0]

    assert first == pytest.approx([2.0**-23, 1.0, -1.0], rel=1e-6)


def test_an_8_bit_wav_is_centred_on_zero(tmp_path):
    with wave.open(str(tmp_path / "old.wav"), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes([128, 0, 255]) * 1000)

    sound = audio.decode(tmp_path / "old.wav")

    assert sound.sample_rate == 8000
    assert sound.samples[:3, 0] == pytest.approx([0.0, -1.0, 127 / 128])


def test_more_than_two_channels_keep_their_number(tmp_path):
    audio.encode(tmp_path / "surround.flac", tone(0.5, channels=6), RATE, "flac")

    assert audio.decode(tmp_path / "surround.flac").channels == 6


def test_what_exceeds_full_scale_is_clipped_and_nan_is_silence(tmp_path):
    loud = np.array([[2.0, -3.0], [np.nan, np.inf], [-np.inf, 0.5]])

    audio.encode(tmp_path / "loud.wav", loud, RATE, "wav")

    top = 32767 / 32768
    assert audio.decode(tmp_path / "loud.wav").samples.tolist() == [[top, -1.0], [0.0, top], [-1.0, 0.5]]


@pytest.mark.parametrize(("given_rate", "written_rate"), [(96000, 48000), (40000, 44100), (7000, 8000)])
def test_an_mp3_is_resampled_to_a_rate_it_knows(tmp_path, given_rate, written_rate):
    audio.encode(tmp_path / "high.mp3", tone(1.0, rate=given_rate), given_rate, "mp3")

    sound = audio.decode(tmp_path / "high.mp3")

    assert sound.sample_rate == written_rate
    assert sound.seconds == pytest.approx(1.0, abs=0.01)
    spectrum = np.abs(np.fft.rfft(sound.samples[:, 0]))
    assert np.argmax(spectrum) / sound.seconds == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    ("channels", "audio_format", "words"),
    [(3, "mp3", "3 channels"), (9, "flac", "9 channels"), (2, "opus", "wav, flac, mp3, ogg")],
)
def test_what_a_format_cannot_hold_is_refused_with_a_sentence(tmp_path, channels, audio_format, words):
    with pytest.raises(AudioRejected, match=words) as caught:
        audio.encode(tmp_path / "x", tone(0.1, channels), RATE, audio_format)

    assert caught.value.code is Code.UNSUPPORTED_FORMAT
    assert str(tmp_path / "x") in caught.value.message


def test_a_missing_folder_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="cannot be created"):
        audio.encode(tmp_path / "none" / "x.wav", tone(0.1), RATE, "wav")


@pytest.mark.parametrize("audio_format", ["flac", "mp3", "ogg"])
def test_a_full_disk_is_a_storage_error(audio_format):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")

    with pytest.raises(StorageError, match="/dev/full"):
        audio.encode(full, tone(20.0), RATE, audio_format)


def test_a_minute_of_vorbis_is_written_without_a_crash(tmp_path):
    assert audio.decode(written(tmp_path, "ogg", 70.0)).seconds == 70.0


@pytest.mark.parametrize("name", ["a.mp3", "a.wav", "a.flac", "a.ogg", "a.m4a"])
@pytest.mark.parametrize(
    "content",
    [
        b"<html><body>404</body></html>" * 100,
        bytes(range(256)) * 200,
        b"RIFF\x00\x00",
        b"ID3\x04\x00\x00\x00\x00\x00\x00",
        b"\x00" * 5000,
    ],
    ids=["html", "garbage", "stub", "tag only", "zeros"],
)
def test_what_is_no_audio_is_rejected_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(AudioRejected, match=name) as caught:
        audio.decode(tmp_path / name)

    assert caught.value.code is Code.UNREADABLE_AUDIO


@pytest.mark.parametrize(("make", "code"), [(Path.touch, Code.EMPTY_FILE), (Path.exists, Code.MISSING_FILE)])
def test_an_empty_and_a_missing_file_say_so(tmp_path, make, code):
    make(tmp_path / "song.mp3")

    with pytest.raises(AudioRejected, match=r"song\.mp3") as caught:
        audio.decode(tmp_path / "song.mp3")

    assert caught.value.code is code


def test_a_folder_is_rejected(tmp_path):
    with pytest.raises(AudioRejected, match="cannot be opened"):
        audio.decode(tmp_path)


def test_a_header_without_sound_is_rejected(tmp_path):
    audio.encode(tmp_path / "none.wav", tone(0.0), RATE, "wav")

    with pytest.raises(AudioRejected, match="holds no sound"):
        audio.decode(tmp_path / "none.wav")


def test_a_flac_cut_in_half_is_rejected(tmp_path):
    path = written(tmp_path, "flac", 20.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(AudioRejected, match="cannot be decoded"):
        audio.decode(path)


@pytest.mark.parametrize("audio_format", ["wav", "mp3", "ogg"])
def test_a_file_cut_in_half_decodes_to_what_is_there(tmp_path, audio_format):
    """These formats do not notice; the real length is what tells."""
    path = written(tmp_path, audio_format, 20.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    assert audio.decode(path).seconds == pytest.approx(10.0, abs=1.0)


def test_a_variable_bitrate_mp3_without_its_header_keeps_its_length(tmp_path):
    """Its first frame, which tells the length, is cut off: then soundfile would stop much too early."""
    samples = tone(30.0)
    samples[: 15 * RATE] = 0.0
    path = tmp_path / "bare.mp3"
    audio.encode(path, samples, RATE, "mp3")
    whole = path.read_bytes()
    start = whole.index(b"\xff\xfb")
    kilobits = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[whole[start + 2] >> 4]
    path.write_bytes(whole[start + 144 * kilobits * 1000 // RATE :])

    assert b"Xing" in whole
    assert b"Xing" not in path.read_bytes()
    assert audio.decode(path).seconds == pytest.approx(30.0, abs=0.1)


@pytest.mark.parametrize("name", ["song.mp3", "song.m3u8"])
def test_a_playlist_in_disguise_cannot_make_us_read_other_files(tmp_path, name):
    secret = written(tmp_path, "mp3", 10.0)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret.as_uri()}\n#EXT-X-ENDLIST\n"
    (tmp_path / name).write_text(playlist)

    with pytest.raises(AudioRejected):
        audio.decode(tmp_path / name)


def test_a_path_is_never_a_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "wav")

    with pytest.raises(AudioRejected, match="does not exist"):
        audio.decode("concat:tone.wav|tone.wav")


def test_a_sample_rate_that_changes_on_the_way_is_rejected(tmp_path):
    audio.encode(tmp_path / "a.mp3", tone(2.0), 44100, "mp3")
    audio.encode(tmp_path / "b.mp3", tone(2.0), 32000, "mp3")
    both = tmp_path / "both.mp3"
    both.write_bytes((tmp_path / "a.mp3").read_bytes() + (tmp_path / "b.mp3").read_bytes())

    with pytest.raises(AudioRejected, match="changes its sample rate"):
        audio.decode(both)


@pytest.mark.parametrize(
    "tail",
    [
        bytes(20_000),
        b"TAG" + b"x" * 125,
        b"LYRICSBEGIN" + b"la la " * 200 + b"001200LYRICS200",
        b"\xaa\x55" * 4000,
    ],
    ids=["padding", "tag", "lyrics", "junk"],
)
def test_what_follows_the_end_of_an_mp3_does_not_matter(tmp_path, tail):
    path = written(tmp_path, "mp3", 5.0)
    path.write_bytes(path.read_bytes() + tail)

    assert audio.decode(path).seconds == pytest.approx(5.0, abs=0.05)


def test_a_hole_in_an_mp3_is_damage_in_a_stem_and_a_gap_in_a_source(tmp_path):
    path = written(tmp_path, "mp3", 20.0)
    whole = path.read_bytes()
    path.write_bytes(whole[:100_000] + bytes(5000) + whole[105_000:])

    with pytest.raises(AudioRejected, match="cannot be decoded"):
        list(audio.decode_blocks(path))
    assert audio.decode(path).seconds == pytest.approx(20.0, abs=1.0)


def test_an_open_file_is_read_where_it_lies(tmp_path):
    path = written(tmp_path, "flac")

    assert audio.decode(io.BytesIO(path.read_bytes())).seconds == 2.0
    with path.open("rb") as file:
        assert audio.decode(file).seconds == 2.0
        assert not file.closed


def test_blocks_are_about_a_second_and_add_up_to_the_whole(tmp_path):
    path = written(tmp_path, "mp3", 5.5)
    stream = audio.decode_blocks(path)

    blocks = list(stream)

    assert (stream.sample_rate, stream.channels, stream.codec) == (RATE, 2, "mp3float")
    assert all(RATE <= len(block) < 1.2 * RATE for block in blocks[:-1])
    assert np.array_equal(np.concatenate(blocks), audio.decode(path).samples)


@pytest.mark.parametrize("audio_format", audio.FORMATS)
def test_a_file_says_what_it_is_whatever_its_name(tmp_path, audio_format):
    path = written(tmp_path, audio_format).rename(tmp_path / "tone")

    with audio.decode_blocks(path) as stream:
        assert stream.container == audio_format
        assert (len(stream.header) == 34) == (audio_format == "flac")  # RFC 9639: STREAMINFO


def test_a_reader_may_stop_early(tmp_path):
    with audio.decode_blocks(written(tmp_path, "wav", 5.0)) as stream:
        first = next(iter(stream))

    assert first.shape[1] == 2


def test_streaming_ten_minutes_takes_no_more_memory_than_some_seconds(tmp_path):
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 22050, 0, "NONE", ""))
        for _ in range(600):
            file.writeframesraw(bytes(4 * 22050))

    tracemalloc.start()
    frames = sum(len(block) for block in audio.decode_blocks(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert frames == 600 * 22050
    assert peak < 5_000_000
