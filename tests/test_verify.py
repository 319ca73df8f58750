"""What a stem must be to count as one."""

from __future__ import annotations

import hashlib
import tracemalloc

import av
import numpy as np
import pytest
import soundfile

from stemline.audio import encode
from stemline.errors import AudioRejected
from stemline.records import Code
from stemline.verify import StemExpectation, check_together, decode_stem, verify_stem

RATE = 44100
SECONDS = 3.0


def tone(seconds=SECONDS, level=0.5, rate=RATE):
    """Two channels of slightly noisy sine, shape (frames, 2)."""
    time = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(1).standard_normal(len(time)) * 1e-3
    return (
        level * np.stack([np.sin(440 * time * 6.28), np.sin(660 * time * 6.28)], axis=1) + noise[:, None]
    ).clip(-1, 1)


@pytest.fixture
def write(tmp_path):
    """Write samples under a name whose suffix is the format."""

    def write(name="vocals.flac", samples=None):
        path = tmp_path / name
        encode(path, tone() if samples is None else samples, RATE, path.suffix[1:])
        return path

    return write


def rejection(path, audio_format, seconds=SECONDS, **more):
    with pytest.raises(AudioRejected) as caught:
        verify_stem(path, StemExpectation(audio_format, seconds, **more))
    return caught.value


def cut(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("audio_format", ["flac", "wav", "mp3", "ogg"])
def test_a_good_stem_is_measured(write, audio_format):
    path = write(f"vocals.{audio_format}")

    found = verify_stem(path, StemExpectation(audio_format, SECONDS))

    assert (found.format, found.verification, found.sample_rate, found.channels) == (
        audio_format,
        "ok",
        RATE,
        2,
    )
    assert found.duration_seconds == pytest.approx(SECONDS, abs=0.11)
    assert found.frames == round(found.duration_seconds * RATE)
    assert found.peak_dbfs == pytest.approx(-6.0, abs=0.5)
    assert found.rms_dbfs == pytest.approx(-9.03, abs=0.3)
    assert found.size_bytes == path.stat().st_size
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("audio_format", ["wav", "mp3", "ogg"])
def test_a_truncated_stem_that_still_decodes_is_caught(write, audio_format):
    assert rejection(cut(write(f"vocals.{audio_format}")), audio_format).code is Code.TRUNCATED


def test_a_truncated_flac_is_caught(write):
    assert rejection(cut(write()), "flac").code is Code.UNDECODABLE


@pytest.mark.parametrize(
    "data", [b"", b"<html>403 Forbidden</html>" * 50, bytes(range(256)) * 99, b"fLaC" + b"x" * 999]
)
def test_what_is_no_audio_is_undecodable(tmp_path, data):
    path = tmp_path / "vocals.flac"
    path.write_bytes(data)

    assert rejection(path, "flac").code is Code.UNDECODABLE


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("damaged_bytes", [1, 10_000])
def test_a_damaged_flac_is_caught_by_its_own_checksum(tmp_path, bits, damaged_bytes):
    path = tmp_path / "vocals.flac"
    soundfile.write(path, tone(), RATE, subtype=f"PCM_{bits}")
    assert verify_stem(path, StemExpectation("flac", SECONDS)).verification == "ok"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + damaged_bytes] = bytes(
        byte ^ 0xFF for byte in data[middle : middle + damaged_bytes]
    )
    path.write_bytes(data)

    assert rejection(path, "flac").code is Code.UNDECODABLE


def test_a_flac_written_without_a_checksum_passes(write):
    path = write()
    data = bytearray(path.read_bytes())
    data[26:42] = bytes(16)
    path.write_bytes(data)

    assert verify_stem(path, StemExpectation("flac", SECONDS)).verification == "ok"


def test_a_stem_of_another_length_is_caught(write):
    path = write()

    assert rejection(path, "flac", SECONDS + 1.1).code is Code.TRUNCATED
    assert rejection(path, "flac", SECONDS - 1.1).code is Code.WRONG_DURATION
    assert rejection(path, "flac", SECONDS + 0.3, tolerance_seconds=0.2).code is Code.TRUNCATED


def test_lengths_rounded_to_seconds_and_unknown_ones_pass(write):
    path = write()

    for seconds in (SECONDS - 0.9, SECONDS + 0.9, None):
        assert verify_stem(path, StemExpectation("flac", seconds)).verification == "ok"


