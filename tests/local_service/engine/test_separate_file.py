"""One order from file to files."""

from __future__ import annotations

import numpy as np
import pytest

from stemline import audio
from stemline.errors import AudioRejected, UsageError
from stemline.records import STEMS
from stemline_local.engine import SeparationOrder, load_engine, separate_file
from stemline_local.engine.separation import to_stereo
from stemline_local.songs import make_song


@pytest.fixture(scope="module")
def song():
    return make_song(5, bpm=120.0, key="Am", seconds=12.0)


@pytest.fixture
def written(tmp_path, song):
    def write(name="song.wav", samples=None, rate=44100):
        path = tmp_path / name
        audio.encode(path, song.mix if samples is None else samples, rate, path.suffix[1:])
        return path

    return write


def ignore(_):
    """Take progress and do nothing."""


def order(stems="four", quality="fast", audio_format="wav"):
    return SeparationOrder(stems, quality, audio_format, "draft")


@pytest.mark.parametrize("stems", STEMS)
def test_every_order_writes_its_stems_and_nothing_else(stems, written, song, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    done = separate_file(written(samples=song.mix[:88200]), folder, order(stems), ignore)
    assert tuple(done.stems) == STEMS[stems]
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{stem}.wav" for stem in STEMS[stems])
    assert done.experimental == tuple(stem for stem in STEMS[stems] if stem in {"piano", "guitar"})
    assert done.engine == "draft"


@pytest.mark.parametrize("stems", ["both", "four", "six"])
def test_written_stems_add_up_to_the_source(stems, written, song, tmp_path):
    done = separate_file(written(samples=song.mix[:88200]), tmp_path, order(stems), ignore)
    total = sum(audio.decode(path).samples for path in done.stems.values())
    assert np.abs(total - song.mix[:88200]).max() < (len(done.stems) + 1) / 2**16


def test_tempo_key_and_length_are_told(written, tmp_path):
    done = separate_file(written("song.mp3"), tmp_path, order("instrumental"), ignore)
    assert done.bpm == pytest.approx(120, rel=0.02)
    assert isinstance(done.key, str)
    assert done.duration_seconds == pytest.approx(12, abs=0.1)


@pytest.mark.parametrize("audio_format", ["mp3", "wav", "flac"])
@pytest.mark.parametrize("shape", [(44100, 2), (48000, 1), (22050, 2)])
def test_stems_have_the_format_rate_and_channels_asked(audio_format, shape, written, tmp_path):
    rate, channels = shape
    tone = np.sin(np.arange(rate) / 20)[:, None].repeat(channels, axis=1) / 2
    source = written("source.flac", tone, rate)
    done = separate_file(source, tmp_path, order("vocals", audio_format=audio_format), ignore)
    with audio.decode_blocks(done.stems["vocals"]) as stream:
        assert (stream.sample_rate, stream.channels) == (rate, channels)
        assert done.stems["vocals"].suffix == f".{audio_format}"


def test_silence_has_neither_tempo_nor_key(written, tmp_path):
    done = separate_file(written(samples=np.zeros((44100, 2))), tmp_path, order(), ignore)
    assert (done.bpm, done.key) == (None, None)


def test_three_channels_are_mixed_down_to_stereo(written, song, tmp_path):
    samples = np.concatenate([song.mix[:22050], song.mix[:22050, :1]], axis=1)
    done = separate_file(written("three.flac", samples), tmp_path, order("both"), ignore)
    total = sum(audio.decode(path).samples for path in done.stems.values())
    assert np.abs(total - to_stereo(samples)).max() < 3 / 2**16


def test_mixing_down_keeps_full_scale_and_leaves_stereo_alone():
    full = np.ones((10, 6), np.float32)
    assert np.allclose(to_stereo(full), 1)
    assert to_stereo(full[:, :2]).base is full


def test_progress_rises_to_one(written, song, tmp_path):
    told = []
    separate_file(written(samples=song.mix[:44100]), tmp_path, order(), told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)


def test_a_source_that_is_no_audio_is_rejected(tmp_path):
    source = tmp_path / "page.mp3"
    source.write_text("<html>not here</html>")
    with pytest.raises(AudioRejected):
        separate_file(source, tmp_path, order(), ignore)


def test_unknown_orders_and_engines_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no order 'seven'"):
        separate_file(tmp_path / "a.wav", tmp_path, order("seven"), ignore)
    with pytest.raises(UsageError, match="no format 'midi'"):
        separate_file(tmp_path / "a.wav", tmp_path, order(audio_format="midi"), ignore)
    with pytest.raises(UsageError, match="no engine 'magic'"):
        load_engine("magic")
