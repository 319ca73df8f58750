"""Aligned windows of real sound, from real objects."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from support.sound_dataset import RATE, SoundDataset

import stemline
from stemline.errors import StorageError, UsageError
from stemline.reader.windows import _order_of_epoch
from stemline.storage.s3_store import S3ObjectStore

STEMS = ("instrumental", "vocals")


def places(windows):
    return [(window["track_id"], window["start"]) for window in windows]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Five tracks that no test changes, and a folder for their indexes."""
    folder = tmp_path_factory.mktemp("shared")
    dataset = SoundDataset(str(folder / "set"), folder)
    for number, kind in enumerate(("flac", "wav", "mp3", "24.flac", "flac")):
        dataset.publish(f"t{number}", kind=kind, columns={"split": "test" if number == 4 else "train"})
    return dataset


@pytest.fixture
def catalogue(shared, monkeypatch):
    monkeypatch.setenv("STEMLINE_CACHE", str(shared.scratch / "cache"))
    return shared


@pytest.fixture
def dataset(catalogue):
    return stemline.open_dataset(catalogue.url)


def test_a_window_is_the_same_second_of_each_stem(catalogue, dataset):
    windows = list(dataset.windows(2.0, STEMS, seed=1))

    assert len(windows) == dataset.windows(2.0, STEMS).windows_per_epoch == 5 * 3
    for window in windows:
        begin = int(window["start"] * RATE)
        for stem in STEMS:
            expected = catalogue.whole(window["track_id"], stem)[begin : begin + 2 * RATE]
            is_lossy = window["track_id"] == "t2"
            assert window[stem].dtype == np.float32
            np.testing.assert_allclose(window[stem], expected, atol=2e-5 if is_lossy else 0)
        np.testing.assert_array_equal(window["mix"], window["instrumental"] + window["vocals"])
        assert (window["mix_source"], window["sample_rate"]) == ("sum", RATE)


