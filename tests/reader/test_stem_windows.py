"""A window is, bit for bit, the slice of the whole stem decoded, and one range of its bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import soxr

import stemline
from stemline.audio import decode
from stemline.errors import AudioRejected
from stemline.reader.stem_lookup import StemName, find_stem
from stemline.storage.local_store import LocalStore

WINDOWS = [
    (0.0, 1.0),
    (0.0, 7.4),
    (1.5, 2.25),
    (2.0, 3.0),
    (3.98, 2.01),
    (3.999, 0.01),
    (6.9, 0.5),
    (6.9, 5.0),
    (7.0, None),
    (9.0, 1.0),
]


def some_long(*often: object, rarely: tuple[object, ...]) -> list:
    """Cases of which those that differ little from others run with the long tests."""
    return [*often, *(pytest.param(each, marks=pytest.mark.long) for each in rarely)]


def slice_of(whole: np.ndarray, rate: int, start: float, seconds: float | None) -> np.ndarray:
    begin = round(start * rate)
    return whole[begin : None if seconds is None else begin + round(seconds * rate)]


@pytest.fixture
def ranges(monkeypatch):
    """The key, start and stop of every range that is read of an object."""
    read, found = LocalStore.read_range, []

    def note(self, key, start, stop):
        if key.startswith("audio/"):
            found.append((key, start, stop))
        return read(self, key, start, stop)

    monkeypatch.setattr(LocalStore, "read_range", note)
    return found


@pytest.mark.parametrize(
    "kind", some_long("flac", "24.wav", "float.wav", "mp3", rarely=("24.flac", "wav", "8.wav"))
)
def test_a_window_is_the_slice_of_the_whole(published, kind):
    published.publish("a", kind=kind)
    dataset = stemline.open_dataset(published.url)
    # Another decoder rounds an mp3 in its own way.
    whole = decode(published.file("a", "vocals")).samples if kind == "mp3" else published.whole("a", "vocals")

    for start, seconds in WINDOWS:
        found = dataset.audio("a", "vocals", start, seconds)
        assert found.dtype == np.float32
        assert np.array_equal(found, slice_of(whole, 22_050, start, seconds)), (start, seconds)


@pytest.mark.parametrize(
    ("kind", "tail"),
    [("mp3", b"TAG" + bytes(125)), ("wav", b"LIST\x04\0\0\0INFO"), ("float.wav", b"LIST\x04\0\0\0INFO")],
    ids=["mp3", "wav", "float.wav"],
)
def test_what_follows_the_sound_in_a_file_is_none_of_it(published, kind, tail):
    published.publish("a", kind=kind, tail=tail)
    dataset = stemline.open_dataset(published.url)
    whole = decode(published.file("a", "vocals")).samples

    for start, seconds in WINDOWS:
        found = dataset.audio("a", "vocals", start, seconds)
        assert np.array_equal(found, slice_of(whole, 22_050, start, seconds)), (start, seconds)


@pytest.mark.parametrize("kind", some_long("flac", rarely=("wav", "float.wav", "mp3")))
@pytest.mark.parametrize("length", [0.5, 1.0])
def test_a_stem_of_a_second_or_less_is_read_as_others(published, kind, length):
    published.publish("a", kind=kind, seconds=length)
    dataset = stemline.open_dataset(published.url)
    whole = decode(published.file("a", "vocals")).samples

    for start, seconds in ((0.0, None), (0.25, 0.2), (0.0, 3.0)):
        found = dataset.audio("a", "vocals", start, seconds)
        assert np.array_equal(found, slice_of(whole, 22_050, start, seconds)), (start, seconds)


@pytest.mark.parametrize("kind", some_long("flac", rarely=("24.flac", "wav", "mp3")))
def test_a_window_is_one_range_of_little_more_than_its_share(published, ranges, kind):
    published.publish("a", kind=kind)
    dataset = stemline.open_dataset(published.url)
    size = published.file("a", "vocals").stat().st_size

    dataset.audio("a", "vocals", 1.95, 4.0)

    ((key, start, stop),) = ranges
    assert key.endswith(f"vocals.{kind[-4:].strip('.')}")
    # Seconds are of unlike size, and a window begins and ends within one.
    assert (stop - start) / size < 1.6 * 4 / 7.4


@pytest.mark.parametrize("kind", ["ogg", "flac"])
def test_without_offsets_the_whole_is_read_and_that_is_said_once(published, kind):
    published.publish("a", kind=kind, has_activity=False)
    dataset = stemline.open_dataset(published.url)

    with pytest.warns(UserWarning, match="is read whole for each window") as said:
        found = [dataset.audio("a", stem, 1.5, 2.25) for stem in ("vocals", "instrumental")]

    assert len(said) == 1
    for stem, samples in zip(("vocals", "instrumental"), found, strict=True):
        assert np.array_equal(samples, slice_of(decode(published.file("a", stem)).samples, 22_050, 1.5, 2.25))


@pytest.mark.parametrize("has_activity", [True, pytest.param(False, marks=pytest.mark.long)])
@pytest.mark.filterwarnings("ignore:The stem")
def test_embedded_audio_is_read_from_its_part(published, has_activity):
    published.audio = "embedded"
    for track_id in "abc":
        published.publish(track_id, has_activity=has_activity)
    dataset = stemline.open_dataset(published.url)

    for track_id in "abc":
        for stem in ("vocals", "instrumental"):
            found = dataset.audio(track_id, stem, 3.3, 2.0)
            assert np.array_equal(found, slice_of(published.whole(track_id, stem), 22_050, 3.3, 2.0))


@pytest.mark.parametrize("rate", some_long(16_000, 44_100, rarely=(22_050, 11_025, 22_049)))
def test_at_another_rate_it_is_the_slice_of_the_whole_resampled(published, rate):
    published.publish("a")
    dataset = stemline.open_dataset(published.url)
    whole = published.whole("a", "vocals")
    resampled = whole if rate == 22_050 else soxr.resample(whole, 22_050, rate, quality="VHQ")

    for start, seconds in WINDOWS:
        found = dataset.audio("a", "vocals", start, seconds, sample_rate=rate)
        expected = slice_of(resampled, rate, start, seconds)
        assert found.shape == expected.shape
        assert np.allclose(found, expected, atol=5e-6)


def test_mono_is_the_mean_of_the_channels(published):
    published.publish("a")
    dataset = stemline.open_dataset(published.url)

    for rate in (None, 16_000):
        both = dataset.audio("a", "vocals", 1.2, 3.4, sample_rate=rate)
        found = dataset.audio("a", "vocals", 1.2, 3.4, sample_rate=rate, mono=True)
        assert np.allclose(found, both.mean(axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("kind", some_long("flac", rarely=("wav", "float.wav", "mp3")))
@pytest.mark.parametrize("damage", ["shorter", "another sound", "zeros"])
def test_an_object_that_was_altered_is_never_read_as_if_it_were_not(published, kind, damage):
    published.publish("a", kind=kind)
    dataset = stemline.open_dataset(published.url)
    rows = dataset.stems.to_table(columns=["path", "stem"]).to_pylist()
    (path,) = (row["path"] for row in rows if row["stem"] == "vocals")
    data = published.store.read_bytes(path)
    other = published.file("a", "instrumental").read_bytes()
    altered = {
        "shorter": data[: len(data) // 3],
        "another sound": (other + bytes(len(data)))[: len(data)],
        "zeros": data[:100] + bytes(len(data) - 100),
    }
    published.store.put_bytes(path, altered[damage])

    with pytest.raises(AudioRejected, match=r"'vocals' of 'a' .* does not hold what the tables say"):
        dataset.audio("a", "vocals", 3.1, 3.0)


def test_an_object_that_is_gone_is_told(published):
    published.publish("a")
    dataset = stemline.open_dataset(published.url)
    for key in list(published.store.list("audio")):
        published.store.delete(key)

    with pytest.raises(AudioRejected, match=r"'vocals' of 'a' .* is gone"):
        dataset.audio("a", "vocals", 1.0, 1.0)


@pytest.mark.parametrize("damage", ["shorter", "gone"])
def test_on_s3_too_an_altered_object_is_told(published, bucket, s3_server, damage):
    published.url, published.storage_options = f"s3://{bucket}/set", s3_server.storage_options
    published.publish("a")
    dataset = stemline.open_dataset(published.url, published.storage_options)
    (path,) = (row["path"] for row in dataset.stems.to_table().to_pylist() if row["stem"] == "vocals")
    data = published.store.read_bytes(path)
    published.store.put_bytes(path, data[: len(data) // 2])
    if damage == "gone":
        published.store.delete(path)

    for start in (2.5, 5.5):
        with pytest.raises(AudioRejected, match="'vocals' of 'a' "):
            dataset.audio("a", "vocals", start, 1.5)


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a//b"])
def test_a_path_that_leaves_the_dataset_is_not_followed(published, path):
    published.publish("a")
    dataset = stemline.open_dataset(published.url)
    place = replace(find_stem(StemName("a", "vocals"), dataset.tables), path=path)

    with pytest.raises(AudioRejected, match="does not hold what the tables say"):
        dataset.stem_audio.read(place, 1.0, 1.0)


@pytest.mark.parametrize("audio", ["objects", "embedded"])
def test_a_linked_mix_is_read_from_where_it_lies(published, tmp_path, audio):
    published.audio = audio
    source = tmp_path / "source.flac"
    soundfile.write(source, published.sound(9), 22_050)
    published.publish("a", mix=str(source))
    published.publish("b", mix="elsewhere/source.flac")
    dataset = stemline.open_dataset(published.url)

    whole = soundfile.read(source, dtype="float32")[0]
    assert np.array_equal(dataset.audio("a", "mix", 1.1, 2.0), slice_of(whole, 22_050, 1.1, 2.0))
    with pytest.raises(
        AudioRejected, match=r"a link to 'elsewhere/source.flac' in the folder of the catalogue"
    ):
        dataset.audio("b", "mix", 1.1, 2.0)
