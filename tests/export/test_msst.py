"""The form `msst`, read as the trainer's documentation says."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from support.separation_trainer import Trainer
from support.sound_catalogue import RATE

from stemline import open_dataset
from stemline.errors import UsageError
from stemline.export.msst import song_folder
from stemline.export.sample import ExportSample, ExportTrack

STEMS = ("instrumental", "vocals")
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


def _folder(track_id, artist=None, title=None, window=None):
    track = ExportTrack(track_id, "train", {"artist": artist, "title": title}, {})
    return song_folder(ExportSample(track, {}, window))


@pytest.mark.parametrize("track", NAMES, ids=lambda track: NAMES[track])
def test_a_song_folder_is_readable_and_safe(track):
    assert _folder(*track) == NAMES[track]


def test_no_two_samples_share_a_folder():
    asked = [
        ("b", "A", None, None),
        ("A - b",),
        ("A_b",),
        ("b", "A", None, 0),
        ("b", "A", None, 1),
        ("b=w0",),
    ]
    assert len({_folder(*each) for each in asked}) == len(asked)


def test_a_trainer_reads_every_type(export, catalogue, tmp_path, monkeypatch):
    catalogue.publish("mixed", stems=(*STEMS, "mix"), split="train")
    export("msst")
    out, trainer = tmp_path / "msst", Trainer(STEMS, 1000)
    for batch in (trainer.type_1(out / "train"), trainer.type_4(out / "train")):
        assert {name: sound.shape for name, sound in batch.items()} == dict.fromkeys(STEMS, (1000, 2))
    assert trainer.type_6(out / "train")["mixture"].shape == (1000, 2)
    (song,) = trainer.validation(out / "test")
    assert np.abs(song["vocals"] + song["instrumental"] - song["mixture"]).max() < 2**-23
    monkeypatch.chdir(out)
    lists = [out / "train.csv", out / "test.csv"]
    assert {sound.shape for sound in trainer.type_3(*lists).values()} == {(1000, 2)}
    assert "In 4 samples `mixture.wav` is the sum" in (out / "README.md").read_text()


def test_files_are_as_the_reader_gives_them(export, catalogue, tmp_path):
    catalogue.publish("mixed", stems=(*STEMS, "mix"), split="train")
    export("msst", sample_rate=RATE)
    song = tmp_path / "msst" / "train" / "Artist of mixed - Mixed - mixed"
    for name, stem in {"vocals": "vocals", "mixture": "mix"}.items():
        found, rate = soundfile.read(song / f"{name}.wav", dtype="float32", always_2d=True)
        with pytest.warns(UserWarning, match="activity"):
            assert np.array_equal(found, open_dataset(catalogue.url).audio("mixed", stem))
        assert rate == RATE
    told = json.loads((song / "track.json").read_bytes())
    assert (told["track_id"], told["bpm"], told["mixture"]) == ("mixed", 120.5, "kept")


def test_windows_are_songs_of_their_own(export, tmp_path):
    export("msst", seconds=1.0, is_mono=True, split="test")
    trainer = Trainer(STEMS, 44100)
    songs = trainer.songs(tmp_path / "msst" / "test")
    assert [song.name for song in songs] == [f"Artist of emil - Emil - emil=w00000{n}" for n in range(3)]
    found = trainer.validation(songs[0].parent)
    assert {sound.shape for song in found for sound in song.values()} == {(44100, 1)}


def test_a_song_that_lacks_a_stem_has_no_file_of_it(export, catalogue, tmp_path):
    catalogue.publish("duo", stems=("vocals",), split="train")
    export("msst", sample_rate=RATE)
    song = tmp_path / "msst" / "train" / "Artist of duo - Duo - duo"
    assert sorted(path.name for path in song.iterdir()) == ["mixture.wav", "track.json", "vocals.wav"]
    assert "instrumental,train/Artist of duo" not in (tmp_path / "msst" / "train.csv").read_text()


def test_mixes_alone_are_refused(export, catalogue):
    catalogue.publish("mixed", stems=(*STEMS, "mix"), split="train")
    with pytest.raises(UsageError, match="besides its mix"):
        export("msst", stems=("mix",))