def test_an_epoch_takes_each_track_once_over_and_shuffles_them(dataset):
    windows = dataset.windows(2.0, STEMS)
    drawn = places(windows)

    assert Counter(track for track, _ in drawn) == dict.fromkeys(["t0", "t1", "t2", "t3", "t4"], 3)
    for track in {track for track, _ in drawn}:
        starts = sorted(start for other, start in drawn if other == track)
        assert [start // 2 for start in starts] == [0, 1, 2]
    assert [track for track, _ in drawn] != sorted(track for track, _ in drawn)


def test_the_order_follows_from_seed_and_epoch_alone(dataset):
    windows = dataset.windows(2.0, STEMS, seed=1)
    first = places(windows)

    assert places(windows) == places(dataset.windows(2.0, STEMS, seed=1)) == first
    assert places(dataset.windows(2.0, STEMS, seed=2)) != first
    windows.set_epoch(1)
    assert places(windows) != first
    assert first + places(windows) == places(dataset.windows(2.0, STEMS, seed=1, epochs=2))


def test_a_state_goes_on_with_the_very_next_window(dataset):
    asked = {"where": "track_id IN ('t0', 't1')", "seed": 7}
    windows = dataset.windows(2.0, STEMS, epochs=2, **asked)
    whole, states = [], [windows.state()]
    for window in windows:
        whole += places([window])
        states.append(windows.state())

    for count in (0, 1, 5, 6, 7, 11):
        resumed = dataset.windows(2.0, STEMS, epochs=None, resume=states[count], **asked)
        rest = iter(resumed)
        assert places(next(rest) for _ in range(min(12 - count, 2))) == whole[count : count + 2]
        assert states[count]["epoch"] == resumed.epoch == count // 6
        rest.close()


def test_a_seed_of_numpy_is_one_as_well(dataset):
    windows = dataset.windows(2.0, STEMS, seed=np.int64(3))
    same = dataset.windows(2.0, STEMS, seed=3, resume=json.loads(json.dumps(windows.state())))
    found = places(windows)
    _order_of_epoch.cache_clear()  # for it the two are one key
    assert found == places(same)


def test_ranks_share_an_epoch(dataset, monkeypatch):
    whole = places(dataset.windows(2.0, STEMS))
    shares = [dataset.windows(2.0, STEMS, rank=rank, world_size=4) for rank in range(4)]

    assert [places(share) for share in shares] == [whole[rank::4] for rank in range(4)]
    assert [len(share) for share in shares] == [4, 4, 4, 3]
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert places(dataset.windows(2.0, STEMS)) == whole[1::4]


def test_split_and_filter_choose_tracks(dataset):
    assert {track for track, _ in places(dataset.windows(2.0, STEMS, split="test"))} == {"t4"}
    chosen = dataset.windows(2.0, STEMS, split="train", where="track_id >= 't2' -- and more")
    assert {track for track, _ in places(chosen)} == {"t2", "t3"}


def test_other_rates_and_mono_are_what_audio_gives(dataset):
    windows = list(dataset.windows(2.0, STEMS, sample_rate=16_000, mono=True, where="track_id < 't2'"))

    for window in windows:
        assert window["vocals"].shape == window["mix"].shape == (32_000, 1)
        told = (window["track_id"], "vocals", window["start"], 2.0)
        np.testing.assert_array_equal(window["vocals"], dataset.audio(*told, sample_rate=16_000, mono=True))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"stems": ("vocals", "drums")}, "no stem 'drums'. It has instrumental, vocals."),
        ({"stems": "vocals"}, "Give a tuple"),
        ({"stems": ()}, "Give a tuple"),
        ({"split": "dev"}, "no split 'dev'. It has test, train."),
        ({"split": "it's"}, 'no split "it\'s"'),
        ({"where": "plays > 3"}, "where='plays > 3' is no condition.*\"plays\".*Its columns are track_id"),
        ({"where": "artist ="}, "is no condition on the table tracks"),
        ({"where": "CAST(artist AS INT) = 1"}, "is no condition on the table tracks"),
        ({"where": "artist = 'X'"}, "No track answers to where"),
        ({"seconds": 60}, "No window of 60 s can be taken of 5 tracks. Left out: 5 too short"),
        ({"seconds": 0}, "seconds is 0"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"seconds": "6"}, "seconds is '6'"),
        ({"min_rms_dbfs": -1}, "5 too quiet"),
        ({"min_rms_dbfs": 3}, "min_rms_dbfs is 3"),
        ({"min_rms_dbfs": {"drums": -20}}, "min_rms_dbfs names 'drums'"),
        ({"sample_rate": 0}, "no sample_rate 0"),
        ({"sample_rate": 10**12}, "no sample_rate 1000000000000"),
        ({"sample_rate": "44100"}, "no sample_rate '44100'"),
        ({"split": 3}, "split is 3"),
        ({"where": 3}, "where is 3"),
        ({"rank": 1}, "rank and world_size go together"),
        ({"rank": 2, "world_size": 2}, "no rank 2 of 2"),
        ({"epochs": 0}, "epochs is 0"),
        ({"prefetch_bytes": -1}, "prefetch_bytes is -1"),
        ({"resume": {}}, "no state of windows"),
        ({"epochs": "x"}, "epochs is 'x'. Give a whole number from 1 on, or None"),
        ({"rank": "0", "world_size": 2}, "rank is '0'"),
        ({"rank": 0, "world_size": 0}, "world_size is 0"),
        ({"prefetch_bytes": "x"}, "prefetch_bytes is 'x'"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"seed": 1.5}, "seed is 1.5"),
    ],
)
def test_what_cannot_be_is_refused_with_one_sentence(dataset, asked, sentence):
    with pytest.raises(UsageError, match=sentence):
        dataset.windows(**{"seconds": 2.0, "stems": STEMS, **asked})


def test_a_state_of_other_windows_is_refused(dataset):
    state = dataset.windows(2.0, STEMS).state()

    for asked in ({"seconds": 1.0}, {"stems": ("vocals",)}, {"split": "train"}, {"mono": True}):
        with pytest.raises(UsageError, match="of other windows"):
            dataset.windows(**{"seconds": 2.0, "stems": STEMS, "resume": state, **asked})


def test_windows_go_to_another_process_and_epochs_count_from_0(dataset):
    windows = dataset.windows(2.0, STEMS, seed=3)

    other = pickle.loads(pickle.dumps(windows))  # noqa: S301 - our own

    assert places(other) == places(windows)
    with pytest.raises(UsageError, match="epoch is -1"):
        windows.set_epoch(-1)


