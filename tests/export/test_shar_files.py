"""Shar shards as Lhotse itself opens them."""

from __future__ import annotations

import numpy as np
import pytest

from stemline.export import shar
from stemline.export.song import aligned_song

RNG = np.random.default_rng(0)
RATE = 8000


def _sound(channels=2, seconds=2.0):
    return (RNG.integers(-9000, 9000, (int(RATE * seconds), channels)) / 2**15).astype(np.float32)


def _write(folder, songs, fields=("vocals", "drums")):
    folder.mkdir(parents=True)
    facts = {"bpm": 120.5, "key": "A minor", "license": None}
    cuts = "".join(shar.song_cut(name, song, RATE, facts) for name, song in songs.items())
    (folder / shar.shard_name("cuts", 0)).write_text(cuts, encoding="utf-8")
    for field in fields:
        members = [
            member
            for name, song in songs.items()
            for member in (
                shar.song_members(name, song.stems[field], RATE)
                if field in song.stems
                else shar.missing_members(name)
            )
        ]
        (folder / shar.shard_name(field, 0)).write_bytes(shar.tar_file(members))
    mixtures = [m for name, song in songs.items() for m in shar.song_members(name, song.mixture, RATE)]
    (folder / shar.shard_name("recording", 0)).write_bytes(shar.tar_file(mixtures))


@pytest.mark.long
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.filterwarnings("ignore")
def test_lhotse_reads_stems_and_mixture(tmp_path, channels):
    lhotse = pytest.importorskip("lhotse")
    songs = {
        shar.cut_id(track_id): aligned_song({"vocals": _sound(channels), "drums": _sound(channels)})
        for track_id in ("a.b/c", "déjà vu", "x" * 500, ".hidden")
    }
    songs["loud"] = aligned_song({stem: 3 * _sound(channels) for stem in ("vocals", "drums")})
    songs["no drums"] = aligned_song({"vocals": _sound(channels)})
    _write(tmp_path / "train", songs)
    found = list(lhotse.CutSet.from_shar(in_dir=tmp_path / "train"))
    assert [cut.id for cut in found] == list(songs)
    for cut, song in zip(found, songs.values(), strict=True):
        assert np.array_equal(cut.load_vocals(), song.stems["vocals"].T)
        assert np.array_equal(cut.load_audio(), song.mixture.T)
        assert cut.has_custom("drums") == ("drums" in song.stems)
        assert (cut.bpm, cut.key, cut.sampling_rate, cut.duration) == (120.5, "A minor", RATE, 2.0)
        window = cut.truncate(offset=0.5, duration=0.25)
        assert np.array_equal(window.load_vocals(), song.stems["vocals"].T[:, 4000:6000])


def test_a_field_has_a_name_that_python_takes():
    names = ["vocals", "lead vocals", "recording", "channel", "808", "größe"]
    found = [shar.field_name(stem) for stem in names]
    assert found == ["vocals", "lead_vocals", "stem_recording", "stem_channel", "stem_808", "gr__e"]


def test_a_tar_has_the_same_bytes_each_time():
    members = shar.song_members("a", _sound(), RATE)
    assert shar.tar_file(members) == shar.tar_file(members)
