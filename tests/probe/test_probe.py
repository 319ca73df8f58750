"""Length, rate, channels and codec come out right for every form of audio."""

from __future__ import annotations

import shutil
import struct

import av
import fsspec
import numpy as np
import pytest
import soundfile
from probe_audio import RATE, SECONDS, encode, song, vbri

from stemline.audio import decode_blocks
from stemline.errors import AudioRejected
from stemline.probe import AudioFacts
from stemline.probe.probing import probe, probe_many
from stemline.records import Code

SAMPLE_EXACT = {
    "a.wav": (RATE, "pcm_16"),
    "a.flac": (RATE, "flac"),
    "a.aiff": (RATE, "pcm_16"),
    "a.ogg": (RATE, "vorbis"),
    "a.opus": (48_000, "opus"),
    "a.mp3": (RATE, "mp3"),
    "variable.mp3": (RATE, "mp3"),
}
WITHIN_FRAMES = {
    "bare.mp3": (RATE, "mp3"),
    "a.aac": (RATE, "aac"),
    "a.m4a": (RATE, "aac"),
    "a.mka": (RATE, "aac"),
    "alac.m4a": (RATE, "alac"),
    "a.wma": (RATE, "wmav2"),
    "a.webm": (48_000, "opus"),
}


@pytest.mark.parametrize("name", SAMPLE_EXACT)
def test_containers_that_count_samples_are_exact(music, name):
    facts = probe(str(music / name))

    rate, codec = SAMPLE_EXACT[name]
    size_bytes = (music / name).stat().st_size
    assert facts == AudioFacts(pytest.approx(SECONDS, abs=1e-6), rate, 2, codec, size_bytes, is_exact=True)


@pytest.mark.parametrize("name", WITHIN_FRAMES)
def test_other_containers_are_right_within_a_few_frames(music, name):
    facts = probe(str(music / name))

    rate, codec = WITHIN_FRAMES[name]
    size_bytes = (music / name).stat().st_size
    assert facts == AudioFacts(pytest.approx(SECONDS, abs=0.08), rate, 2, codec, size_bytes, is_exact=False)


def test_a_variable_mp3_without_a_header_fools_others(music):
    """The trap is real: libsndfile and FFmpeg's guess are seconds off on the file we measure rightly."""
    with av.open(str(music / "bare.mp3")) as container:
        guessed = container.duration / av.time_base

    assert abs(soundfile.info(music / "bare.mp3").duration - SECONDS) > 1
    assert abs(guessed - SECONDS) > 1
    assert b"Xing" not in (music / "bare.mp3").read_bytes()[:4096]


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.m4a", "bare.mp3"])
def test_the_name_does_not_matter(music, tmp_path, name):
    shutil.copy(music / name, tmp_path / "no suffix")
    shutil.copy(music / name, tmp_path / "wrong: ünï.wav")

    assert {probe(str(path)) for path in tmp_path.iterdir()} == {probe(str(music / name))}


class TestMp3:
    def test_tags_before_the_first_frame_are_skipped(self, music, tmp_path):
        def tag(size):
            sizes = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
            return b"ID3\x04\x00\x00" + sizes + bytes(size)

        (tmp_path / "a.mp3").write_bytes(tag(300_000) + tag(10) + (music / "variable.mp3").read_bytes())

        assert probe(str(tmp_path / "a.mp3")).duration_seconds == pytest.approx(SECONDS, abs=1e-6)

    def test_a_file_cut_short_is_measured_and_not_believed(self, music, tmp_path):
        data = (music / "variable.mp3").read_bytes()
        (tmp_path / "a.mp3").write_bytes(data[: len(data) * 2 // 3])

        facts = probe(str(tmp_path / "a.mp3"))

        assert 4 < facts.duration_seconds < 11
        assert not facts.is_exact

    @pytest.mark.long
    def test_joined_files_are_measured_and_not_believed(self, tmp_path):
        loud = song(40)
        encode(tmp_path / "part.mp3", loud, "libmp3lame", b="320k")
        (tmp_path / "a.mp3").write_bytes((tmp_path / "part.mp3").read_bytes() * 2)

        assert probe(str(tmp_path / "a.mp3")).duration_seconds == pytest.approx(80, abs=0.2)

    def test_a_vbri_header_is_read(self, tmp_path):
        facts = probe(str(vbri(tmp_path / "a.mp3", 100)))

        assert facts.duration_seconds == pytest.approx(100 * 1152 / 44_100)
        assert (facts.sample_rate, facts.codec, facts.is_exact) == (44_100, "mp3", False)

    @pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 32_000, 48_000])
    @pytest.mark.parametrize("channels", [1, 2])
    def test_every_rate_and_mono(self, tmp_path, rate, channels):
        samples = song(3, rate)[:, :channels]
        soundfile.write(tmp_path / "a.mp3", samples, rate)

        facts = probe(str(tmp_path / "a.mp3"))

        assert (facts.sample_rate, facts.channels) == (rate, channels)
        assert facts.duration_seconds == pytest.approx(3, abs=0.001 if facts.is_exact else 0.2)


