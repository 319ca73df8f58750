"""Songs as folders of wavs, read as a trainer's documentation says."""

from __future__ import annotations

import numpy as np
import pytest
from support.separation_trainer import Trainer

from stemline.export import msst
from stemline.export.song import aligned_song

RNG = np.random.default_rng(0)
STEMS = ("vocals", "drums", "bass", "other")
NAMES = {
    ("t1", "Nina Simone", "Feeling Good"): "Nina Simone - Feeling Good - t1",
    ("t1", None, None): "t1",
    ("t1", "", "Untitled"): "Untitled - t1",
    ("t1", "Beyoncé", "Déjà Vu"): "Beyonce - Deja Vu - t1",
    ("t1", "美空ひばり", "川の流れのように"): "t1",
    ("t1", "AC/DC", "../..\\[x]*?"): "AC DC - x - t1",
    ("t1", "  -.  ", "a\nb"): "a b - t1",
    ("a/b c", "A", "B"): "A - B - a=2Fb=20c",
    (".hidden", None, None): "=2Ehidden",
    ("x" * 200, None, None): "xxxxxxxxxxxxxxxxxxxx=-aa20c23e32018340",
    ("t1", "A" * 500, None): f"{'A' * 80} - t1",
}


def _sound(frames=9000, channels=2):
    return (RNG.integers(-9000, 9000, (frames, channels)) / 2**15).astype(np.float32)


@pytest.mark.parametrize("track", NAMES, ids=lambda track: NAMES[track])
def test_a_song_folder_is_readable_and_safe(track):
    row = dict(zip(("track_id", "artist", "title"), track, strict=True))
    assert msst.song_folder(row) == NAMES[track]


def test_no_two_tracks_share_a_folder():
    rows = [
        {"track_id": track_id, "artist": artist, "title": title}
        for track_id, artist, title in [("b", "A", None), ("A - b", None, None), ("A_b", None, None)]
    ]
    assert len({msst.song_folder(row) for row in rows}) == 3


@pytest.fixture
def exported(tmp_path):
    """Two songs to train and one to validate with, with the lists."""
    songs = {"train": 2, "validation": 1}
    for split, count in songs.items():
        rows = []
        for number in range(count):
            song = aligned_song({stem: _sound() for stem in STEMS}, _sound(8500) if number else None)
            folder = tmp_path / split / f"song {number}"
            folder.mkdir(parents=True)
            for name, data in msst.song_files(song, 44100).items():
                (folder / name).write_bytes(data)
            rows += [(stem, f"{split}/song {number}/{stem}.wav") for stem in STEMS]
        (tmp_path / f"{split}.csv").write_bytes(msst.stem_list(rows))
    return tmp_path


def test_a_trainer_reads_every_type(exported, monkeypatch):
    trainer = Trainer(STEMS, 1000)
    for batch in (trainer.type_1(exported / "train"), trainer.type_4(exported / "train")):
        assert {name: sound.shape for name, sound in batch.items()} == dict.fromkeys(STEMS, (1000, 2))
    assert trainer.type_6(exported / "train")["mixture"].shape == (1000, 2)
    monkeypatch.chdir(exported)
    lists = [exported / "train.csv", exported / "validation.csv"]
    assert {sound.shape for sound in trainer.type_3(*lists).values()} == {(1000, 2)}


def test_a_validation_song_is_its_stems_and_their_mixture(exported):
    (song,) = Trainer(STEMS, 1000).validation(exported / "validation")
    total = sum(song[stem] for stem in sorted(STEMS))
    assert np.array_equal(song["mixture"], total)


def test_a_sum_past_full_scale_is_not_clipped(tmp_path):
    song = aligned_song({stem: np.full((9, 2), 0.75, np.float32) for stem in STEMS})
    (tmp_path / "song").mkdir()
    for name, data in msst.song_files(song, 44100).items():
        (tmp_path / "song" / name).write_bytes(data)
    (found,) = Trainer(STEMS, 1).validation(tmp_path)
    assert found["mixture"].max() == 3.0


def test_stems_are_cut_to_the_shortest_and_the_mix_to_them():
    song = aligned_song({"vocals": _sound(100), "drums": _sound(99, 1)}, _sound(50, 1))
    assert {sound.shape for sound in (*song.stems.values(), song.mixture)} == {(99, 2)}
    assert not song.mixture[50:].any()
    assert np.array_equal(song.stems["drums"][:, 0], song.stems["drums"][:, 1])