def test_a_length_the_provider_confirms_outweighs_a_wrong_manifest(write):
    path = write()

    found = verify_stem(path, StemExpectation("flac", SECONDS + 30, provider_seconds=SECONDS))

    assert found.verification == "length"
    assert verify_stem(path, StemExpectation("flac", SECONDS, provider_seconds=9.0)).verification == "ok"
    assert rejection(path, "flac", 30.0, provider_seconds=20.0).code is Code.TRUNCATED
    assert rejection(path, "flac", None, provider_seconds=1.0).code is Code.WRONG_DURATION


def test_samples_that_are_no_numbers_are_caught(tmp_path):
    path = tmp_path / "vocals.wav"
    samples = tone()
    samples[RATE, 0] = np.nan
    soundfile.write(path, samples, RATE, subtype="FLOAT")

    assert rejection(path, "wav").code is Code.UNDECODABLE


def test_silence_is_a_warning(write):
    digital = verify_stem(write(samples=np.zeros((3 * RATE, 2))), StemExpectation("flac", SECONDS))
    faint = verify_stem(write(samples=tone(level=0) * 0.3), StemExpectation("flac", SECONDS))

    assert (digital.verification, digital.peak_dbfs, digital.rms_dbfs) == ("silent", None, None)
    assert faint.verification == "silent"
    assert faint.is_silent


def test_clipping_is_a_warning(write):
    assert (
        verify_stem(write(samples=(tone() * 4).clip(-1, 1)), StemExpectation("flac")).verification
        == "clipped"
    )
    assert verify_stem(write(samples=tone(level=0.99)), StemExpectation("flac")).verification == "ok"


def test_another_format_than_asked_is_a_warning(write):
    path = write("vocals.mp3").rename(write().with_name("vocals2.flac"))

    found = verify_stem(path, StemExpectation("flac", SECONDS))

    assert (found.format, found.verification) == ("mp3", "format")


def test_a_flac_behind_a_tag_is_a_flac_with_its_checksum(write):
    path = write()
    tagged = bytearray(b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + path.read_bytes())
    path.write_bytes(tagged)
    assert verify_stem(path, StemExpectation("flac", SECONDS)).verification == "ok"

    tagged[len(tagged) // 2] ^= 0xFF
    path.write_bytes(tagged)

    assert rejection(path, "flac").code is Code.UNDECODABLE


def test_an_mp4_is_named_by_its_codec(tmp_path):
    path = tmp_path / "vocals.flac"
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(tone().T.astype(np.float32).copy(), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)

    assert verify_stem(path, StemExpectation("flac", SECONDS)).format == "aac"


def test_every_block_is_given_on_once(write):
    path = write("vocals.mp3")
    blocks = []

    sound = decode_stem(path, blocks.append)

    assert sum(map(len, blocks)) == sound.loudness.frames == verify_stem(path, StemExpectation("mp3")).frames


@pytest.mark.long
def test_a_long_stem_needs_no_more_memory_than_a_short_one(tmp_path):
    path = tmp_path / "vocals.wav"
    soundfile.write(path, np.tile(tone(10.0), (30, 1)), RATE)  # 5 minutes: 106 MB once decoded to float32
    tracemalloc.start()

    verify_stem(path, StemExpectation("wav", 300.0))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


class TestTogether:
    @pytest.fixture
    def stems(self, write):
        """Measures of a stem by name."""

        def stems(**samples):
            return [
                (name, verify_stem(write(f"{name}.wav", sound), StemExpectation("wav")))
                for name, sound in samples.items()
            ]

        return stems

    def test_one_silent_stem_is_fine(self, stems):
        check_together(stems(vocals=np.zeros((3 * RATE, 2)), instrumental=tone()))

    def test_all_silent_is_not(self, stems):
        with pytest.raises(AudioRejected) as caught:
            check_together(stems(vocals=np.zeros((RATE, 2)), instrumental=np.zeros((RATE, 2))))

        assert caught.value.code is Code.ALL_SILENT

    def test_a_stem_that_ends_before_its_siblings_is_truncated(self, stems):
        with pytest.raises(
            AudioRejected, match=r"vocals lasts 2\.60 s where another stem lasts 3\.00 s"
        ) as caught:
            check_together(stems(vocals=tone(2.6), instrumental=tone(3.0)))

        assert caught.value.code is Code.TRUNCATED

    def test_a_codec_frame_more_or_less_is_fine(self, stems):
        check_together(stems(vocals=tone(2.95), instrumental=tone(3.0)))
