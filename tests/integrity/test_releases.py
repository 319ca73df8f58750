"""Releases are held against what each says of itself: every file, and nothing else in its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.estate import Estate, open_estate

from stemline.integrity import verification
from stemline.storage import local_store, open_store


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(local_store, "_flush", lambda _: None)


@pytest.fixture
def estate(tmp_path) -> Iterator[Estate]:
    """Two tracks, a release of them, and one more track."""
    with open_estate(tmp_path, open_store(str(tmp_path / "out"))) as opened:
        opened.publish("one", "two")
        opened.release()
        opened.publish("three")
        yield opened


def told(estate) -> list[str]:
    report = estate.check()
    assert not report.rows
    return [f"{each.kind}: {each.path}" for each in report.damages]


def file(estate, end: str) -> Path:
    (key,) = (key for key in estate.store.list("releases/v1") if f"/{key}".endswith(end) or f"/{end}/" in key)
    return estate.store.local_path(key)


def test_nothing_is_said_of_a_sound_release(estate):
    report = estate.check()
    assert report.is_sound, report
    assert report.as_tree()["releases"] == 1
    (file(estate, "/README.md").parent / ".DS_Store").write_bytes(b"")
    assert told(estate) == []


@pytest.mark.parametrize("end", ["tracks", "stems", "/README.md", "/croissant.json"])
@pytest.mark.long
def test_each_file_of_a_release_is_looked_at(estate, end):
    path = file(estate, end)
    key, data = str(path.relative_to(estate.store.root_url)), path.read_bytes()
    path.write_bytes(data[:-1])
    assert told(estate) == [f"altered: {key}"]
    path.write_bytes(data[:4] + b"?" + data[5:])
    assert told(estate) == [f"altered: {key}"]
    path.unlink()
    assert told(estate) == [f"missing: {key}"]
    path.mkdir()
    assert told(estate) == [f"altered: {key}"]
    path.rmdir()
    path.write_bytes(data)
    path.with_suffix(".more").write_bytes(b"")
    assert told(estate) == [f"extra: {Path(key).with_suffix('.more')}"]


@pytest.mark.long
@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"files": [{"path": 1}]}'])
def test_a_release_that_does_not_say_what_it_is_is_told(estate, data):
    file(estate, "/release.json").write_bytes(data)
    assert told(estate) == ["altered: releases/v1/release.json"]


def test_a_release_without_its_record_is_told_and_one_that_was_never_finished_once_it_is_old(
    estate, monkeypatch
):
    file(estate, "/release.json").unlink()
    assert told(estate) == ["missing: releases/v1/release.json"]
    file(estate, "/croissant.json").unlink()
    assert estate.check().is_sound  # a command may be making it
    monkeypatch.setattr(verification, "OLD", timedelta(days=-1))
    (left,) = estate.check().leftovers
    assert (left.path, left.what) == ("releases/v1", "release")


def test_audio_that_a_damaged_release_may_name_is_nobodys_orphan(estate):
    path = "audio/00/old/local-x/vocals.flac"
    estate.store.put_bytes(path, b"la")
    assert told(estate) == [f"extra: {path}"]
    stems = file(estate, "stems")
    stems.write_bytes(b"PAR1")
    assert told(estate) == [f"altered: {stems.relative_to(estate.store.root_url)}"]
    assert any("damaged part of a release" in note for note in estate.check().notes)


def test_a_release_of_which_something_was_forgotten_is_sound(estate):
    estate.forget(tracks=("one",))
    assert estate.rows(folder="releases/v1") == ["two"]
    assert estate.check().is_sound
    estate.forget(tracks=("two",))
    assert estate.check().is_sound
    assert estate.check().releases == 1


def test_damage_is_told_while_forgetting_is_cut_off(estate):
    order = {"tombstone": {}, "tracks": []}
    estate.store.put_bytes("_stemline/forgetting/x.json", json.dumps(order).encode())
    tracks = file(estate, "tracks")
    pq.write_table(pa.table({"track_id": ["other"]}), tracks)
    assert told(estate) == [
        "altered: _stemline/forgetting",
        f"altered: {tracks.relative_to(estate.store.root_url)}",
    ]