@pytest.mark.long
def test_torch_is_not_loaded_for_it(catalogue):
    code = (
        "import sys, stemline\n"
        f"print(len(list(stemline.open_dataset({catalogue.url!r}).windows(2.0, {STEMS!r}))))\n"
        "print(sorted({'torch', 'prefect', 'sqlalchemy', 'stemline_local'} & sys.modules.keys()))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True
    )

    assert told.stdout.splitlines() == ["15", "[]"]


def test_a_mix_that_is_kept_is_given(published):
    published.publish("a", stems=("instrumental", "vocals", "mix"))
    for window in stemline.open_dataset(published.url).windows(2.0, STEMS):
        begin = int(window["start"] * RATE)
        assert window["mix_source"] == "kept"
        np.testing.assert_array_equal(window["mix"], published.whole("a", "mix")[begin : begin + 2 * RATE])


@pytest.mark.long
def test_windows_of_mono_are_as_wide_as_the_others(published):
    published.publish("a", channels=1)
    published.publish("b")

    for window in stemline.open_dataset(published.url).windows(2.0, STEMS):
        assert window["vocals"].shape == window["mix"].shape == (2 * RATE, 2)


@pytest.mark.long
def test_embedded_audio_is_given_too(published):
    published.audio = "embedded"
    published.publish("a")
    for window in stemline.open_dataset(published.url).windows(2.0, STEMS):
        begin = int(window["start"] * RATE)
        np.testing.assert_array_equal(
            window["vocals"], published.whole("a", "vocals")[begin : begin + 2 * RATE]
        )


def test_tracks_nobody_has_measured_are_taken_anywhere_and_said_once(published, caplog):
    published.publish("a", has_activity=False)
    windows = stemline.open_dataset(published.url).windows(2.0, STEMS)

    with pytest.warns(UserWarning, match="read whole"):
        drawn = places(windows)
    assert len(drawn) == 3
    assert [record.message for record in caplog.records if "nobody has measured" in record.message]


@pytest.mark.long
def test_the_newest_recipe_that_has_the_stems_is_taken(published):
    published.publish("a", day=20)
    published.publish("a", day=21, quality="fast")
    published.publish("a", day=22, quality="draft", stems=("vocals",))
    windows = stemline.open_dataset(published.url).windows(2.0, STEMS)

    assert {windows._reader.index.row(int(windows._choice[each, 0].row)).recipe for each in range(3)} == {
        "vocals-fast-flac"
    }
    assert len(windows) == 3


@pytest.mark.long
def test_compaction_changes_no_window(published):
    for name in "abc":
        published.publish(name)
    before = stemline.open_dataset(published.url).windows(2.0, STEMS)
    drawn, state = places(before), before.state()
    published.compact()

    assert places(before) == drawn
    assert state["epoch"] == 1
    windows = stemline.open_dataset(published.url).windows(2.0, STEMS)
    windows.load_state(state)
    windows.set_epoch(0)
    assert places(windows) == drawn


@pytest.mark.parametrize("where", [None, "artist = 'X'"])
def test_a_damaged_part_of_tracks_is_told_as_what_it_is(published, where):
    published.publish("a")
    dataset = stemline.open_dataset(published.url)
    (part,) = (key for key in published.store.list("tracks") if key.endswith(".parquet"))
    published.store.put_bytes(part, b"PAR1 and then nothing PAR1")

    with pytest.raises(StorageError, match="cannot be read"):
        dataset.windows(2.0, STEMS, where=where)


def test_from_s3_a_window_is_one_request_a_stem(s3_server, bucket, tmp_path, monkeypatch):
    published = SoundDataset(f"s3://{bucket}/set", tmp_path, s3_server.storage_options)
    for name in "abc":
        published.publish(name)
    windows = stemline.open_dataset(published.url, s3_server.storage_options).windows(2.0, STEMS)
    asked = []
    read_range = S3ObjectStore.read_range
    monkeypatch.setattr(
        S3ObjectStore, "read_range", lambda self, *range_: asked.append(range_) or read_range(self, *range_)
    )
    for name in ("read_bytes", "size", "list_sizes"):
        monkeypatch.setattr(S3ObjectStore, name, None)

    for window in windows:
        begin = int(window["start"] * RATE)
        expected = published.whole(window["track_id"], "vocals")[begin : begin + 2 * RATE]
        np.testing.assert_array_equal(window["vocals"], expected)
    assert len(asked) == windows.windows_per_epoch * len(STEMS)