class TestDamage:
    @pytest.mark.parametrize("suffix", ["mp3", "wav", "flac", "ogg", "opus", "m4a", "aac", "webm"])
    @pytest.mark.parametrize(
        "data",
        [
            np.random.default_rng(3).bytes(100_000),
            bytes(50_000),
            b"<!DOCTYPE html><html><body>404</body></html>" * 20,
            b'{"error": "denied"}',
            b"x",
            b"RIFF\x00\x00\x00\x00WAVE",
            b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f",
            b"\xff\xfb\x90\x00",
        ],
        ids=["noise", "zeros", "html", "json", "one byte", "bare riff", "endless tag", "half a frame"],
    )
    def test_what_is_no_audio_is_rejected(self, tmp_path, suffix, data):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(data)

        with pytest.raises(AudioRejected, match="not readable audio") as caught:
            probe(str(path))

        assert caught.value.code is Code.UNREADABLE_AUDIO
        assert caught.value.fix
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
    def test_a_file_cut_anywhere_is_shorter_or_rejected_and_never_an_error_of_ours(
        self, music, tmp_path, share
    ):
        for name in {**SAMPLE_EXACT, **WITHIN_FRAMES}:
            data = (music / name).read_bytes()
            (tmp_path / name).write_bytes(data[: int(len(data) * share)])
            try:
                facts = probe(str(tmp_path / name))
            except AudioRejected as error:
                assert error.code is Code.UNREADABLE_AUDIO  # noqa: PT017 - either outcome is right
            else:
                assert 0 < facts.duration_seconds < SECONDS + 0.1

    def test_an_empty_file(self, tmp_path):
        (tmp_path / "a.mp3").touch()

        with pytest.raises(AudioRejected, match="is empty") as caught:
            probe(str(tmp_path / "a.mp3"))
        assert caught.value.code is Code.EMPTY_FILE

    @pytest.mark.parametrize("name", ["none.mp3", "a.wav/none.mp3"])
    def test_a_missing_file(self, music, name):
        with pytest.raises(AudioRejected, match="does not exist") as caught:
            probe(str(music / name))
        assert caught.value.code is Code.MISSING_FILE

    def test_a_folder(self, music):
        with pytest.raises(AudioRejected, match="cannot be read"):
            probe(str(music))

    def test_a_video_without_sound(self, tmp_path):
        with av.open(str(tmp_path / "a.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
            container.mux([*stream.encode(picture), *stream.encode(None)])

        with pytest.raises(AudioRejected, match="no audio stream"):
            probe(str(tmp_path / "a.mp4"))


class TestMany:
    def test_order_is_kept_and_errors_come_as_values(self, music, tmp_path):
        (tmp_path / "bad.mp3").write_bytes(b"no audio")
        good = [str(music / name) for name in {**SAMPLE_EXACT, **WITHIN_FRAMES}]
        locations = [*good, str(tmp_path / "bad.mp3"), *reversed(good)] * 3

        outcomes = list(probe_many(locations, workers=3))

        assert [location for location, _ in outcomes] == locations
        for location, outcome in outcomes:
            assert isinstance(outcome, AudioRejected if "bad" in location else AudioFacts)

    def test_locations_are_taken_only_a_little_ahead(self, music):
        taken = 0

        def endless():
            nonlocal taken
            while True:
                taken += 1
                yield str(music / "a.wav")

        outcomes = probe_many(endless(), workers=2)
        for _ in range(10):
            next(outcomes)
        outcomes.close()

        assert taken < 100


def test_memory_locations_are_read(music):
    fsspec.filesystem("memory").pipe("/probe/a.m4a", (music / "a.m4a").read_bytes())

    assert probe("memory://probe/a.m4a") == probe(str(music / "a.m4a"))


def test_a_form_that_nothing_here_decodes_is_told(tmp_path):
    path = soundfile_of_53_bits(tmp_path / "odd.wav")

    with pytest.raises(AudioRejected, match="nothing here decodes") as caught:
        probe(str(path))

    assert caught.value.code is Code.UNREADABLE_AUDIO
    with pytest.raises(AudioRejected, match="nothing here decodes"), decode_blocks(path) as blocks:
        next(iter(blocks))


def soundfile_of_53_bits(path):
    """Write a wav whose samples have a size that no decoder of FFmpeg's knows."""
    samples = bytes(7 * 3 * 800)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 3, 8_000, 8_000 * 21, 21, 53)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(samples)) + samples
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    return path
