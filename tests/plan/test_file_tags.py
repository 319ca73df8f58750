"""Files of a folder are what their tags say, else what their names do; what stands already stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from stemline.dataset.columns import join_columns
from stemline.dataset.layout import DatasetLayout
from stemline.ledger import MeasuredTrack, WrittenRow
from stemline.ledger.cell import dump_cells
from stemline.manifest import ManifestSource
from stemline.manifest.scan import read_columns, scan_manifest
from stemline.plan.file_tags import FileTags
from stemline.plan.metadata_check import ColumnComparison
from stemline.plan.survey import survey_catalogue
from stemline.probe import TAG_COLUMNS
from stemline.settings import load_facts

OLD_COLUMNS = pa.schema([(name, pa.string()) for name in ("artist", "title", "album", "isrc", "released_on")])


@pytest.fixture
def music(tmp_path):
    folder = tmp_path / "Ann/Album"
    folder.mkdir(parents=True)
    for number, title in ((1, None), (2, "Second")):
        with soundfile.SoundFile(folder / f"0{number} Name.flac", "w", 44_100, 1) as file:
            if title:
                file.title = title
            file.write(np.random.default_rng(number).normal(0, 0.1, 44_100 * 6))
    return tmp_path


def survey(music, *, done=lambda _: (), measured=lambda _: {}, **source):
    batches = survey_catalogue(
        ManifestSource(str(music), **source), load_facts("stemsplit"), done, find_measured=measured
    )
    return [track for batch in batches for track in batch.tracks]


def test_what_is_guessed_is_said_to_be(music):
    first, second = (dict(track.columns) for track in survey(music))

    assert first == {
        "title": "Name",
        "artist": "Ann",
        "album": "Album",
        "guessed": "title,artist,album",
    } | dict.fromkeys(("isrc", "released_on"))
    assert second == first | {"title": "Second", "guessed": "artist,album"}


def test_a_track_is_the_one_it_was_whatever_its_file_says(music):
    listed = [track.track_id for batch in scan_manifest(ManifestSource(str(music))) for track in batch.tracks]
    assert [track.track_id for track in survey(music)] == listed


def test_published_tracks_of_before_there_were_guesses_are_not_corrected(music):
    tracks = survey(music, done=lambda track_ids: track_ids, carried=OLD_COLUMNS)
    cells = dump_cells(dict.fromkeys(OLD_COLUMNS.names))
    written = {track.track_id: WrittenRow(cells, track.location) for track in tracks}

    assert [dict(track.columns) for track in tracks] == [{}, {}]
    layout = DatasetLayout(
        carried=join_columns(OLD_COLUMNS, read_columns(ManifestSource(str(music)), with_tags=True))
    )
    assert not list(ColumnComparison(layout).changed(tracks, written))


def test_a_dataset_of_before_gets_one_column_behind_its_own(music):
    given = read_columns(ManifestSource(str(music), carried=OLD_COLUMNS), with_tags=True)
    assert join_columns(OLD_COLUMNS, given).names == [*OLD_COLUMNS.names, "guessed"]


def test_a_dataset_with_another_column_of_that_name_gets_no_guesses(music):
    kept = OLD_COLUMNS.append(pa.field("guessed", pa.int64()))
    assert [dict(track.columns)["title"] for track in survey(music, carried=kept)] == [None, "Second"]


def test_files_that_are_as_they_were_are_not_opened_again(music):
    before = survey(music)
    for track in before:
        with open(track.location, "r+b") as file:  # noqa: PTH123 - so that its size stays
            file.write(b"no audio")
    later = datetime.now(UTC) + timedelta(hours=1)
    known = {
        track.track_id: MeasuredTrack(
            track.location, 6.0, track.size_bytes, dump_cells(dict(track.columns)), later
        )
        for track in before
    }

    again = survey(music, measured=lambda track_ids: {name: known[name] for name in track_ids})
    assert [track.columns for track in again] == [track.columns for track in before]


def test_what_was_found_earlier_stays_guessed():
    tags = FileTags(TAG_COLUMNS, "/m/")
    found = tags.fill("/m/Ann/Album/01 One.flac", {})

    kept = {name: text for name, text in found.items() if text is not None}
    assert json.dumps(tags.fill("/m/Ann/Album/01 One.flac", kept)) == json.dumps(found)


def test_folders_outside_of_the_music_say_nothing():
    found = FileTags(TAG_COLUMNS, "/m/").fill("/home/ann/01 One.flac", {})
    assert {name: text for name, text in found.items() if text} == {"title": "One", "guessed": "title"}
