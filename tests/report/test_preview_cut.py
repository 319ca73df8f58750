"""Previews inside a page: what is cut, in how many bytes, and what stands there where nothing can be."""

from __future__ import annotations

import base64
import io
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.html_page import Page
from support.sound_dataset import RATE, SoundDataset

from stemline.audio import decode
from stemline.reader import open_dataset
from stemline.reader.stem_audio import StemAudio
from stemline.reader.stem_lookup import SoughtTrack, track_places
from stemline.report import timed_work
from stemline.report.dataset_page import write_dataset_report
from stemline.report.player import PlayedStem, PlayedTrack, preview_note
from stemline.report.preview import PEAKS, SAMPLE_RATE, loudest_start, make_preview
from stemline.report.preview_cut import LEFT_OUT, NO_ROOM, PreviewLimits, cut_previews, without_previews
from stemline.settings import Settings

GONE = "Its audio is gone. `stemline verify` tells what else is."


@pytest.fixture
def sounds(tmp_path: Path) -> SoundDataset:
    (tmp_path / "scratch").mkdir()
    return SoundDataset(str(tmp_path / "dataset"), tmp_path / "scratch")


def played(dataset: SoundDataset, track_id: str = "t", **names: str) -> tuple[PlayedTrack, StemAudio]:
    opened = open_dataset(dataset.url, dataset.storage_options)
    sought = SoughtTrack(track_id, "local", names.get("recipe", "vocals-best-flac"))
    places = track_places(sought, opened.tables)
    assert places
    stems = tuple(
        PlayedStem(
            name,
            place.path or None,
            (place.frames or 0) / RATE,
            -20.0,
            "ok",
            () if place.seconds is None else place.seconds.rms_dbfs.tolist(),
            place,
        )
        for name, place in places.items()
    )
    return PlayedTrack(track_id, "Nina", (), stems), opened.stem_audio


def heard(stem: PlayedStem) -> np.ndarray:
    assert stem.preview is not None, stem.trouble
    sound = decode(io.BytesIO(stem.preview.mp3))
    assert sound.sample_rate == SAMPLE_RATE
    return sound.samples


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    length = min(len(one), len(other))
    return float(np.corrcoef(one[:length].mean(axis=1), other[:length].mean(axis=1))[0, 1])


@pytest.mark.parametrize("kind", ["flac", "wav", "mp3", "24.flac"])
def test_a_preview_sounds_as_the_same_seconds_of_its_stem(sounds, kind):
    sounds.publish("t", kind=kind)
    track, audio = played(sounds, recipe=f"vocals-best-{kind.rpartition('.')[2]}")
    (cut,) = cut_previews([track], audio, PreviewLimits(longest=3.0, shortest=2.0))
    assert cut.preview_seconds == 3.0
    for stem in cut.stems:
        place = stem.place
        whole, _ = audio.read(place, cut.preview_start, 3.0)
        found = heard(stem)
        assert len(found) == 3 * SAMPLE_RATE
        again = np.interp(
            np.arange(len(whole)) / RATE * SAMPLE_RATE, np.arange(len(found)), found.mean(axis=1)
        )
        assert likeness(whole, again[:, None]) > 0.97
        assert len(stem.preview.peaks) == PEAKS
        assert max(stem.preview.peaks) == pytest.approx(np.abs(whole.mean(axis=1)).max(), abs=0.05)


@pytest.mark.parametrize("how", [{"kind": "ogg"}, {"has_activity": False}])
def test_a_stem_whose_seconds_are_not_told_apart_is_decoded_up_to_its_window(sounds, how):
    sounds.publish("t", **how)
    track, audio = played(sounds, recipe=f"vocals-best-{how.get('kind', 'flac')}")
    (cut,) = cut_previews([track], audio, PreviewLimits(longest=2.0, shortest=2.0))
    first = round(cut.preview_start * RATE)
    for stem in cut.stems:
        whole = sounds.whole("t", stem.stem)[first : first + 2 * RATE]
        found = heard(stem)
        again = np.interp(
            np.arange(len(whole)) / RATE * SAMPLE_RATE, np.arange(len(found)), found.mean(axis=1)
        )
        assert likeness(whole, again[:, None]) > 0.95


