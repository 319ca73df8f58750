from __future__ import annotations

import csv

import numpy as np
import pytest

from stemline import audio
from stemline.analysis import estimate_tempo
from stemline_local.songs import STEMS, make_catalogue


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return make_catalogue(tmp_path_factory.mktemp("catalogue"), count=4, seed=3, workers=2, truth=True)


def rows(manifest):
    with manifest.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.long
def test_every_row_names_a_file_of_its_length(catalogue):
    for row in rows(catalogue):
        seconds = audio.decode(catalogue.parent / row["path"]).seconds

        assert 20 <= seconds <= 60.1
        if row["duration_seconds"]:
            assert seconds == pytest.approx(float(row["duration_seconds"]), abs=0.05)


@pytest.mark.long
def test_formats_keys_tempi_and_titles_vary(catalogue):
    table = rows(catalogue)

    assert {row["path"].rpartition(".")[2] for row in table} == set(audio.FORMATS)
    for column in ("track_id", "title", "true_bpm", "true_key"):
        assert len({row[column] for row in table}) == len(table)


@pytest.mark.long
def test_some_rows_leave_their_duration_out(catalogue):
    known = [bool(row["duration_seconds"]) for row in rows(catalogue)]

    assert any(known)
    assert not all(known)


@pytest.mark.long
def test_the_true_stems_add_up_to_the_song(catalogue):
    row = next(row for row in rows(catalogue) if row["path"].endswith(".flac"))
    folder = catalogue.parent / "truth" / row["track_id"]

    total = sum(audio.decode(folder / f"{stem}.flac").samples for stem in STEMS)

    # Each of the seven files is rounded to 16 bits once.
    assert np.abs(total - audio.decode(catalogue.parent / row["path"]).samples).max() <= 3.6 / 32768


@pytest.mark.long
def test_the_true_tempo_is_the_songs(catalogue):
    for row in rows(catalogue)[:2]:
        sound = audio.decode(catalogue.parent / row["path"])
        bpm = estimate_tempo(sound.samples, sound.sample_rate).bpm

        assert any(abs(bpm * times / float(row["true_bpm"]) - 1) < 0.04 for times in (0.5, 1, 2))


@pytest.mark.long
def test_the_same_seed_gives_the_same_manifest_however_many_work(catalogue, tmp_path):
    again = make_catalogue(tmp_path, count=4, seed=3, workers=1)

    assert again.read_bytes() == catalogue.read_bytes()
    assert not (tmp_path / "truth").exists()
    path = rows(again)[1]["path"]
    first = audio.decode(catalogue.parent / path).samples
    assert np.abs(first - audio.decode(tmp_path / path).samples).max() < 1e-3
