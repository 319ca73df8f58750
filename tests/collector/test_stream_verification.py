"""A stem measured on its way is measured as the file would be, however its bytes come."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline.audio import encode
from stemline.collector.download import DownloadChunk
from stemline.collector.mixdown import MonoExcerpt
from stemline.collector.stream_verification import StreamVerifier
from stemline.errors import AudioRejected
from stemline.records import Code
from stemline.verify import StemExpectation, verify_stem

FORMATS = ("wav", "flac", "mp3")
KILOBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stems")


@pytest.fixture(scope="module")
def stems(folder):
    """Encoded stems by (format, sample rate, seconds)."""
    made = {}
    for seconds in (0.01, 0.3, 1.0, 4.0):
        for rate, channels in ((44100, 2), (22050, 1)):
            clock = np.arange(int(seconds * rate)) / rate
            noise = np.random.default_rng(1).standard_normal((len(clock), channels))
            samples = 0.3 * np.sin(2764 * clock)[:, None] + 0.05 * noise
            for audio_format in FORMATS:
                encode(folder / "made", samples, rate, audio_format)
                made[audio_format, rate, seconds] = (folder / "made").read_bytes()
        soundfile.write(folder / "made", samples, rate, format="FLAC", subtype="PCM_24")
        made["flac", 24, seconds] = (folder / "made").read_bytes()
    return made


def chunks(data, step):
    """What a downloader gives for a file that comes in chunks of so many bytes."""
    yield DownloadChunk(0, len(data), b"")
    for start in range(0, len(data), step):
        yield DownloadChunk(start, len(data), data[start : start + step])


def passed(name, data, step, expected, *on_block):
    """The measures of bytes that went by, which came out as they went in."""
    with StreamVerifier(name, len(data), expected, *on_block) as verifier:
        assert b"".join(verifier.pass_on(chunks(data, step))) == data
        return verifier.measures


def outcome(measure):
    """The measures, or the code and the sentence of the refusal."""
    try:
        return measure()
    except AudioRejected as error:
        return error.code


def both(folder, data, step, expected):
    """What comes of a file and of the same bytes on their way."""
    path = folder / f"stem.{expected.format}"
    path.write_bytes(data)
    return (
        outcome(lambda: verify_stem(path, expected)),
        outcome(lambda: passed(path.name, data, step, expected)),
    )


def headless(mp3):
    """An mp3 without its first frame, which tells how long it is."""
    start = mp3.index(b"\xff")
    return mp3[start + 144 * KILOBITS[min(mp3[start + 2] >> 4, 14)] * 1000 // 44100 :]


def tagged(data, size=1000):
    """A file behind an ID3v2 tag."""
    body = b"TXXX" + size.to_bytes(4) + bytes(3) + b"a" * (size - 1)
    length = bytes(len(body) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + length + body + data


def kinds(data, share, noise):
    """The file as it is, and what may have become of it, by name."""
    at = int(share * len(data))
    return {
        "whole": data,
        "cut": data[:at],
        "beheaded": data[min(at, 5000) :],
        "headless": headless(data) if data[:1] == b"\xff" else data,
        "garbage": noise,
        "damaged": data[:at] + noise + data[at + len(noise) :],
        "followed": data + noise,
        "padded": data + bytes(int(share * 50_000)),
        "tag at the end": data + b"TAG" + b"x" * 125,
        "tag": tagged(data),
        "large tag": tagged(data, 200_000),
        "twice": data + data,
    }


KINDS = sorted(kinds(b"", 0.0, b""))


@pytest.mark.long
@settings(
    max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(draw=st.data())
def test_bytes_on_their_way_measure_as_the_file_does(folder, stems, draw):
    """For whole, damaged and strange files of each format, in chunks of one byte up to the whole."""
    made = draw.draw(st.sampled_from(sorted(stems, key=str)))
    share, noise = draw.draw(st.floats(0, 1)), draw.draw(st.binary(max_size=5000))
    data = kinds(stems[made], share, noise)[draw.draw(st.sampled_from(KINDS))]
    steps = [1, 7, 1000, 65_536, 10**9] if len(data) < 50_000 else [1000, 65_536, 10**9]
    expected = StemExpectation(made[0], draw.draw(st.sampled_from([None, made[2], 60.0])))

    file, stream = both(folder, data, draw.draw(st.sampled_from(steps)), expected)

    assert stream == file


@pytest.mark.parametrize("audio_format", FORMATS)
@pytest.mark.parametrize("step", [1000, 10**9])
def test_a_good_stem_is_measured(folder, stems, audio_format, step):
    data = stems[audio_format, 44100, 4.0]

    file, stream = both(folder, data, step, StemExpectation(audio_format, 4.0))

    assert stream == file
    assert (stream.verification, stream.size_bytes) == ("ok", len(data))


@pytest.mark.parametrize("other", FORMATS)
@pytest.mark.parametrize("audio_format", FORMATS)
def test_another_format_is_left_to_the_disk_which_names_it(folder, stems, audio_format, other):
    if audio_format == other:
        return

    file, stream = both(folder, stems[other, 44100, 1.0], 1000, StemExpectation(audio_format, 1.0))

    assert (file.format, file.verification) == (other, "format")
    assert stream is Code.UNSUPPORTED_FORMAT


def test_damage_is_refused_as_soon_as_it_is_decoded(stems):
    """The rest need not be fetched."""
    song = stems["mp3", 44100, 4.0]
    data = song[:20_000] + bytes(5000) + song[25_000:] * 200
    given = []
    with (
        StreamVerifier("stem.mp3", len(data), StemExpectation("mp3")) as verifier,
        pytest.raises(AudioRejected),
    ):
        given.extend(len(chunk) for chunk in verifier.pass_on(chunks(data, 65_536)))

    assert sum(given) < len(data) / 2


def test_what_follows_the_sound_of_a_wav_is_passed_on(folder, stems):
    data = stems["wav", 44100, 1.0] + b"junk" * 1_000_000

    file, stream = both(folder, data, 65_536, StemExpectation("wav", 1.0))

    assert stream == file
    assert stream.size_bytes == len(data)


@pytest.mark.parametrize(
    "more", [DownloadChunk(999, 5000, b"x"), DownloadChunk(1000, 5001, b"x"), DownloadChunk(1000, None, b"x")]
)
def test_a_file_that_is_begun_anew_or_becomes_another_is_refused(more):
    coming = iter([DownloadChunk(0, 5000, b"f" * 1000), more])
    with StreamVerifier("stem.flac", 5000, StemExpectation("flac")) as verifier:
        passed_on = verifier.pass_on(coming)
        assert next(passed_on) == b"f" * 1000

        with pytest.raises(AudioRejected, match="begun anew"):
            next(passed_on)


def test_the_decoder_ends_when_the_stem_is_given_up(stems):
    data = stems["flac", 44100, 4.0]
    blocks = []
    with StreamVerifier("stem.flac", len(data), StemExpectation("flac"), blocks.append) as verifier:
        assert list(islice(verifier.pass_on(chunks(data, 1000)), 5))

    assert not hasattr(verifier, "measures")


@pytest.mark.parametrize("audio_format", FORMATS)
def test_the_beginning_can_be_kept_on_the_way(stems, audio_format):
    excerpt = MonoExcerpt()

    measured = passed(
        "stem", stems[audio_format, 22050, 4.0], 1000, StemExpectation(audio_format), excerpt.add
    )

    assert len(excerpt.audio(22050).samples) == measured.frames