def test_the_loudest_seconds_are_those_in_which_most_stems_sound():
    loud_alone, both = [-60.0] * 20, [-60.0] * 20
    loud_alone[2:4] = [-3.0, -3.0]
    loud_alone[10:12] = both[10:12] = [-20.0, -20.0]
    assert loudest_start([loud_alone, both], 2.0, 20.0) == 10.0
    assert loudest_start([loud_alone], 2.0, 20.0) == 2.0
    assert loudest_start([loud_alone, both], 30.0, 20.0) == 0.0
    assert loudest_start([[-60.0, -60.0, -1.0]], 2.0, 2.5) == pytest.approx(0.5)
    assert loudest_start([], 8.0, 100.0) == 40.0
    assert loudest_start([[float("nan"), -9.0, float("nan")]], 1.0, 3.0) == 1.0


def test_what_is_no_sound_at_all_is_silence():
    preview = make_preview(np.full((SAMPLE_RATE, 1), np.nan, np.float32))
    assert not np.abs(decode(io.BytesIO(preview.mp3)).samples).max() > 1e-3


def test_an_object_that_is_gone_costs_its_own_preview_alone(sounds):
    sounds.publish("t")
    track, audio = played(sounds)
    sounds.store.delete(track.stems[0].path)
    (cut,) = cut_previews([track], audio)
    assert (cut.stems[0].preview, cut.stems[0].trouble) == (None, GONE)
    heard(cut.stems[1])


def test_an_object_that_was_altered_is_not_played(sounds):
    sounds.publish("t")
    track, audio = played(sounds)
    sounds.store.put_bytes(track.stems[0].path, b"fLaC" + bytes(track.stems[0].place.size_bytes - 4))
    (cut,) = cut_previews([track], audio)
    assert "does not decode as the tables tell" in cut.stems[0].trouble


def test_what_could_only_be_fetched_whole_is_left_where_it_is_when_it_is_large(sounds):
    sounds.publish("t", has_activity=False)
    track, audio = played(sounds)
    large = tuple(replace(stem, place=replace(stem.place, size_bytes=25 << 20)) for stem in track.stems)
    (cut,) = cut_previews([replace(track, stems=large)], audio)
    assert {stem.trouble for stem in cut.stems} == {
        "No preview: it could only be fetched whole, and is too large for that."
    }


def test_more_stems_get_fewer_seconds_and_the_last_tracks_none(sounds):
    sounds.publish("t")
    track, audio = played(sounds)
    one = cut_previews([track], audio)[0]
    size = sum(len(stem.preview.url) for stem in one.stems)
    limits = PreviewLimits(text_bytes=round(size * 2.2), longest=7.0, shortest=3.0)
    cut = cut_previews([track] * 9, audio, limits)
    assert {each.preview_seconds for each in cut} == {3.0, 0.0}
    inside = sum(len(stem.preview.url) for each in cut for stem in each.stems if stem.preview)
    assert inside <= limits.text_bytes
    assert cut[0].stems[0].preview
    assert {stem.trouble for stem in cut[-1].stems} == {NO_ROOM}


class HangingAudio(StemAudio):
    """A store that gives the first object and then nothing for as long as anybody waits."""

    def read(self, place, *window):
        if place.stem == "vocals":
            time.sleep(60)
        return super().read(place, *window)


def test_a_store_that_hangs_costs_the_time_limit_and_no_more(sounds, monkeypatch):
    monkeypatch.setattr(timed_work, "_SPARE_SECONDS", 0.5)
    sounds.publish("t")
    track, audio = played(sounds)
    began = time.monotonic()
    (cut,) = cut_previews([track], HangingAudio(audio.access), PreviewLimits(time_limit=2.0))
    assert time.monotonic() - began < 20
    by_name = {stem.stem: stem for stem in cut.stems}
    heard(by_name["instrumental"])
    assert by_name["vocals"].trouble.startswith("No preview: there was no more time")
    assert "`stemline report CONFIG`" in by_name["vocals"].trouble


def test_without_previews_a_page_says_how_to_get_them(sounds):
    sounds.publish("t")
    (cut,) = without_previews([played(sounds)[0]])
    assert {(stem.preview, stem.trouble) for stem in cut.stems} == {
        (None, LEFT_OUT.format(again="stemline report CONFIG"))
    }


def test_a_page_says_how_many_tracks_are_without_a_preview(sounds):
    sounds.publish("t")
    track, audio = played(sounds)
    (cut,) = cut_previews([track], audio)
    none = without_previews([track])
    assert preview_note([cut, *none]).endswith("are inside this page. 1 track without: the card says why.")
    assert preview_note(none) == " This page has no previews of them: the cards say why, and how to get them."
    late = cut_previews([track], audio, PreviewLimits(time_limit=0.0), "stemline report CONFIG --dataset")
    (sentence,) = {stem.trouble for stem in late[0].stems}
    assert sentence.endswith("`stemline report CONFIG --dataset` makes it.")


def settings_of(dataset: SoundDataset) -> Settings:
    where = {"url": dataset.url, "storage_options": dataset.storage_options, "audio": dataset.audio}
    tree = {"catalogue": {"manifest": "songs.csv"}, "provider": {"kind": "local"}, "dataset": where}
    return Settings.model_validate({"name": "songs", "recipe": {"stems": "vocals"}, **tree})


def page_of(dataset: SoundDataset) -> Page:
    write_dataset_report(settings_of(dataset))
    return Page(dataset.store.read_bytes("_stemline/reports/dataset.html").decode())


def test_previews_in_a_page_need_nothing_beside_it(sounds, tmp_path):
    sounds.publish("t")
    page = page_of(sounds)
    shutil.rmtree(tmp_path / "dataset")
    sources = [each.attributes["src"] for each in page.named("audio")]
    assert len(sources) == 2
    for source in sources:
        kind, _, data = source.partition(",")
        assert kind == "data:audio/mpeg;base64"
        assert decode(io.BytesIO(base64.b64decode(data))).seconds == pytest.approx(7.4, abs=0.05)


@pytest.mark.parametrize("audio", ["objects", "embedded"])
@pytest.mark.long
def test_a_dataset_in_a_bucket_or_inside_its_tables_is_heard(bucket, s3_server, tmp_path, audio):
    dataset = SoundDataset(f"s3://{bucket}/stems", tmp_path, s3_server.storage_options, audio=audio)
    dataset.publish("t")
    page = page_of(dataset)
    assert [each.attributes["aria-label"] for each in page.named("audio")] == ["vocals", "instrumental"]
    where = [each.text for each in page.named("code") if "article" in each.path]
    assert len(where) == 2
    assert all(text == "inside the stems table" or text.startswith(f"s3://{bucket}/") for text in where)
    for secret in (s3_server.key, s3_server.secret, s3_server.endpoint_url):
        assert secret not in page.source


def test_the_original_is_a_lane_that_is_only_ever_heard_alone(sounds):
    sounds.publish("t", stems=("vocals", "instrumental", "mix"))
    page = page_of(sounds)
    lanes = [each.attributes["data-stem"] for each in page.of_class("lane")]
    assert lanes == ["vocals", "instrumental", "mix"]
    assert [each.attributes["aria-label"] for each in page.of_class("solo")][-1] == "Solo original"
    assert [each.attributes["aria-label"] for each in page.of_class("mute")] == [
        "Mute vocals",
        "Mute instrumental",
    ]


def test_a_linked_original_is_heard_and_its_place_is_not_told(sounds):
    sounds.publish("other")
    source = sounds.file("other", "vocals")
    sounds.publish("t", mix=str(source))
    page = page_of(sounds)
    assert [each.attributes["aria-label"] for each in page.named("audio")].count("original") == 1
    assert str(source) not in page.source
